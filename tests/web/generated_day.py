"""A working day of one machine, generated: two GPUs, a CPU and its memory, four workloads."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert

from carbon.auth.keys import create_key
from carbon.clock import FakeClock
from carbon.domain.claims import IDLE, UNATTRIBUTED, SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method, cut
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES, WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, floor_to
from carbon.services.context import Context
from carbon.services.grid.intensity import record_vintage
from carbon.services.rollup.rollup import roll_up
from carbon.settings import Settings
from carbon.storage.bulk import IntervalRow, insert_intervals
from carbon.storage.dirty import mark_dirty
from carbon.storage.engine import memory_engine, writing
from carbon.storage.identities import Identities
from carbon.storage.jobs import job, placement, pool, saving
from carbon.storage.names import claim_subject
from carbon.storage.places import state_zone
from carbon.storage.tables import metadata
from carbon.storage.unit_counts import choose_source, write_counts

TIMEZONE = ZoneInfo("Europe/Berlin")
MIDNIGHT_MS = round(datetime(2026, 11, 24, tzinfo=TIMEZONE).timestamp() * 1000)
NOW_MS = MIDNIGHT_MS + 14 * MS_PER_HOUR + 22 * 60_000
MINUTE_MS = 60_000

RESNET = WorkloadName("vision", "train-resnet")
WHISPER = WorkloadName("speech", "whisper-finetune")
SERVE = WorkloadName("search", "embed-api")
EVAL = WorkloadName("vision", "nightly-eval")


def empty_context(folder: Path, **settings: object) -> Context:
    engine = memory_engine()
    metadata.create_all(engine)
    known = {"data_dir": folder, "timezone": "Europe/Berlin", "zone": "DE", **settings}
    return Context(engine, Settings.model_validate(known), FakeClock(NOW_MS))


def admin_key(context: Context) -> str:
    return create_key(context, "ada", "vision", ADMIN_SCOPES)[0]


def team_key(context: Context, team: str) -> str:
    return create_key(context, f"{team} key", team, TEAM_SCOPES)[0]


def fill(context: Context, with_feed: bool = True) -> None:
    """Energy since midnight, units, intensity and jobs, rolled up."""
    if with_feed:
        record_vintage(context, feed())
    with writing(context.engine) as connection:
        Day(connection).write()
    roll_up(context)


def fill_last_minutes(context: Context, minutes: int = 20) -> None:
    """As `fill`, but of the day's energy only the end: a tenth of the time."""
    record_vintage(context, feed())
    with writing(context.engine) as connection:
        Day(connection).write_last_minutes(minutes)
    roll_up(context)


def draws_on(context: Context, device: str, watts: float, seconds: int = 60) -> None:
    """Time passes in which one device draws as much for RESNET, as its agent tells."""
    clock = context.clock
    assert isinstance(clock, FakeClock)
    clock.advance(seconds)
    with writing(context.engine) as connection:
        ids = Identities(connection, MIDNIGHT_MS, {})
        meter = ids.meter(
            ids.device(device, 0), ids.source(0, "agent@workstation", MeterKind.AGENT)
        )
        subject = ids.subject(reference(RESNET))
        energy_mj = round(watts * seconds * 1_000)
        row = (clock.now_ms(), meter, subject, seconds * 1_000, energy_mj, int(Method.COUNTER))
        insert_intervals(connection, [row])


def feed() -> Vintage:
    """Actual until now, forecast for a day: clean at noon, dirty in the evening."""
    hour_now = floor_to(NOW_MS, MS_PER_HOUR)
    points = []
    for hour in range(-24, 27):
        start_ms = hour_now + hour * MS_PER_HOUR
        of_day = ((start_ms - MIDNIGHT_MS) / MS_PER_HOUR) % 24
        g_per_kwh = (
            340
            + 90 * math.cos((of_day - 19.5) / 24 * 2 * math.pi)
            - 120 * math.exp(-(((of_day - 12.5) / 2.6) ** 2))
        )
        kind = PointKind.ACTUAL if hour <= 0 else PointKind.FORECAST
        points.append(IntensityPoint(start_ms, start_ms + MS_PER_HOUR, round(g_per_kwh, 1), kind))
    return Vintage(
        "DE",
        "energy_charts",
        Signal.AVERAGE,
        EmissionScope.LIFECYCLE,
        NOW_MS - 7 * MINUTE_MS,
        tuple(points),
    )


