"""Takes in what CodeCarbon's trackers send: runs, and what each drew since it last told.

Deltas come one by one and many at a time: those that wait share one transaction, and a few
statements each is all that they cost.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, Row

from carbon.clock import from_rfc3339
from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_S
from carbon.errors import Forbidden, InvalidInput, NotFound, TooBusy
from carbon.services.context import Context
from carbon.services.ingest.frontier import Frontier
from carbon.services.ingest.sending import MAX_AHEAD_MS, MAX_POWER_W, MAX_SPAN_MS, run_subject
from carbon.services.ingest.writer import Writer
from carbon.services.trackers.deltas import (
    Delta,
    Lanes,
    OpenRun,
    Placed,
    Write,
    end_of,
    machine_of,
    placed_span,
)
from carbon.services.trackers.experiments import (
    experiment_workload,
    experiment_zone,
    workload_named,
)
from carbon.services.trackers.host_addresses import host_of_tracker
from carbon.storage import names, trackers
from carbon.storage.engine import reading
from carbon.storage.identities import Identities
from carbon.wire.codecarbon import (
    PARTS,
    EmissionBody,
    RunBody,
    TotalsBody,
    claimed_ng,
    parts_mj,
)

log = logging.getLogger("carbon.trackers")

#: Where a tracker opens a run again within this time and has sent nothing, it never heard the
#: first answer (its time-out is 2 s).
ORPHAN_MS = 10_000
_MOST_WAITING = 5_000
#: Deltas of so long a time share a transaction, which costs as much as twenty of them.
_GATHER_S = 0.003
_MOST_REMEMBERED = 20_000


class TrackerIngest:
    def __init__(self, context: Context, writer: Writer) -> None:
        self._context = context
        self._writer = writer
        self._frontier = Frontier()
        self._lanes = Lanes()
        self._runs: dict[str, OpenRun] = {}
        self._lock = threading.Lock()
        self._waiting: list[Delta] = []

    # Runs

    def open_run(self, principal: Principal, body: RunBody, address: str) -> Future[str]:
        """The id of the tracker's run: a new one, or the one it opened just now and never heard of.

        Raises InvalidInput (`invalid_time`, `invalid_experiment`).
        """
        now_ms = self._context.clock.now_ms()
        skew_ms = _moment(body.timestamp) - now_ms
        if not 0 < len(body.experiment_id) <= 200:
            raise InvalidInput("invalid_experiment", "experiment_id: name one")

        def write(ids: Identities) -> str:
            return self._open(ids, principal, body, address, skew_ms)

        return self._writer.submit(write)

    def _open(
        self, ids: Identities, principal: Principal, body: RunBody, address: str, skew_ms: int
    ) -> str:
        connection = ids.connection
        team_id = ids.team(principal.team)
        workload = experiment_workload(self._context, ids, principal.team, body.experiment_id)
        machine = machine_of(body, address)
        if body.tracking_mode != "process":  # several processes of a machine are several runs
            since_ms = ids.now_ms - ORPHAN_MS
            known = trackers.find_orphan(
                connection, team_id, body.experiment_id, address, machine, since_ms
            )
            if known is not None:
                return known
        return _insert_run(ids, principal.team, body, address, workload, skew_ms)

    # Deltas

    def post(self, principal: Principal, raw: bytes, body: EmissionBody) -> asyncio.Future[str]:
        """Queues a delta; the future answers with its id once it is committed.

        Raises InvalidInput, NotFound(`unknown_run`), Forbidden(`foreign_run`), TooBusy.
        """
        parts, claimed = parts_mj(body), claimed_ng(body.emissions_sum)
        span_ms = check_duration(body.duration)
        if sum(parts.values()) > MAX_POWER_W * span_ms:
            raise InvalidInput("implausible_power", "energy over so short a time exceeds 100 MW")
        run = self._run(principal, body.run_id)
        now_ms = self._context.clock.now_ms()
        sent_ms = _moment(body.timestamp)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        post = Delta(run, sent_ms, now_ms, span_ms, parts, claimed, raw.decode(), answer)
        if end_of(post) > now_ms + MAX_AHEAD_MS:
            raise InvalidInput("from_the_future", "the delta ends over 5 minutes from now")
        self._queue(post, answer.get_loop())
        return answer

    def _run(self, principal: Principal, run_id: str) -> OpenRun:
        run = self._runs.get(run_id) or self._load(run_id)
        if run.team != principal.team and not principal.sees_all_teams:
            raise Forbidden("foreign_run", "Not allowed to perform this action")
        return run

    def _load(self, run_id: str) -> OpenRun:
        with reading(self._context.engine) as connection:
            run = _read(connection, run_id)
        if len(self._runs) > _MOST_REMEMBERED:
            self._runs.clear()
        return self._runs.setdefault(run_id, run)

    # Totals

    def post_totals(
        self, principal: Principal, raw: bytes, body: TotalsBody, address: str
    ) -> Future[str]:
        """What a run drew in all, as it ends or in between: what was not told before is a delta.

        Raises InvalidInput, as `post` does.
        """
        parts_mj(body), claimed_ng(body.emissions)
        check_duration(body.duration)
        now_ms = self._context.clock.now_ms()
        end_ms = totals_end_ms(body, now_ms)
        if end_ms > now_ms + MAX_AHEAD_MS:
            raise InvalidInput("from_the_future", "the run ends over 5 minutes from now")

        def write(ids: Identities) -> str:
            run_id = self._run_of_totals(ids, principal, body, address, end_ms)
            run = _read(ids.connection, run_id)
            told, _ = trackers.emissions_of(ids.connection, run.number, 0, 1_000_000)
            delta = _not_told_yet(body, told)
            if delta is None:
                return run_id
            post = Delta(
                run=run,
                sent_ms=end_ms,
                received_ms=now_ms,
                span_ms=max(1, round(delta.duration * MS_PER_S)),
                parts=parts_mj(delta),
                claimed_ng=claimed_ng(delta.emissions),
                raw=msgspec.json.encode(delta).decode(),
            )
            return Write(
                ids, self._frontier, self._lanes, [(post, end_ms - post.span_ms, end_ms)]
            )()[0]

        return self._writer.submit(write)

    def _run_of_totals(
        self,
        ids: Identities,
        principal: Principal,
        body: TotalsBody,
        address: str,
        end_ms: int,
    ) -> str:
        """The run that totals are of: by the id that the client gave it, else (`None` is what it
        writes while it also tells us its deltas) by machine, project and start."""
        team_id = ids.team(principal.team)
        project = {"experiment_id": f"project:{body.project_name}"[:200]}
        details = msgspec.convert(msgspec.structs.asdict(body) | project, RunBody)
        start_ms = end_ms - round(body.duration * MS_PER_S)
        machine = machine_of(details, address)
        stated = body.run_id if body.run_id not in (None, "", "None") else None
        known = trackers.find_totals_run(
            ids.connection, team_id, details.experiment_id, machine, stated, start_ms
        )
        if known is not None:
            return known
        if stated is not None and trackers.find_run(ids.connection, stated) is not None:
            raise Forbidden("foreign_run", "Not allowed to perform this action")
        country = msgspec.json.encode({"country_name": body.country_name}).decode()
        name = workload_named(principal.team, body.project_name)
        workload_id = experiment_workload(
            self._context, ids, principal.team, details.experiment_id, name, country
        )
        return _insert_run(ids, principal.team, details, address, workload_id, 0, stated, start_ms)

    def _queue(self, post: Delta, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                raise TooBusy("ingest_full", "too many deltas are waiting; send again", 1)
            self._waiting.append(post)
            is_first = len(self._waiting) == 1
        if is_first:
            loop.call_later(_GATHER_S, self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Orders one transaction for all that waits by the time it begins."""
        taken: list[Delta] = []
        placed: list[Placed] = []

        def write(ids: Identities) -> list[str]:
            if not taken:
                with self._lock:
                    taken.extend(self._waiting)
                    self._waiting.clear()
                placed.extend((post, *placed_span(post)) for post in taken)
            else:  # the group was rolled back and is tried again
                for post in taken:
                    post.run.forget()
            return Write(ids, self._frontier, self._lanes, placed)()

        def answered(done: Future[list[str]]) -> None:
            error = done.exception()
            if error is not None:
                for post in taken:
                    self._runs.pop(post.run.id, None)  # what memory holds of it may be ahead
            told = [] if error else done.result()
            loop.call_soon_threadsafe(_settle, taken, told, error)

        try:
            self._writer.submit(write).add_done_callback(answered)
        except TooBusy as error:
            with self._lock:
                taken.extend(self._waiting)
                self._waiting.clear()
            _settle(taken, [], error)


