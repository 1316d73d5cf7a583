"""What shifting a job saved: its measured energy at its time against the same at once.

    actual          every attempt's energy x the intensity of its own buckets
    counterfactual  the last attempt's power profile without its pauses, begun when the job
                    could first have begun, x the intensity of that time; in a pool, when it
                    would have had a place had all jobs that came before it been served in turn
    credited        counterfactual - actual, once both are settled and the energy is measured

Attempts that failed, and what was drawn between two parts of a run (a checkpoint, standing
still), stand in the first line and not in the second: their grams are a cost of running the job
so, and are deducted. A loss is shown, and credited, as a loss.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.claims import SubjectKind, SubjectRef
from carbon.domain.emissions import operational_ng
from carbon.domain.energy import cut
from carbon.domain.intensity import PointKind, RatedPoint, Signal, mean_g_per_kwh
from carbon.domain.jobs import JobState
from carbon.domain.principal import Principal
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, ceil_to, floor_to, grams
from carbon.errors import CarbonError
from carbon.executors.registry import Executors, build_executors
from carbon.executors.slurm_release import SLURM_RELEASE
from carbon.services.context import Context
from carbon.services.grid.intensity import points_of
from carbon.services.jobs.pool_history import counterfactual_start_ms
from carbon.storage.attempts import (
    AttemptRow,
    SavingRow,
    attempts_of,
    book_saving,
    jobs_without_saving,
    saving_of,
    subjects_of_attempt,
)
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import JobRow, Span, get_job
from carbon.storage.leases import Lease, LeaseLost, check_lease
from carbon.storage.run_energy import RunBucket, read_until_ms, run_buckets, subject_buckets
from carbon.wire.jobs import SavingAnswer

#: A saving is booked at the latest then, with what is known, and with the flags that say so.
SETTLE_MS: Final = 2 * MS_PER_DAY
#: Jobs of which no energy ever came are no longer looked at.
_FORGET_MS: Final = 7 * MS_PER_DAY
#: A bucket is complete, and priced for good, a while after its end.
_QUIET_MS: Final = 2 * BUCKET_MS

NOT_MEASURED: Final = "energy_not_measured"
INCOMPLETE: Final = "energy_incomplete"
NOT_ACTUAL: Final = "intensity_not_actual"
NO_ENERGY: Final = "no_energy"
_UNSETTLED: Final = frozenset({INCOMPLETE, NOT_ACTUAL})
_NO_CREDIT: Final = frozenset({NOT_MEASURED, INCOMPLETE, NOT_ACTUAL})

_log = logging.getLogger(__name__)


def saving(context: Context, principal: Principal, job_id: str) -> SavingAnswer:
    """What is booked for a job, or what would be booked now."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        job = get_job(connection, job_id, team)
        booked = saving_of(connection, job_id)
        executors = build_executors(context.settings, context.clock)
        row = booked or _computed(connection, executors, job, context.clock.now_ms())
    return _answer(job, row, booked is not None)


def book_savings(context: Context, lease: Lease) -> int:
    """Books what is settled, and what has waited long enough; answers how many."""
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        jobs = jobs_without_saving(connection, now_ms - _FORGET_MS)
    count = 0
    for job_id in jobs:
        try:
            count += _book(context, lease, job_id, now_ms)
        except LeaseLost:
            raise
        except CarbonError as error:
            _log.warning("the saving of job %s is not booked: %s", job_id, error.detail)
    return count


def _book(context: Context, lease: Lease, job_id: str, now_ms: int) -> bool:
    with reading(context.engine) as connection:
        job = get_job(connection, job_id)
        executors = build_executors(context.settings, context.clock)
        row = _computed(connection, executors, job, now_ms)
    waited_ms = now_ms - (job.end_ms or now_ms)
    is_settled = row is not None and not _UNSETTLED.intersection(row.flags)
    if row is None or waited_ms < _QUIET_MS or not (is_settled or waited_ms > SETTLE_MS):
        return False
    with writing(context.engine) as connection:
        check_lease(connection, lease)
        book_saving(connection, job_id, row)
    return True


