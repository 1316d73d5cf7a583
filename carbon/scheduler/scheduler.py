"""What the leader does at each tick. The truth lies in the database; nothing here lasts."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from carbon.errors import CarbonError
from carbon.executors.registry import Executors, build_executors
from carbon.scheduler.clockwork import Clockwork
from carbon.scheduler.leader import Leader
from carbon.services.context import Context
from carbon.services.jobs.dispatch import Dispatch
from carbon.services.jobs.held_jobs import HeldJobs
from carbon.services.jobs.lanes import Lanes
from carbon.services.jobs.plan_records import forget_old_inputs
from carbon.services.jobs.pools import stated_of_pools
from carbon.services.jobs.replan import newest_sharing, newest_vintage, replan
from carbon.services.jobs.replan_running import replan_running
from carbon.services.jobs.savings import book_savings
from carbon.services.jobs.scheduler_pause import release_waiting
from carbon.storage.leases import Lease, LeaseLost

TICK_S: Final = 0.5
#: Less urgent than starting jobs in time.
_REPLAN_EVERY_MS: Final = 10_000
_BOOK_EVERY_MS: Final = 60_000
_FOLLOW_EVERY_MS: Final = 10_000
_FORGET_EVERY_MS: Final = 3_600_000
#: Work beside the engines' own.
_PLANNING: Final = "planning"

_log = logging.getLogger(__name__)


class Scheduler:
    def __init__(
        self,
        context: Context,
        executors: Executors | None = None,
        leader: Leader | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        self._context = context
        self._executors = executors or build_executors(context.settings, context.clock)
        self._leader = leader or Leader(context)
        self._lanes = lanes or Lanes()
        #: Whether ticks wait for nobody, so that planning goes on behind them too.
        self._is_hurried = lanes is not None
        self._clockwork = Clockwork(self.tick, TICK_S)
        self._planned_with: tuple[object, ...] = ()
        self._replanned_ms = 0
        self._booked_ms = 0
        self._followed_ms = 0
        self._forgot_ms = 0

    def start(self) -> None:
        """Ticks in a thread of its own until `stop`."""
        self._clockwork.start()

    def stop(self) -> None:
        """Finishes the tick in progress and lets the next process lead. Jobs run on."""
        self._clockwork.stop()
        self._lanes.close()
        try:
            self._leader.resign()
        except CarbonError as error:
            _log.warning("the scheduler's lease is left to run out: %s", error.detail)

    def tick(self) -> None:
        """One step, by the leader alone. Trouble is logged and tried again at the next tick."""
        try:
            lease = self._leader.lease()
            if lease is not None:
                self._lead(lease)
        except LeaseLost as lost:
            _log.warning("%s", lost.detail)
            self._leader.forget()
        except CarbonError as error:
            _log.warning("the scheduler waits: %s", error.detail)

    def _lead(self, lease: Lease) -> None:
        dispatch = Dispatch(self._context, self._executors, lease, self._lanes)
        dispatch.poll()
        self._follow_held(lease)
        release_waiting(self._context, lease)
        dispatch.hand_over_due()
        plan_and_book = partial(self._plan_and_book, lease)
        if self._is_hurried:
            self._lanes.run(_PLANNING, _PLANNING, plan_and_book)
        else:
            plan_and_book()

    def _plan_and_book(self, lease: Lease) -> None:
        """What may take longer than a tick and must delay none."""
        now_ms = self._context.clock.now_ms()
        if abs(now_ms - self._replanned_ms) >= _REPLAN_EVERY_MS:
            self._replanned_ms = now_ms
            self._replan_if_new(lease)
        if abs(now_ms - self._booked_ms) >= _BOOK_EVERY_MS:
            self._booked_ms = now_ms
            book_savings(self._context, lease)
        if abs(now_ms - self._forgot_ms) >= _FORGET_EVERY_MS:
            self._forgot_ms = now_ms
            forget_old_inputs(self._context)

    def _follow_held(self, lease: Lease) -> None:
        now_ms = self._context.clock.now_ms()
        if abs(now_ms - self._followed_ms) >= _FOLLOW_EVERY_MS:
            self._followed_ms = now_ms
            HeldJobs(self._context, self._executors, lease).follow(self._lanes)

    def _replan_if_new(self, lease: Lease) -> None:
        newest = (
            newest_vintage(self._context),
            newest_sharing(self._context),
            stated_of_pools(self._context),
        )
        if newest != self._planned_with:
            replan(self._context, self._executors, lease)
            replan_running(self._context, self._executors, lease)
            self._planned_with = newest
