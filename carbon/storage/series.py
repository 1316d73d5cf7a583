"""Quarter-hours summed to the steps and groups of a series."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    cast,
    func,
    literal,
    select,
)

from carbon.domain.claims import SubjectKind
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.storage.column_reads import read_columns
from carbon.storage.columns import Ints, summed
from carbon.storage.corrections import members
from carbon.storage.experiments import experiment_subject
from carbon.storage.names import run, subject
from carbon.storage.period_rows import BY_DEVICE, parted, period_rows
from carbon.storage.rollups import quarter_hour
from carbon.storage.settled import Piece, expected_ms, pieces_between
from carbon.storage.unit_counts import counts_between


@dataclass(frozen=True)
class SeriesRows:
    """Sums of steps as columns, (n,) each, in order of the first seven."""

    #: In order; the first, for those of none, is empty.
    techniques: Sequence[str]
    step: Ints
    workload: Ints
    #: 1 tells idle time from what is nobody's.
    is_idle: Ints
    device: Ints
    method: Ints
    rating: Ints
    #: Of the experiment that the subject's run belongs to: a place among `techniques`.
    technique: Ints
    energy_mj: Ints
    operational_ng: Ints
    covered_ms: Ints
    reserved_ms: Ints
    #: Device-time that readings should back: what was read or held, the longer.
    expected_ms: Ints


#: Steps of unequal widths that one statement tells apart.
_STEPS_AT_ONCE = 32


def series_rows(
    connection: Connection,
    steps: Sequence[tuple[int, int]],
    workload_ids: Collection[int] | None,
    timezone: ZoneInfo,
) -> SeriesRows:
    """Of steps [start, end) that follow each other, all ends on quarter-hours. `workload_ids` None
    means all, and what no workload claims.

    Settled months, days and hours are read as such where they lie inside one step.
    """
    subjects = _Subjects.of(connection)
    found = [np.empty((12, 0), dtype=np.int64)]
    if steps:
        found += _found(connection, subjects, steps, workload_ids, timezone)
    columns = np.concatenate(found, axis=1)
    return SeriesRows(subjects.techniques, *summed(list(columns[:7]), list(columns[7:])).T)


def _found(
    connection: Connection,
    subjects: _Subjects,
    steps: Sequence[tuple[int, int]],
    workload_ids: Collection[int] | None,
    timezone: ZoneInfo,
) -> Iterator[Ints]:
    starts = [lo for lo, _ in steps]

    def step_of(at_ms: int) -> int:
        return bisect_right(starts, at_ms) - 1

    def is_inside(lo: int, hi: int) -> bool:
        return step_of(lo) == step_of(hi - 1)

    one = next(iter(workload_ids)) if workload_ids is not None and len(workload_ids) == 1 else None
    window = starts[0], steps[-1][1]
    at_once = len(steps) if _is_even(steps) else _STEPS_AT_ONCE
    pieces = pieces_between(connection, *window, timezone, one, is_inside)
    if workload_ids is None:
        kept, others = parted(pieces)
        ends = [p for p in others if p[2] - p[1] <= MS_PER_HOUR and is_inside(*p[1:])]
        rows = [*period_rows(connection, kept, timezone), *_of_ends(connection, ends)]
        yield _of_periods(subjects, [(step_of(at_ms), columns) for at_ms, columns in rows])
        pieces = [piece for piece in others if piece not in ends]
    for table, lo, hi in pieces:
        first, last = step_of(lo), step_of(hi - 1)
        for at in range(first, last + 1, at_once):
            until = min(at + at_once, last + 1)
            part = max(lo, starts[at]), min(hi, steps[until - 1][1])
            query = _sums(table, subjects, starts[at:until], at, *part, workload_ids)
            rows = [tuple(row) for row in connection.execute(query).all()]
            yield np.array(rows, dtype=np.int64).reshape(-1, 12).T


def _of_ends(connection: Connection, pieces: Sequence[Piece]) -> Iterator[tuple[int, Ints]]:
    """(start_ms, rows BY_DEVICE) of some quarter-hours: to sort them here costs less than there."""
    for table, lo, hi in pieces:
        source = f"{table.name} WHERE start_ms >= {lo} AND start_ms < {hi}"
        rows = read_columns(connection, BY_DEVICE[:-1], source).T
        yield lo, np.vstack([rows, np.maximum(*rows[-2:])])  # covered or reserved, the longer


def _of_periods(subjects: _Subjects, periods: Sequence[tuple[int, Ints]]) -> Ints:
    """(12, n) of (step, rows BY_DEVICE), each of a time inside that step."""
    if not periods:
        return np.empty((12, 0), dtype=np.int64)
    columns = np.concatenate([own for _, own in periods], axis=1)
    step = np.repeat([step for step, _ in periods], [own.shape[1] for _, own in periods])
    workload, device, of, method, rating, *measures = columns
    keys = (step, workload, subjects.are_idle(of), device, method, rating)
    return np.stack([*keys, subjects.technique_places(of), *measures])


def _is_even(steps: Sequence[tuple[int, int]]) -> bool:
    """Whether all steps but the last, which may be cut, are equally wide."""
    return all(hi - lo == steps[0][1] - steps[0][0] for lo, hi in steps[:-1])


@dataclass(frozen=True, slots=True)
class _Subjects:
    """What is told of subjects: few of them are idle time or take part in an experiment."""

    idle: Sequence[int]
    techniques: Sequence[str]
    #: In order, those of experiments, and each one's technique as a place among `techniques`.
    subjects: Ints
    places: Ints

    @classmethod
    def of(cls, connection: Connection) -> _Subjects:
        idle = select(subject.c.id).where(subject.c.kind == SubjectKind.IDLE)
        e = experiment_subject.c
        told = connection.execute(select(e.subject_id, e.technique).order_by(e.subject_id)).all()
        techniques = ["", *sorted({technique for _, technique in told} - {""})]
        place_of = {technique: place for place, technique in enumerate(techniques)}
        pairs = [(subject_id, place_of[technique]) for subject_id, technique in told]
        columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return cls(connection.scalars(idle).all(), techniques, *columns)

    def are_idle(self, subjects: Ints) -> Ints:
        """1 of what is idle time, else 0."""
        return np.isin(subjects, self.idle).astype(np.int64)

    def technique_places(self, subjects: Ints) -> Ints:
        """Of each its technique as a place among `techniques`; 0 of what is of no experiment."""
        if not len(self.subjects):
            return np.zeros_like(subjects)
        at = np.minimum(np.searchsorted(self.subjects, subjects), len(self.subjects) - 1)
        return np.where(self.subjects[at] == subjects, self.places[at], 0)


def _sums(
    table: Table,
    subjects: _Subjects,
    starts: Sequence[int],
    first_step: int,
    start_ms: int,
    end_ms: int,
    workload_ids: Collection[int] | None,
) -> Select[Any]:
    """Of the steps that begin at `starts`, numbered from `first_step` on."""
    t = table.c
    # What is the same in all rows is kept from the grouping, which takes longer with each column.
    step: ColumnElement[int] = literal(first_step)
    technique: ColumnElement[int] = literal(0)
    keys = [t.workload_id, case((t.subject_id.in_(subjects.idle), 1), else_=0)]
    keys += [t.device_id, t.method, t.rating_id]
    groups = list(keys)
    if len(starts) > _STEPS_AT_ONCE:
        step = first_step + (t.start_ms - starts[0]) // (starts[1] - starts[0])
    elif len(starts) > 1:
        ends = enumerate(starts[1:], first_step)
        last = first_step + len(starts) - 1
        step = case(*((t.start_ms < end, number) for number, end in ends), else_=last)
    if len(starts) > 1:
        groups.append(step)
    if len(subjects.techniques) > 1:
        places = {name: place for place, name in enumerate(subjects.techniques)}
        technique = case(places, value=experiment_subject.c.technique, else_=0)
        groups.append(technique)
    measures = (t.energy_mj, t.operational_ng, t.covered_ms, t.reserved_ms, expected_ms(table))
    sums = (cast(func.sum(m), BigInteger) for m in measures)
    query = select(step, *keys, technique, *sums).where(t.start_ms >= start_ms, t.start_ms < end_ms)
    if len(subjects.techniques) > 1:
        query = query.outerjoin_from(
            table, experiment_subject, experiment_subject.c.subject_id == t.subject_id
        )
    query = query.group_by(*groups)
    return query if workload_ids is None else query.where(t.workload_id.in_(workload_ids))


def first_quarter_ms(connection: Connection) -> int | None:
    """Start of the first quarter-hour that has anything."""
    first: int | None = connection.scalar(select(func.min(quarter_hour.c.start_ms)))
    return first


def counts_by_step(
    connection: Connection,
    unit_id: int,
    powered: Collection[int],
    steps: Sequence[tuple[int, int]],
    bucket_ms: int,
) -> dict[int, tuple[int, int]]:
    """Step → (counts in buckets of `powered`, the rest). No piece reaches over a step's end."""
    starts = [start_ms for start_ms, _ in steps]
    found: dict[int, tuple[int, int]] = {}
    for lo, _, count in counts_between(connection, unit_id, starts[0], steps[-1][1]):
        step = bisect_right(starts, lo) - 1
        inside, outside = found.get(step, (0, 0))
        if floor_to(lo, bucket_ms) in powered:
            found[step] = (inside + count, outside)
        else:
            found[step] = (inside, outside + count)
    return found


def run_ends(
    connection: Connection, workload_id: int, steps: Sequence[tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """Step → (runs that ended in it, 0); a run that ends on a mark ended in the step before."""
    starts = [start_ms for start_ms, _ in steps]
    query = select(run.c.end_ms).where(
        run.c.workload_id.in_(members(connection, workload_id)),
        run.c.end_ms > starts[0],
        run.c.end_ms <= steps[-1][1],
    )
    found: dict[int, tuple[int, int]] = {}
    for end_ms in connection.scalars(query):
        step = bisect_right(starts, end_ms - 1) - 1
        found[step] = (found.get(step, (0, 0))[0] + 1, 0)
    return found