def _settle(posts: Sequence[Delta], told: Sequence[str], error: BaseException | None) -> None:
    for position, post in enumerate(posts):
        if post.answer is None or post.answer.done():
            continue  # who asked has hung up
        if error is not None:
            post.answer.set_exception(error)
        else:
            post.answer.set_result(told[position])


def _read(connection: Connection, run_id: str) -> OpenRun:
    """Raises NotFound(`unknown_run`)."""
    found = trackers.find_run(connection, run_id)
    if found is None:
        raise NotFound("unknown_run", f"no run {run_id!r}: POST /runs first")
    details = msgspec.json.decode(found.details, type=RunBody)
    return OpenRun(
        number=found.number,
        id=found.id,
        team=found.team,
        team_id=found.team_id,
        key=found.key,
        subject_id=found.subject_id,
        workload_id=found.workload_id,
        source_id=found.source_id,
        details=details,
        address=found.address,
        machine=found.machine,
        host_id=host_of_tracker(connection, found.address, details.cpu_model or ""),
        zone=experiment_zone(connection, found.team, found.experiment_id),
        skew_ms=found.skew_ms,
        last_end_ms=found.last_end_ms,
    )


def _insert_run(
    ids: Identities,
    team: str,
    body: RunBody,
    address: str,
    workload_id: int,
    skew_ms: int,
    run_id: str | None = None,
    created_ms: int | None = None,
) -> str:
    run_id = run_id or str(uuid4())
    subject = run_subject(team, run_id)
    subject_id = ids.subject(subject)
    names.claim_subject(ids.connection, subject_id, workload_id, 0, "sent", ids.now_ms)
    team_id = ids.team(team)
    machine = machine_of(body, address)
    trackers.insert_run(
        ids.connection,
        id=run_id,
        team_id=team_id,
        experiment_id=body.experiment_id,
        key=subject.key,
        subject_id=subject_id,
        source_id=ids.source(team_id, machine, MeterKind.TRACKER),
        address=address,
        machine=machine,
        details=msgspec.json.encode(body).decode(),
        host_id=host_of_tracker(ids.connection, address, body.cpu_model or ""),
        skew_ms=skew_ms,
        created_ms=ids.now_ms if created_ms is None else created_ms,
    )
    return run_id