@dataclass(frozen=True, slots=True)
class _Piece:
    """Energy spread evenly over [start, end)."""

    start_ms: int
    end_ms: int
    energy_mj: int
    bucket: RunBucket

    def without_pauses(self, segments: Sequence[Span]) -> Iterator[_Piece]:
        """The parts within the segments, each as much earlier as the pauses before it lasted.

        What ran before the first segment or after the last one belongs to it.
        """
        if not segments:
            yield self
            return
        lo, hi = [s for s, _ in segments], [e for _, e in segments]
        lo[0], hi[-1] = min(lo[0], self.start_ms), max(hi[-1], self.end_ms)
        stood_ms = 0
        for index, (start, end) in enumerate(zip(lo, hi, strict=True)):
            if index:
                stood_ms += start - hi[index - 1]
            first, last = max(start, self.start_ms), min(end, self.end_ms)
            if first < last:
                energy = self._until(last) - self._until(first)
                yield _Piece(first - stood_ms, last - stood_ms, energy, self.bucket)

    def _until(self, at_ms: int) -> int:
        """Whole mJ up to a moment: parts sum to the piece."""
        return self.energy_mj * (at_ms - self.start_ms) // (self.end_ms - self.start_ms)


def _computed(
    connection: Connection, executors: Executors, job: JobRow, now_ms: int
) -> SavingRow | None:
    """None where no energy of the job is known."""
    attempts = [a for a in attempts_of(connection, job.id) if a.start_ms is not None]
    by_id = {attempt.id: attempt for attempt in attempts}
    buckets = _drawn(connection, job, attempts, now_ms)
    if not buckets:
        return None
    last = attempts[-1]
    own = [_piece(b, last) for b in buckets if b.run == last.id]
    assert last.start_ms is not None
    could_start_ms = counterfactual_start_ms(connection, executors, job)
    shift_ms = could_start_ms - last.start_ms
    segments = job.placement.segments if job.placement else ()
    unbroken = [part for piece in own for part in piece.without_pauses(segments)]
    counterfactual_ng, is_rated = _priced_elsewhen(connection, unbroken, shift_ms)
    all_of_it = [_piece(b, by_id[b.run]) for b in buckets]
    marginal_g = _marginal_g(connection, all_of_it, 0)
    marginal_counterfactual_g = _marginal_g(connection, unbroken, shift_ms)
    actual_ng = sum(b.operational_ng for b in buckets)
    flags = _flags(connection, job, attempts, buckets, is_rated)
    credited_ng = 0 if _NO_CREDIT.intersection(flags) else counterfactual_ng - actual_ng
    if job.state is not JobState.SUCCEEDED:
        credited_ng = min(0, credited_ng)
    return SavingRow(
        energy_mj=sum(b.energy_mj for b in buckets),
        actual_g=grams(actual_ng),
        counterfactual_g=grams(counterfactual_ng),
        credited_g=grams(credited_ng),
        counterfactual_start_ms=could_start_ms,
        flags=flags,
        booked_ms=now_ms,
        marginal_g=marginal_g,
        marginal_counterfactual_g=marginal_counterfactual_g,
    )


def _drawn(
    connection: Connection, job: JobRow, attempts: Sequence[AttemptRow], now_ms: int
) -> list[RunBucket]:
    """What was seen drawing as the attempts' runs, and as the Slurm jobs, tasks and pods that they
    let go: nothing draws as both."""
    team = job.workload.team
    buckets = run_buckets(connection, team, [attempt.id for attempt in attempts])
    for attempt in attempts:
        subjects = subjects_of_attempt(connection, attempt.id)
        number = attempt.external_id or ""
        # The attempt's own name stands there where a number would mean several: an array.
        if job.executor == SLURM_RELEASE and number.isdigit():
            subjects.add(SubjectRef(SubjectKind.SLURM, number))
        if subjects and attempt.start_ms is not None:
            window = attempt.start_ms, attempt.end_ms or now_ms
            buckets += subject_buckets(connection, team, attempt.id, subjects, *window)
    return buckets


def _piece(bucket: RunBucket, attempt: AttemptRow) -> _Piece:
    """The part of a bucket in which the attempt ran; all of it where that is not known."""
    start_ms = max(bucket.start_ms, attempt.start_ms or 0)
    end_ms = min(bucket.start_ms + BUCKET_MS, attempt.end_ms or bucket.start_ms + BUCKET_MS)
    if start_ms >= end_ms:
        start_ms, end_ms = bucket.start_ms, bucket.start_ms + BUCKET_MS
    return _Piece(start_ms, end_ms, bucket.energy_mj, bucket)


