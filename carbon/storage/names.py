"""Who and what: teams, workloads, sources, hosts, devices, meters, subjects, claims, runs.

Small tables that change rarely; the writer keeps their ids in memory (`storage.id_cache`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    UniqueConstraint,
    case,
    func,
    select,
    text,
    update,
)

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterKind
from carbon.storage.schema import Code, Id, Ms, metadata
from carbon.storage.upsert import insert_new

team = Table(
    "team",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_ms", Ms, nullable=False),
    #: Under which its names stand in what it publishes; drawn with the first, erased with it.
    Column("salt", Text, nullable=False, server_default=""),
)

workload = Table(
    "workload",
    metadata,
    Column("id", Id, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("persona", Text, nullable=False, server_default="consumer"),
    #: Created by a write and not yet by a person: listed as "to be named".
    Column("is_named", Boolean, nullable=False, server_default=text("false")),
    Column("created_ms", Ms, nullable=False),
    UniqueConstraint("team_id", "name"),
)

workload_unit = Table(
    "workload_unit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("name", Text, nullable=False),
    #: The one source that counts (the first seen); others are kept aside.
    Column("counting_source_id", ForeignKey("source.id"), nullable=True),
    Column("created_ms", Ms, nullable=False),
    UniqueConstraint("workload_id", "name"),
)

boundary = Table(
    "boundary",
    metadata,
    Column("id", Id, primary_key=True),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("included", Text, nullable=False),  # JSON list of component names
    Column("excluded", Text, nullable=False),  # JSON list of {component, reason, share?}
    Column("recorded_ms", Ms, nullable=False),
    UniqueConstraint("workload_id", "version"),
)

source = Table(
    "source",
    metadata,
    Column("id", Id, primary_key=True),
    #: 0 is the deployment's: agents and importers that write for every team.
    Column("team_id", BigInteger, nullable=False, server_default="0"),
    Column("name", Text, nullable=False),
    Column("kind", Code, nullable=False),  # domain.energy.MeterKind
    #: Sources of one family count a unit together, as a server's replicas do.
    Column("family", Text, nullable=True),
    #: Measured from `sent_ms`: the source's clock less ours.
    Column("skew_ms", Ms, nullable=True),
    Column("last_seen_ms", Ms, nullable=True),
    #: Batches that waited at it when it was seen; null where it does not tell.
    Column("spooled", BigInteger, nullable=True),
    Column("created_ms", Ms, nullable=False),
    UniqueConstraint("team_id", "name"),
)

host = Table(
    "host",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_ms", Ms, nullable=False),
)

#: What is known of a host from a time on; the latest recorded row that covers a moment holds.
host_period = Table(
    "host_period",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host_id", ForeignKey("host.id"), nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=True),
    Column("site", Text, nullable=True),
    Column("zone", Text, nullable=True),
    Column("pue", Float, nullable=True),
    Column("owner", Text, nullable=True),
    #: Of a cloud, `aws/eu-west-1`: whose published PUE and WUE hold.
    Column("region", Text, nullable=True),
    #: Model of the server without its GPUs, and among how many of these it is shared.
    Column("server", Text, nullable=True),
    Column("gpus", Integer, nullable=True),
    #: In service from and until then: when it is expected to report.
    Column("commissioned_ms", Ms, nullable=True),
    Column("retired_ms", Ms, nullable=True),
    Column("correction_id", ForeignKey("correction.id"), nullable=True),
    Column("recorded_ms", Ms, nullable=False),
    CheckConstraint("pue IS NULL OR pue >= 1.0", name="pue_at_least_one"),
    Index(None, "host_id", "start_ms"),
)

#: Device kind and model, on which the embodied factor hangs.
device_model = Table(
    "device_model",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_ms", Ms, nullable=False),
    UniqueConstraint("kind", "model"),
)

device = Table(
    "device",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("model_id", ForeignKey("device_model.id"), nullable=False),
    #: Who metered it first: 0 is the deployment (an agent, an importer), else a team, and then
    #: no other team may meter, place, describe or reserve it.
    Column("team_id", BigInteger, nullable=False, server_default="0"),
    Column("host_id", ForeignKey("host.id"), nullable=False),
    Column("created_ms", Ms, nullable=False),
)

#: The zone a device's energy was stated to be in, from a time on (the first reaches back).
device_zone = Table(
    "device_zone",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("zone", Text, nullable=False),
    #: Guessed, as from the system's time zone: weaker than what a person said of the host.
    Column("is_guess", Boolean, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)

meter = Table(
    "meter",
    metadata,
    Column("id", Id, primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    UniqueConstraint("device_id", "source_id"),
)

subject = Table(
    "subject",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # domain.claims.SubjectKind
    Column("key", Text, nullable=False),
    Column("created_ms", Ms, nullable=False),
    UniqueConstraint("kind", "key"),
)

claim = Table(
    "claim",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject_id", ForeignKey("subject.id"), nullable=False),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("reason", Text, nullable=False),
    Column("correction_id", ForeignKey("correction.id"), nullable=True),
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "subject_id"),
    Index(None, "workload_id"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject_id", ForeignKey("subject.id"), nullable=False, unique=True),
    Column("workload_id", ForeignKey("workload.id"), nullable=True),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("exit_code", Integer, nullable=True),
    Index(None, "workload_id", "start_ms"),
)

correction = Table(
    "correction",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("undoes_id", ForeignKey("correction.id"), nullable=True),
    Column("recorded_ms", Ms, nullable=False),
)


#: The end of a claim that has none.
FOR_EVER_MS = 1 << 53


def stated_claims(
    connection: Connection, subject_ids: Collection[int]
) -> dict[int, list[tuple[Claim, int | None]]]:
    """As they were recorded, each with its correction; `storage.attributed` says what holds."""
    c = claim.c
    columns = (c.subject_id, c.workload_id, c.start_ms, c.end_ms, c.recorded_ms, c.id)
    query = select(*columns, c.correction_id).where(c.subject_id.in_(subject_ids))
    found: dict[int, list[tuple[Claim, int | None]]] = {}
    for row in connection.execute(query):
        made = Claim(row[0], row[1], row[2], row[3], row[4], row[5], row[6] is not None)
        found.setdefault(made.subject, []).append((made, row[6]))
    return found


def claim_subject(
    connection: Connection,
    subject_id: int,
    workload_id: int,
    start_ms: int,
    reason: str,
    now_ms: int,
) -> bool:
    """Claims a subject for a workload from a time on, where no sender has said so yet: what a
    person corrected stands beside it."""
    held = stated_claims(connection, [subject_id]).get(subject_id, [])
    sent = [claim for claim, correction_id in held if correction_id is None]
    if workload_of(sent, start_ms) == workload_id:
        return False
    connection.execute(
        claim.insert().values(
            subject_id=subject_id,
            workload_id=workload_id,
            start_ms=start_ms,
            end_ms=FOR_EVER_MS,
            reason=reason,
            recorded_ms=now_ms,
        )
    )
    return True


def widen_run(
    connection: Connection,
    run_id: str,
    subject_id: int,
    workload_id: int | None,
    start_ms: int,
    end_ms: int,
) -> None:
    """Notes that a run was seen over [start, end); known runs grow to include it, and are of the
    workload that was stated last, as the claim on their subject is."""
    row = {
        "id": run_id,
        "subject_id": subject_id,
        "workload_id": workload_id,
        "start_ms": start_ms,
        "end_ms": end_ms,
    }
    insert_new(connection, run, [row])
    connection.execute(
        update(run)
        .where(run.c.id == run_id)
        .values(
            start_ms=case((run.c.start_ms < start_ms, run.c.start_ms), else_=start_ms),
            end_ms=case((run.c.end_ms > end_ms, run.c.end_ms), else_=end_ms),
            workload_id=func.coalesce(workload_id, run.c.workload_id),
        )
    )


def meters_of(
    connection: Connection, device_ids: Collection[int] | None
) -> dict[int, list[MeterRef]]:
    """The meters of each device, with the kind of their source; None means of all."""
    found: dict[int, list[MeterRef]] = {}
    query = select(meter.c.device_id, meter.c.id, source.c.kind).join_from(meter, source)
    if device_ids is not None:
        query = query.where(meter.c.device_id.in_(device_ids))
    for device_id, meter_id, kind in connection.execute(query):
        found.setdefault(device_id, []).append(MeterRef(meter_id, MeterKind(kind)))
    return found


def meters_devices(connection: Connection, meter_ids: Collection[int]) -> set[int]:
    """The devices that some meters are of."""
    query = select(meter.c.device_id).where(meter.c.id.in_(meter_ids)).distinct()
    return set(connection.scalars(query))


@dataclass(frozen=True, slots=True)
class MeterRef:
    meter: int
    kind: MeterKind


def runs_between(
    connection: Connection, subject_ids: Collection[int], start_ms: int, end_ms: int
) -> Sequence[Row[int, int, int]]:
    """(subject_id, start_ms, end_ms) of the runs among some subjects that reach into a window."""
    r = run.c
    query = select(r.subject_id, r.start_ms, r.end_ms).where(
        r.subject_id.in_(subject_ids), r.start_ms < end_ms, r.end_ms > start_ms
    )
    return connection.execute(query).all()


def models_of_devices(connection: Connection) -> dict[int, int]:
    """device_id → model_id, of all devices."""
    query = select(device.c.id, device.c.model_id)
    return {row[0]: row[1] for row in connection.execute(query)}
