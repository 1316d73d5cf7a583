"""Writes a generated year into an empty ledger, below HTTP and already rolled up.

Quarter-hours and all sums above them for the whole time; raw readings and 5-minute buckets for
its last days alone, which is what a ledger of that age would still hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, Index, Table, insert, select

from carbon.bench.generated.fleet import (
    GPUS_PER_HOST,
    MODELS,
    QUARTERS_PER_DAY,
    SITES,
    Fleet,
    Habit,
)
from carbon.domain.civil import civil_days, civil_month
from carbon.domain.claims import IDLE, SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method
from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR, PPM, QUARTER_MS
from carbon.errors import Conflicting
from carbon.services.context import Context
from carbon.services.rollup.nanograms import nanograms
from carbon.services.rollup.settling import settle
from carbon.services.rollup.tariff import Tariff
from carbon.storage.bulk import insert_rows, load_rows
from carbon.storage.columns import Ints, summed
from carbon.storage.energy import energy_interval, reservation, unit_count
from carbon.storage.engine import is_sqlite, writing
from carbon.storage.identities import Identities
from carbon.storage.intensity import save_vintage
from carbon.storage.names import claim_subject, host_period
from carbon.storage.partitions import day_of_end, make_days
from carbon.storage.places import state_zone
from carbon.storage.ratings import Ratings
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour
from carbon.storage.sealed_days import bucket_horizon
from carbon.storage.settled import (
    MONTH,
    begin_settling,
    device_day,
    device_hour,
    mark_periods,
    set_unit_days,
)
from carbon.storage.unit_counts import choose_source

SPAN_MS = 10_000
_READINGS = QUARTER_MS // SPAN_MS
_IN_BUCKET = BUCKET_MS // SPAN_MS
_METHOD = int(Method.COUNTER)
_HOUR_QUARTERS = MS_PER_HOUR // QUARTER_MS


@dataclass
class Year:
    """The ids under which a fleet stands in the ledger, and how far it is written."""

    context: Context
    fleet: Fleet
    days: int
    #: Raw readings of the last so many days; may be a part of one.
    raw_days: float
    devices: list[int] = field(default_factory=list)
    meters: list[int] = field(default_factory=list)
    models: list[int] = field(default_factory=list)
    #: Of each GPU: (subject, workload).
    owners: list[tuple[int, int]] = field(default_factory=list)
    #: Of each GPU that is held and not used: (subject, workload) of the holder.
    holders: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: Of the workloads that are counted: (unit, place of the workload).
    units: list[tuple[int, int]] = field(default_factory=list)
    source: int = 0

    @property
    def end_ms(self) -> int:
        """The last civil midnight."""
        now_ms = self.context.clock.now_ms()
        return civil_days(now_ms, now_ms + 1, ZoneInfo(self.context.settings.timezone))[0][0]

    @property
    def raw_from_ms(self) -> int:
        return self.end_ms - round(self.raw_days * MS_PER_DAY / QUARTER_MS) * QUARTER_MS

    def write(self) -> None:
        """All of it. Raises Conflicting(`ledger_not_empty`)."""
        self.write_rollups()
        self.write_readings(self.raw_from_ms, self.end_ms)

    def write_readings(self, start_ms: int, end_ms: int) -> None:
        """Readings of [start, end), within the time that has buckets; both on quarter-hours."""
        timezone = ZoneInfo(self.context.settings.timezone)
        for number, (lo, hi) in enumerate(self._all_days(timezone)):
            energy_mj = self._energy(number, lo, hi) if hi > start_ms else None
            for at in range(max(lo, start_ms), min(hi, end_ms), QUARTER_MS):
                assert energy_mj is not None
                self._read(at, energy_mj[:, (at - lo) // QUARTER_MS])

    def _all_days(self, timezone: ZoneInfo) -> list[tuple[int, int]]:
        start_ms = self.end_ms - self.days * MS_PER_DAY
        return [d for d in civil_days(start_ms, self.end_ms, timezone) if d[1] <= self.end_ms]

    def _energy(self, number: int, start_ms: int, end_ms: int) -> Ints:
        """(gpus, quarter-hours of the day); those of summer time's last day begin anew."""
        places = np.arange((end_ms - start_ms) // QUARTER_MS) % QUARTERS_PER_DAY
        power_w = self.fleet.power_w(number)[:, places]
        return np.asarray(np.rint(power_w * QUARTER_MS).astype(np.int64))

    def write_rollups(self) -> None:
        """Everything but the readings. Raises Conflicting(`ledger_not_empty`)."""
        timezone = ZoneInfo(self.context.settings.timezone)
        now_ms = self.context.clock.now_ms()
        days = self._all_days(timezone)
        with writing(self.context.engine) as connection:
            if connection.execute(select(quarter_hour.c.start_ms).limit(1)).first():
                raise Conflicting(
                    "ledger_not_empty", "a generated year goes into a new data folder of its own"
                )
            self._name(connection, days[0][0], now_ms)
            self._intensity(connection, days[0][0], self.end_ms)
            # Sorting rows once costs half of what it costs to put each in its place.
            for index in _indexes():
                index.drop(connection)
        for number, (lo, hi) in enumerate(days):
            self._day(number, lo, hi)
        for index in _indexes():
            with writing(self.context.engine) as connection:
                index.create(connection)
        self._settle(days, timezone)

    def _name(self, connection: Connection, start_ms: int, now_ms: int) -> None:
        """Teams, workloads, hosts, devices and who holds them."""
        ids, fleet = Identities(connection, start_ms, {}), self.fleet
        self.source = ids.source(0, "generated", MeterKind.AGENT)
        idle = ids.subject(IDLE)
        held = []
        for place, workload in enumerate(fleet.workloads):
            name = WorkloadName(workload.team, workload.name)
            workload_id = ids.workload(name, is_named=True)
            subject_id = ids.subject(SubjectRef(SubjectKind.NAME, str(name)))
            claim_subject(connection, subject_id, workload_id, 0, "generated", now_ms)
            is_parked = workload.habit is Habit.PARKED
            held.append((idle if is_parked else subject_id, 0 if is_parked else workload_id))
            if workload.has_counts:
                unit_id = ids.unit(workload_id, "request")
                choose_source(connection, unit_id, self.source)
                self.units.append((unit_id, place))
        for gpu in range(fleet.gpus):
            self._device(ids, gpu, start_ms, now_ms)
            self.owners.append(held[fleet.workload_of(gpu)])
        for gpu in range(fleet.gpus):
            if self._habit(gpu) is Habit.PARKED:
                self._hold(ids, gpu, start_ms, now_ms)

    def _hold(self, ids: Identities, gpu: int, start_ms: int, now_ms: int) -> None:
        workload = self.fleet.workloads[self.fleet.workload_of(gpu)]
        name = WorkloadName(workload.team, workload.name)
        subject_id = ids.subject(SubjectRef(SubjectKind.NAME, str(name)))
        self.holders[gpu] = subject_id, ids.workload(name)
        row = {
            "device_id": self.devices[gpu],
            "start_ms": start_ms,
            "subject_id": subject_id,
            "end_ms": now_ms,
            "share_ppm": PPM,
            "recorded_ms": now_ms,
        }
        ids.connection.execute(insert(reservation).values(**row))

    def _habit(self, gpu: int) -> Habit:
        return self.fleet.workloads[self.fleet.workload_of(gpu)].habit

    def _device(self, ids: Identities, gpu: int, start_ms: int, now_ms: int) -> None:
        zone, pue = self.fleet.site_of(gpu)
        number = gpu // GPUS_PER_HOST
        host_id = ids.host(f"node-{number:04d}")
        if gpu % GPUS_PER_HOST == 0:
            period = {"host_id": host_id, "start_ms": 0, "zone": zone, "pue": pue}
            ids.connection.execute(insert(host_period).values(**period, recorded_ms=now_ms))
        device_id = ids.device(f"GPU-{self.fleet.seed:04x}-{gpu:08x}", host_id)
        model = MODELS[self.fleet.model_of(gpu)][0]
        ids.describe_device(device_id, "gpu", model)
        state_zone(ids.connection, device_id, zone, False, start_ms, now_ms)
        self.devices.append(device_id)
        self.models.append(ids.device_model("gpu", model))
        self.meters.append(ids.meter(device_id, self.source))

    def _intensity(self, connection: Connection, start_ms: int, end_ms: int) -> None:
        for zone, _ in SITES:
            points = []
            for day in range(-(-(end_ms - start_ms) // MS_PER_DAY) + 1):
                for hour, g_per_kwh in enumerate(self.fleet.g_per_kwh(zone, day).tolist()):
                    at = start_ms + day * MS_PER_DAY + hour * MS_PER_HOUR
                    points.append(IntensityPoint(at, at + MS_PER_HOUR, g_per_kwh))
            told = (Signal.AVERAGE, EmissionScope.LIFECYCLE, end_ms, tuple(points))
            save_vintage(connection, Vintage(zone, "generated", *told), end_ms)

    def _day(self, number: int, start_ms: int, end_ms: int) -> None:
        quarters = np.arange(start_ms, end_ms, QUARTER_MS)
        energy_mj = self._energy(number, start_ms, end_ms)
        with writing(self.context.engine) as connection:
            ratings = Ratings(connection, may_store=True)
            zone = self.context.settings.zone
            tariff = Tariff.load(zone, connection, ratings, self.devices, start_ms, end_ms)
            rows = np.concatenate(
                [
                    self._quarter(tariff, at, energy_mj[:, place], at >= self.raw_from_ms)
                    for place, at in enumerate(quarters.tolist())
                ]
            )
            now = np.full((len(rows), 1), end_ms)
            load_rows(connection, quarter_hour, np.hstack([rows, now]))
            self._sums(connection, rows, start_ms, end_ms)
            self._counts(connection, number, quarters, start_ms)
        for place, at in enumerate(quarters.tolist()):
            if at >= self.raw_from_ms:
                self._finely(tariff, at, energy_mj[:, place])

    def _quarter(self, tariff: Tariff, at_ms: int, energy_mj: Ints, is_fine: bool) -> Ints:
        """Rounded once; where there are buckets, once for each of them."""
        if not is_fine:
            return self._priced(tariff, at_ms, QUARTER_MS, energy_mj)
        rows, *others = (
            self._priced(tariff, at_ms + place * BUCKET_MS, BUCKET_MS, part)
            for place, part in enumerate(_buckets(energy_mj))
        )
        for other in others:
            rows[:, 6:] += other[:, 6:]
        return rows

    def _priced(self, tariff: Tariff, at_ms: int, width_ms: int, energy_mj: Ints) -> Ints:
        """Rows of one span as `quarter_hour` has them, but for the time of recording."""
        kinds, places = tariff.kinds(at_ms)
        rates = tariff.rates(at_ms, at_ms + width_ms)
        of_place = [rates[place] for place in places]
        g_per_kwh = np.array([rate.g_per_kwh for rate in of_place])[kinds]
        ng, _ = nanograms(energy_mj, g_per_kwh, np.array([rate.pue for rate in of_place])[kinds])
        owners = np.array(self.owners)
        same = np.ones(len(self.devices), dtype=np.int64)
        held = list(self.holders)
        reserved = same * width_ms
        reserved[held] = 0
        rows = np.column_stack(
            [
                same * at_ms,
                np.array(self.devices),
                owners,
                same * _METHOD,
                np.array([rate.rating for rate in of_place])[kinds],
                energy_mj,
                ng,
                same * width_ms,
                reserved,
            ]
        )
        of_holders = rows[held]
        of_holders[:, 2:4] = np.array(list(self.holders.values())).reshape(-1, 2)
        of_holders[:, 6:] = (0, 0, 0, width_ms)
        return np.concatenate([rows, of_holders])

    def _sums(self, connection: Connection, rows: Ints, start_ms: int, end_ms: int) -> None:
        """Hours and days of workloads and devices."""
        at, devices, subjects, workloads, methods, ratings = rows[:, :6].T
        models = dict(zip(self.devices, self.models, strict=True))
        model = np.array([models[d] for d in devices.tolist()])
        measures = list(rows[:, 6:].T)
        day = np.full(len(rows), start_ms)
        hour = at - at % MS_PER_HOUR
        sums: list[tuple[Table, Ints]] = [
            (workload_hour, summed((hour, workloads, model, methods, ratings), measures)),
            (workload_day, summed((day, workloads, model, methods, ratings), measures)),
        ]
        for table, found in sums:
            now = np.full((len(found), 1), end_ms)
            load_rows(connection, table, np.hstack([found, now]))
        expected = np.maximum(rows[:, 8], rows[:, 9])
        of_device = summed(
            (day, workloads, devices, subjects, methods, ratings), [*measures, expected]
        )
        load_rows(connection, device_day, of_device)
        of_hours = summed(
            (hour, workloads, devices, subjects, methods, ratings), [*measures, expected]
        )
        load_rows(connection, device_hour, of_hours)

    def _counts(self, connection: Connection, number: int, quarters: Ints, start_ms: int) -> None:
        """Requests of five minutes of each hour, by how busy the workload is."""
        busy = self.fleet.shares(number)
        of_gpu = np.array([self.fleet.workload_of(gpu) for gpu in range(self.fleet.gpus)])
        counted, of_day = [], []
        for unit_id, place in self.units:
            own = busy[of_gpu == place].sum(axis=0)
            counts = np.rint(1_000 * own).astype(np.int64)[::_HOUR_QUARTERS].tolist()
            ends = (quarters[::_HOUR_QUARTERS] + BUCKET_MS).tolist()
            some = list(zip(ends, counts, strict=False))
            counted += [(at, unit_id, self.source, BUCKET_MS, count) for at, count in some]
            of_day.append((unit_id, sum(count for _, count in some), 0))
        insert_rows(connection, unit_count, sorted(counted))
        set_unit_days(connection, start_ms, of_day)

    def _finely(self, tariff: Tariff, at_ms: int, energy_mj: Ints) -> None:
        with writing(self.context.engine) as connection:
            for place, part in enumerate(_buckets(energy_mj)):
                self._bucket(connection, tariff, at_ms + place * BUCKET_MS, part)

    def _read(self, at_ms: int, energy_mj: Ints) -> None:
        """The readings of one quarter-hour; they sum to it, and to its buckets, exactly."""
        meters = np.array(self.meters)
        subjects = np.array([subject for subject, _ in self.owners])
        same = np.ones(len(meters), dtype=np.int64)
        readings = []
        for n, drawn in enumerate(_readings(energy_mj)):
            end = same * (at_ms + (n + 1) * SPAN_MS)
            readings.append(
                np.stack([end, meters, subjects, same * SPAN_MS, drawn, same * _METHOD])
            )
        columns = np.concatenate(readings, axis=1)
        with writing(self.context.engine) as connection:
            if not is_sqlite(connection):
                make_days(connection, {day_of_end(end) for end in np.unique(columns[0]).tolist()})
            load_rows(connection, energy_interval, columns.T)

    def _bucket(self, connection: Connection, tariff: Tariff, at_ms: int, energy_mj: Ints) -> None:
        rows = self._priced(tariff, at_ms, BUCKET_MS, energy_mj)
        places, rates = tariff.places(at_ms), tariff.rates(at_ms, at_ms + BUCKET_MS)
        meters = dict(zip(self.devices, self.meters, strict=True))
        told = []
        for row in rows.tolist():
            rate, meter_id = rates[places[row[1]]], meters[row[1]]
            told.append(
                (*row[:5], *row[6:], meter_id, rate.rating, rate.vintage, rate.g_per_kwh, rate.pue)
            )
        insert_rows(connection, bucket, told)

    def _settle(self, days: list[tuple[int, int]], timezone: ZoneInfo) -> None:
        months = {civil_month(lo, timezone) for lo, _ in days}
        workloads = {workload for _, workload in [*self.owners, *self.holders.values()]}
        with writing(self.context.engine) as connection:
            mark_periods(connection, MONTH, [(w, *m) for w in workloads for m in months])
            begin_settling(connection, timezone)
            connection.execute(insert(bucket_horizon).values(id=1, kept_from_ms=self.raw_from_ms))
        settle(self.context)


def _indexes() -> list[Index]:
    """Those beside the keys of what grows with time."""
    tables = (quarter_hour, bucket, workload_hour, device_hour, device_day)
    return [i for table in tables for i in sorted(table.indexes, key=lambda i: str(i.name))]


def _readings(energy_mj: Ints) -> list[Ints]:
    """A quarter-hour's energy in equal readings that sum to it; (readings, gpus)."""
    each, rest = np.divmod(energy_mj, _READINGS)
    return [each + (rest > n) for n in range(_READINGS)]


def _buckets(energy_mj: Ints) -> list[Ints]:
    parts = _readings(energy_mj)
    return [np.sum(parts[at : at + _IN_BUCKET], axis=0) for at in range(0, _READINGS, _IN_BUCKET)]