class Day:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ids = Identities(connection, MIDNIGHT_MS - 5 * 24 * MS_PER_HOUR, {})
        self.rows: list[IntervalRow] = []
        self.dirty: set[tuple[int, int]] = set()

    def write(self) -> None:
        self.write_since(MIDNIGHT_MS)

    def write_last_minutes(self, minutes: int) -> None:
        """Of the day only its end: enough for what is drawn now."""
        self.write_since(NOW_MS - minutes * MINUTE_MS)

    def write_since(self, start_ms: int) -> None:
        host = self.ids.host("workstation")
        agent = self.ids.source(0, "agent@workstation", MeterKind.AGENT)
        machine = [
            ("GPU-0a51", "gpu", "NVIDIA H100 80GB HBM3", Method.COUNTER),
            ("GPU-0a52", "gpu", "NVIDIA H100 80GB HBM3", Method.COUNTER),
            ("cpu-0", "cpu", "AMD EPYC 9354", Method.MODELLED),
            ("dram-0", "dram", "DDR5 384 GB", Method.MODELLED),
        ]
        for place, (uuid, kind, model, method) in enumerate(machine):
            device = self.ids.device(uuid, host)
            self.ids.describe_device(device, kind, model)
            state_zone(self.connection, device, "DE", False, MIDNIGHT_MS, MIDNIGHT_MS)
            self.ids.meter(device, agent)
            self.day_of(place, device, self.ids.meter(device, agent), method, start_ms)
        self.ids.device("GPU-dead", host)
        insert_intervals(self.connection, self.rows)
        mark_dirty(self.connection, self.dirty)
        self.counts(agent)
        Jobs(self.connection, self.ids).write()

    def day_of(self, place: int, device: int, meter: int, method: Method, since_ms: int) -> None:
        first = (since_ms - MIDNIGHT_MS) // MINUTE_MS
        for minute in range(first, (NOW_MS - MIDNIGHT_MS) // MINUTE_MS):
            start_ms = MIDNIGHT_MS + minute * MINUTE_MS
            hour = minute / 60
            if place == 1 and 9.25 < hour < 9.75:
                continue  # the agent was away
            for subject, power_w in draws(place, hour, minute):
                self.energy(device, meter, subject, start_ms, power_w, method)

    def energy(
        self,
        device: int,
        meter: int,
        who: SubjectRef | WorkloadName,
        start_ms: int,
        power_w: float,
        method: Method,
    ) -> None:
        subject = self.ids.subject(reference(who))
        if isinstance(who, WorkloadName):
            workload = self.ids.workload(who, is_named=True)
            claim_subject(self.connection, subject, workload, MIDNIGHT_MS, "name", NOW_MS)
        for lo, hi, energy_mj in cut(start_ms, start_ms + MINUTE_MS, round(power_w * MINUTE_MS)):
            self.rows.append((hi, meter, subject, hi - lo, energy_mj, int(method)))
            self.dirty.add((floor_to(lo, BUCKET_MS), device))

    def counts(self, source: int) -> None:
        for name, unit, per_minute in ((SERVE, "request", 1_840), (RESNET, "image", 91_000)):
            unit_id = self.ids.unit(self.ids.workload(name), unit)
            rows = [
                (MIDNIGHT_MS + (m + 1) * MINUTE_MS, unit_id, source, MINUTE_MS, per_minute)
                for m in range(8 * 60, (NOW_MS - MIDNIGHT_MS) // MINUTE_MS)
            ]
            choose_source(self.connection, unit_id, source)
            write_counts(self.connection, [rows], NOW_MS)


def reference(who: SubjectRef | WorkloadName) -> SubjectRef:
    return SubjectRef(SubjectKind.NAME, str(who)) if isinstance(who, WorkloadName) else who


def draws(place: int, hour: float, minute: int) -> list[tuple[SubjectRef | WorkloadName, float]]:
    """Who draws how many watts on a device of the machine at an hour of the day."""
    ripple = 18 * math.sin(minute / 7) + 9 * math.sin(minute / 2.3)
    if place == 0:
        if hour < 2.5:
            return [(EVAL, 410 + ripple), (UNATTRIBUTED, 12)]
        return [(SERVE, 240 + 130 * math.sin(hour / 24 * math.pi) + ripple), (IDLE, 30)]
    if place == 1:
        if hour < 6:
            return [(IDLE, 71 + ripple / 9)]
        if hour < 8.5:
            return [(WHISPER, 520 + ripple), (IDLE, 8)]
        return [(RESNET, 618 + ripple), (UNATTRIBUTED, 9)]
    if place == 2:
        busy = 95 if hour > 6 else 40
        return [(SERVE, busy + ripple / 2), (IDLE, 55), (UNATTRIBUTED, 14)]
    return [(SERVE, 21.0), (IDLE, 17.0)]


class Jobs:
    def __init__(self, connection: Connection, ids: Identities) -> None:
        self.connection = connection
        self.ids = ids

    def write(self) -> None:
        self.connection.execute(insert(pool).values(id=1, name="local", created_ms=NOW_MS))
        at = NOW_MS - NOW_MS % (5 * MINUTE_MS)
        hour = MS_PER_HOUR
        self.job("j1", RESNET, "resnet-50 sweep", "running", "now_is_cleanest", at - hour, None)
        self.job("j2", EVAL, "nightly eval", "waiting", "clean_window", at + 21 * hour, None)
        self.job("j3", WHISPER, "epoch 4", "waiting", "deadline_guard", at + 2 * hour, None)
        self.job("j4", WHISPER, "epoch 3", "succeeded", "clean_window", at - 8 * hour, 210.4)
        self.job("j5", SERVE, "rebuild index", "failed", "length_unknown", at - 11 * hour, None)

    def job(
        self,
        id_: str,
        workload: WorkloadName,
        name: str,
        state: str,
        reason: str,
        start_ms: int,
        credited_g: float | None,
    ) -> None:
        has_begun = state != "waiting"
        placement_id = int(id_[1:])
        self.connection.execute(
            insert(job).values(
                id=id_,
                team_id=self.ids.team(workload.team),
                workload_id=self.ids.workload(workload),
                name=name,
                executor="local",
                pool_id=1,
                spec='{"command": ["true"]}',
                state=state,
                reason=reason,
                earliest_ms=start_ms - MS_PER_HOUR,
                deadline_ms=start_ms + 6 * MS_PER_HOUR,
                zones="[]",
                placement_id=placement_id,
                start_ms=start_ms if has_begun else None,
                end_ms=start_ms + MS_PER_HOUR if state in ("succeeded", "failed") else None,
                body_hash=id_,
                created_ms=start_ms - MS_PER_HOUR,
            )
        )
        self.connection.execute(
            insert(placement).values(
                id=placement_id,
                job_id=id_,
                decided_ms=NOW_MS,
                start_ms=start_ms,
                end_ms=start_ms + MS_PER_HOUR,
                latest_start_ms=start_ms + 5 * MS_PER_HOUR,
                zone="DE",
                expected_g=None if reason == "length_unknown" else 131.0,
                start_now_g=None if reason == "length_unknown" else 212.0,
                reason=reason,
                vintages="[]",
            )
        )
        if credited_g is not None:
            self.connection.execute(
                insert(saving).values(
                    job_id=id_,
                    energy_mj=2_000_000_000,
                    actual_g=131.0,
                    counterfactual_g=131.0 + credited_g,
                    credited_g=credited_g,
                    counterfactual_start_ms=start_ms - MS_PER_HOUR,
                    flags="",
                    booked_ms=NOW_MS,
                )
            )