def _marginal_g(connection: Connection, pieces: Sequence[_Piece], shift_ms: int) -> float | None:
    """At the marginal intensity; None where any of it has none."""
    try:
        total_ng, _ = _priced_elsewhen(connection, pieces, shift_ms, Signal.MARGINAL)
    except CarbonError:
        return None
    return grams(total_ng)


def _priced_elsewhen(
    connection: Connection,
    pieces: Sequence[_Piece],
    shift_ms: int,
    signal: Signal = Signal.AVERAGE,
) -> tuple[int, bool]:
    """The nanograms of the pieces moved in time, and whether credit may rest on them."""
    total_ng, may_credit = 0, True
    for zone in sorted({p.bucket.rating.zone for p in pieces}):
        own = [p for p in pieces if p.bucket.rating.zone == zone]
        start_ms = floor_to(min(p.start_ms for p in own) + shift_ms, BUCKET_MS)
        end_ms = ceil_to(max(p.end_ms for p in own) + shift_ms, BUCKET_MS)
        points = points_of(connection, zone, start_ms, end_ms, signal)
        total_ng += sum(ng for piece in own for ng in _priced(piece, points, shift_ms))
        may_credit &= all(point.kind.may_credit for point in points)
    return total_ng, may_credit


def _priced(piece: _Piece, points: Sequence[RatedPoint], shift_ms: int) -> Iterator[int]:
    start_ms, end_ms = piece.start_ms + shift_ms, piece.end_ms + shift_ms
    for lo, _, energy_mj in cut(start_ms, end_ms, piece.energy_mj):
        bucket_ms = floor_to(lo, BUCKET_MS)
        mean = mean_g_per_kwh(points, bucket_ms, bucket_ms + BUCKET_MS)
        if mean is None:
            raise CarbonError("missing_intensity", f"no intensity at {to_rfc3339(bucket_ms)}")
        yield operational_ng(energy_mj, mean, piece.bucket.pue)


def _flags(
    connection: Connection,
    job: JobRow,
    attempts: Sequence[AttemptRow],
    buckets: Sequence[RunBucket],
    counterfactual_is_actual: bool,
) -> tuple[str, ...]:
    flags = {flag for b in buckets for flag in b.rating.flags}
    if not all(b.method.is_measured for b in buckets):
        flags.add(NOT_MEASURED)
    is_actual = all(PointKind(b.rating.kind).may_credit for b in buckets)
    if not (is_actual and counterfactual_is_actual):
        flags.add(NOT_ACTUAL)
    end_ms = max((a.end_ms or 0 for a in attempts), default=0)
    meters = sorted({b.meter for b in buckets})
    if not job.state.is_final or read_until_ms(connection, meters) < end_ms:
        flags.add(INCOMPLETE)
    if len(attempts) > 1:
        flags.add("failed_attempts_deducted")
    if job.placement and job.placement.segments:
        flags.add("pauses_deducted")
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        flags.add(f"job_{job.state}")
    return tuple(sorted(flags))


def _answer(job: JobRow, row: SavingRow | None, booked: bool) -> SavingAnswer:
    could_start_ms = max(job.created_ms, job.earliest_ms)
    begun_ms = row.counterfactual_start_ms if row else could_start_ms
    placed = job.placement
    expected_g = None
    if placed and placed.expected_g is not None and placed.start_now_g is not None:
        expected_g = placed.start_now_g - placed.expected_g
    return SavingAnswer(
        id=job.id,
        booked=booked,
        energy_mj=row.energy_mj if row else None,
        actual_g=row.actual_g if row else None,
        counterfactual_g=row.counterfactual_g if row else None,
        counterfactual_start=to_rfc3339(begun_ms),
        saving_g=row.counterfactual_g - row.actual_g if row else None,
        credited_g=row.credited_g if row else 0.0,
        marginal_g=row.marginal_g if row else None,
        marginal_counterfactual_g=row.marginal_counterfactual_g if row else None,
        expected_saving_g=expected_g,
        delay_s=(job.start_ms - could_start_ms) / 1000 if job.start_ms is not None else None,
        flags=list(row.flags) if row else [NO_ENERGY],
    )