def check_duration(duration_s: float) -> int:
    """In ms. Raises InvalidInput(`invalid_duration`)."""
    if not 1 <= duration_s <= MAX_SPAN_MS / MS_PER_S:
        raise InvalidInput("invalid_duration", "duration: from 1 s to 31 days")
    return int(duration_s * MS_PER_S)


def totals_end_ms(body: TotalsBody, now_ms: int) -> int:
    """Totals carry local time without an offset, and are posted as the run ends: now."""
    try:
        return from_rfc3339(body.timestamp)
    except ValueError:
        return now_ms


def _not_told_yet(body: TotalsBody, told: Sequence[Row[Any]]) -> TotalsBody | None:
    """Totals less what their run has told; None where nothing is left."""
    before = [msgspec.json.decode(row.body, type=TotalsBody) for row in told]
    left = {
        name: max(0.0, getattr(body, name) - sum(getattr(one, name) for one in before))
        for name in ("duration", "emissions", "energy_consumed", *_ENERGIES)
    }
    if left["duration"] < 1e-3:
        return None
    return msgspec.structs.replace(body, **left)


_ENERGIES = tuple(f"{part}_energy" for part in PARTS)


def _moment(text: str) -> int:
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidInput("invalid_time", "timestamp: write RFC 3339 with an offset") from None
