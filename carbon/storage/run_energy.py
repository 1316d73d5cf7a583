"""What a run drew, as the roll-ups have settled it: one meter a device, priced by the bucket."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import ColumnElement, Connection, select

from carbon.domain.claims import SubjectKind, SubjectRef
from carbon.domain.energy import Method
from carbon.domain.units import BUCKET_MS
from carbon.storage.energy import energy_interval
from carbon.storage.names import subject, team, workload
from carbon.storage.ratings import Rating, ratings
from carbon.storage.rollups import bucket


@dataclass(frozen=True, slots=True)
class RunBucket:
    """A run's energy on one device in one bucket, seen as that run, its Slurm job or its pod."""

    run: str
    start_ms: int
    meter: int
    method: Method
    energy_mj: int
    operational_ng: int
    pue: float
    rating: Rating


def run_buckets(connection: Connection, own: str, runs: Collection[str]) -> list[RunBucket]:
    """In order of time; `runs` are named within their team."""
    keys = {f"{own}/{run}": run for run in runs}
    return _buckets(connection, SubjectKind.RUN, keys, [])


def subject_buckets(
    connection: Connection,
    own: str,
    run: str,
    subjects: Iterable[SubjectRef],
    start_ms: int,
    end_ms: int,
) -> list[RunBucket]:
    """What those subjects drew in [start, end), as the run's, in order of time.

    Only what is claimed for the team: two clusters give the same numbers, and one that begins
    anew gives them again.
    """
    of_team = (
        select(workload.c.id).join(team, team.c.id == workload.c.team_id).where(team.c.name == own)
    )
    b = bucket.c
    within = [b.start_ms > start_ms - BUCKET_MS, b.start_ms < end_ms, b.workload_id.in_(of_team)]
    keys: dict[SubjectKind, dict[str, str]] = {}
    for one in subjects:
        keys.setdefault(one.kind, {})[one.key] = run
    found = [_buckets(connection, kind, some, within) for kind, some in keys.items()]
    return sorted(chain.from_iterable(found), key=lambda bucket: bucket.start_ms)


def _buckets(
    connection: Connection,
    kind: SubjectKind,
    keys: Mapping[str, str],
    within: Sequence[ColumnElement[bool]],
) -> list[RunBucket]:
    """Those of the subjects of a kind, each by its key the run's that it stands for."""
    known = ratings(connection)
    b = bucket.c
    query = (
        select(
            subject.c.key,
            b.start_ms,
            b.meter_id,
            b.method,
            b.energy_mj,
            b.operational_ng,
            b.pue,
            b.rating_id,
        )
        .join_from(bucket, subject, subject.c.id == b.subject_id)
        .where(subject.c.kind == str(kind), subject.c.key.in_(list(keys)))
        .where(b.energy_mj > 0, *within)
        .order_by(b.start_ms, b.device_id, b.method)
    )
    return [
        RunBucket(
            keys[row.key],
            row.start_ms,
            row.meter_id,
            Method(row.method),
            row.energy_mj,
            row.operational_ng,
            row.pue,
            known[row.rating_id],
        )
        for row in connection.execute(query)
    ]


def read_until_ms(connection: Connection, meters: Sequence[int]) -> int:
    """Up to when every one of the meters has been read; 0 where one never was."""
    t = energy_interval.c
    ends = [
        connection.scalar(
            select(t.end_ms).where(t.meter_id == meter).order_by(t.end_ms.desc()).limit(1)
        )
        for meter in meters
    ]
    return min((end or 0 for end in ends), default=0)
