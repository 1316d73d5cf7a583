"""Background work of the ledger itself: roll-ups kept in step, days made ahead."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable

from carbon.domain.units import MS_PER_DAY, floor_to
from carbon.services.context import Context
from carbon.services.proofs.kept_findings import KeptFindings
from carbon.services.rollup.retention import retain
from carbon.services.rollup.roll_up_lag import lag_of, rest_s
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.storage.engine import writing
from carbon.storage.leases import RETENTION, UPKEEP, take
from carbon.storage.partitions import make_days

log = logging.getLogger("carbon.upkeep")

_ROLL_EVERY_S = 2.0
#: Of one turn: between turns days are settled and sealed.
_BUCKETS_A_TURN = 20_000
#: Computed in one go: while batches arrive few, since what is marked meanwhile is computed anew.
_BUCKETS_AT_ONCE, _BUCKETS_BESIDE_BATCHES = 6_000, 600
_PERIODS_AT_ONCE = 256
_RETAIN_EVERY_MS = 120_000
#: A day of a large fleet is written within it.
_RETAIN_LEASE_MS = 1_800_000
_DAYS_AHEAD = 3
#: After the death of the one that rolls up the next goes on at the latest then.
_LEASE_MS = 10_000


def prepare_days(context: Context) -> None:
    """Makes the partitions of today and the next days; the writer makes any other it meets."""
    if context.engine.dialect.name != "postgresql":
        return
    today_ms = floor_to(context.clock.now_ms(), MS_PER_DAY)
    with writing(context.engine) as connection:
        make_days(connection, [today_ms + n * MS_PER_DAY for n in range(-1, _DAYS_AHEAD)])


class Upkeep:
    """A thread that recomputes what is dirty, settles and seals. Never ends by an error: it logs
    and goes on."""

    def __init__(self, context: Context, was_busy: Callable[[], bool]) -> None:
        """`was_busy` says whether batches arrived since it was last asked, or a moment ago."""
        self._context = context
        self._was_busy = was_busy
        self._findings = KeptFindings(context)
        self._retained_ms = 0
        self._lag = lag_of(context.engine, context.clock)
        self._is_busy = False
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._findings.stop()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        made_day = -1
        wait_s = _ROLL_EVERY_S
        while not self._stop.wait(wait_s):
            wait_s = _ROLL_EVERY_S
            try:
                today = self._context.clock.now_ms() // MS_PER_DAY
                if today != made_day:
                    prepare_days(self._context)
                    made_day = today
                if not self._leads():
                    self._lag.given_up()
                    continue
                if not self._roll_up():
                    wait_s = 0.0
                settle(self._context, most=_PERIODS_AT_ONCE)
                self._retain()
                self._findings.make_if_due()
            except Exception as error:
                log.warning("roll-up postponed: %s", error)

    def _roll_up(self) -> bool:
        """Answers whether all was rolled up that was dirty before."""
        began_ms = self._lag.began()
        done = roll_up(
            self._context, most=_BUCKETS_A_TURN, pause=self._rest, at_once=self._buckets_at_once
        )
        if is_all := done < _BUCKETS_A_TURN:
            self._lag.caught_up(began_ms)
        return is_all

    def _retain(self) -> None:
        """By one replica at a time, every few minutes."""
        now_ms = self._context.clock.now_ms()
        if abs(now_ms - self._retained_ms) < _RETAIN_EVERY_MS:
            return
        self._retained_ms = now_ms
        with writing(self._context.engine) as connection:
            lease = take(connection, RETENTION, self._holder, now_ms, _RETAIN_LEASE_MS)
        if lease is not None:
            retain(self._context, self._rest)

    def _leads(self) -> bool:
        """Of the processes that share a database one rolls up. Two at once would only do the
        work twice: a mark is taken by one."""
        if self._context.engine.dialect.name != "postgresql":
            return True
        now_ms = self._context.clock.now_ms()
        with writing(self._context.engine) as connection:
            return take(connection, UPKEEP, self._holder, now_ms, _LEASE_MS) is not None

    def _buckets_at_once(self) -> int:
        return _BUCKETS_BESIDE_BATCHES if self._is_busy else _BUCKETS_AT_ONCE

    def _rest(self, worked_s: float) -> None:
        self._is_busy = self._was_busy()
        if self._is_busy:
            self._stop.wait(rest_s(worked_s, self._lag.seconds or 0.0))
