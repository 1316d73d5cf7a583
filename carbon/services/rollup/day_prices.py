"""What a civil day's roll-ups cost by the prices of today: read and computed as columns, beside
those who write. Everything that is answered can be sent from one process to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, Engine, Table

from carbon.domain.rollup import Rate
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, QUARTER_MS
from carbon.services.rollup.nanograms import Flags, nanograms
from carbon.services.rollup.tariff import Tariff
from carbon.settings import Settings
from carbon.storage import repricing as store
from carbon.storage.columns import Ints, distinct, summed
from carbon.storage.engine import reading
from carbon.storage.names import models_of_devices
from carbon.storage.ratings import Rating, Ratings
from carbon.storage.repricing import Mark
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour
from carbon.storage.settled import device_day, device_hour

_START, _DEVICE, _SUBJECT, _WORKLOAD, _METHOD, _RATING, _ENERGY, _NG = range(8)
#: Rows that one statement sets; a fleet's quarter-hour is cut by device.
_DEVICES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class SpanPrices:
    """One quarter-hour or bucket in which a price may have changed."""

    start_ms: int
    #: First and last device of each part of it.
    parts: list[tuple[int, int]]
    #: What the rows of a rating cost, where all of them cost the same.
    by_rating: dict[int, Rate]
    #: Keys and ng of the rows that are set one by one: those that a float product might miss by
    #: one, and those of a rating under which there are several prices.
    single: Ints
    #: Device → rate; empty where `by_rating` says all.
    by_device: dict[int, Rate]
    #: Whether any row's rating is another now.
    has_new_rating: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """Key columns and ng of the sums above a day's quarter-hours."""

    hours: Ints
    device_hours: Ints
    days: Ints
    device_days: Ints
    #: (hour, workload) of hours that reach over the day's ends.
    cut_hours: Ints
    workloads: list[int]

    @property
    def tables(self) -> list[tuple[Table, tuple[str, ...], Ints]]:
        """(table, its key, rows)"""
        shared = ("start_ms", "workload_id", "model_id", "method", "rating_id")
        own = ("start_ms", "workload_id", "device_id", "subject_id", "method", "rating_id")
        return [
            (workload_hour, shared, self.hours),
            (device_hour, own, self.device_hours),
            (workload_day, shared, self.days),
            (device_day, own, self.device_days),
        ]


@dataclass(frozen=True, slots=True)
class DayPrices:
    start_ms: int
    end_ms: int
    #: The marks of the day as they stood before it was read.
    seen: tuple[object, ...]
    #: All that are known; ids below 0 are not stored yet.
    ratings: dict[int, Rating]
    quarters: list[SpanPrices]
    #: By start of the quarter-hour.
    buckets: dict[int, list[SpanPrices]]
    #: (start of the hour, workload) that are in it.
    hours: Ints
    #: None where they can be told only once the quarter-hours are set.
    sums: Sums | None
    #: Names of the tables above that have not just the rows that `sums` would set.
    lacking: frozenset[str]


def day_prices(
    engine: Engine, settings: Settings, marks: Sequence[Mark], start_ms: int, end_ms: int
) -> DayPrices:
    """Raises InvalidInput(`missing_intensity`)."""
    day = (start_ms, end_ms)
    with reading(engine) as connection:
        seen = store.changes_since(connection, *day)
        quarters = store.rows_of(connection, quarter_hour, *day, QUARTER_MS)
        buckets = store.rows_of(connection, bucket, *day, BUCKET_MS)
        ratings = Ratings(connection, may_store=False)
        devices = np.unique(quarters[:, _DEVICE])
        tariff = Tariff.load(settings.zone, connection, ratings, devices.tolist(), *day)
        models = models_of_devices(connection)
    of_quarters, ng = _spans(tariff, marks, devices, quarters, QUARTER_MS, 6)
    of_buckets: dict[int, list[SpanPrices]] = {}
    for span in _spans(tariff, marks, devices, buckets, BUCKET_MS, 5)[0]:
        quarter_ms = span.start_ms - span.start_ms % QUARTER_MS
        of_buckets.setdefault(quarter_ms, []).append(span)
    at, workload = quarters[:, _START], quarters[:, _WORKLOAD]
    hours = distinct(at - at % MS_PER_HOUR, workload)
    is_told = not of_buckets and not any(q.has_new_rating for q in of_quarters)
    sums = sums_of(quarters, ng, models, *day) if is_told else None
    with reading(engine) as connection:
        lacking = frozenset[str]() if sums is None else tables_lacking(connection, sums)
    return DayPrices(
        *day,
        seen,
        ratings.by_id,
        of_quarters,
        of_buckets,
        hours,
        sums,
        lacking,
    )


def tables_lacking(connection: Connection, sums: Sums) -> frozenset[str]:
    """Names of the tables in which a sum has no row, or a row no sum."""
    return frozenset(
        table.name
        for table, keys, rows in sums.tables
        if not store.has_rows(connection, table, keys, MS_PER_HOUR, rows)
    )


def day_sums(connection: Connection, start_ms: int, end_ms: int) -> Sums:
    """From quarter-hours as they stand."""
    rows = store.rows_of(connection, quarter_hour, start_ms, end_ms, QUARTER_MS)
    return sums_of(rows, rows[:, _NG], models_of_devices(connection), start_ms, end_ms)


def sums_of(rows: Ints, ng: Ints, models: Mapping[int, int], start_ms: int, end_ms: int) -> Sums:
    hour = rows[:, _START] - rows[:, _START] % MS_PER_HOUR
    is_whole = (hour >= start_ms) & (hour + MS_PER_HOUR <= end_ms)
    own = [rows[:, at] for at in (_WORKLOAD, _DEVICE, _SUBJECT, _METHOD, _RATING)]
    # By hour first: the days are sums of far fewer rows.
    fine = summed((hour, *own), [ng])
    day = np.full(len(fine), start_ms, dtype=np.int64)
    workload, device, subject, method, rating = fine.T[1:6]
    model = np.array([models[one] for one in device.tolist()], dtype=np.int64)
    shared = (workload, model, method, rating)
    whole = (fine[:, 0] >= start_ms) & (fine[:, 0] + MS_PER_HOUR <= end_ms)
    return Sums(
        summed((fine[:, 0], *shared), [fine[:, 6]], whole),
        fine[whole],
        summed((day, *shared), [fine[:, 6]]),
        summed((day, workload, device, subject, method, rating), [fine[:, 6]]),
        distinct(hour[~is_whole], rows[~is_whole, _WORKLOAD]),
        np.unique(rows[:, _WORKLOAD]).tolist(),
    )


def _spans(
    tariff: Tariff, marks: Sequence[Mark], devices: Ints, rows: Ints, width_ms: int, keys: int
) -> tuple[list[SpanPrices], Ints]:
    """The spans that a mark covers; and the ng of all rows, those that none covers as they were.

    The first `keys` columns tell a row."""
    if not len(rows):
        return [], rows[:, _NG]
    starts, firsts = np.unique(rows[:, _START], return_index=True)
    spans = [slice(*at) for at in pairwise([*firsts.tolist(), len(rows)])]
    device_at = np.searchsorted(devices, rows[:, _DEVICE])
    rates: list[Rate] = []
    meant: list[bool] = []
    first_rates: list[int] = []
    price = np.empty(len(rows), dtype=np.int64)
    for at, span in zip(starts.tolist(), spans, strict=True):
        zones = {m.zone for m in marks if m.start_ms < at + width_ms and m.end_ms > at}
        kinds, places = tariff.kinds(at)
        by_place = tariff.rates(at, at + width_ms)
        price[span] = len(rates) + kinds[device_at[span]]
        first_rates.append(len(rates))
        rates += [by_place[place] for place in places]
        meant += ["" in zones or place.zone in zones for place in places]
    g_per_kwh = np.array([rate.g_per_kwh for rate in rates])[price]
    pue = np.array([rate.pue for rate in rates])[price]
    ng, is_near_half = nanograms(rows[:, _ENERGY], g_per_kwh, pue)
    is_meant = np.array(meant)[price]
    ng = np.where(is_meant, ng, rows[:, _NG])
    told = _prices_by_rating(price, rows[:, _RATING], rates, meant, first_rates)
    made = [
        _span(rows[s], keys, price[s], rates, told[n], is_meant[s], is_near_half[s], ng[s])
        for n, s in enumerate(spans)
        if is_meant[s].any()
    ]
    return made, ng


#: Of a rating that rows have: what they cost; None stands for those that no mark covers.
_Told = dict[int, set[Rate | None]]


def _prices_by_rating(
    price: Ints,
    rating: Ints,
    rates: Sequence[Rate],
    meant: Sequence[bool],
    first_rates: Sequence[int],
) -> list[_Told]:
    """Of each span, whose rates begin at one of `first_rates`; `price` is a row's place among
    all rates."""
    wide = int(rating.max()) + 1
    found = np.unique(price * wide + rating)
    span_at = np.searchsorted(first_rates, found // wide, side="right") - 1
    told: list[_Told] = [{} for _ in first_rates]
    for at, pair in zip(span_at.tolist(), found.tolist(), strict=True):
        number, old = divmod(pair, wide)
        told[at].setdefault(old, set()).add(rates[number] if meant[number] else None)
    return told


def _span(
    rows: Ints,
    keys: int,
    price: Ints,
    rates: Sequence[Rate],
    told: _Told,
    is_meant: Flags,
    is_near_half: Flags,
    ng: Ints,
) -> SpanPrices:
    by_rating = {old: rate for old, [rate, *others] in told.items() if rate and not others}
    several = [old for old, found in told.items() if len(found) > 1]
    is_single = is_near_half | np.isin(rows[:, _RATING], several) if several else is_near_half
    single = np.flatnonzero(is_meant & is_single)
    changes = any(rate and rate.rating != old for old, some in told.items() for rate in some)
    by_device: dict[int, Rate] = {}
    if changes or several:
        chosen = zip(rows[is_meant, _DEVICE].tolist(), price[is_meant].tolist(), strict=True)
        by_device = {device: rates[number] for device, number in chosen}
    return SpanPrices(
        int(rows[0, _START]),
        _parts(rows[:, _DEVICE]),
        by_rating,
        np.column_stack([rows[single, :keys], ng[single]]),
        by_device,
        changes,
    )


def _parts(devices: Ints) -> list[tuple[int, int]]:
    """First and last of so many devices at a time."""
    if len(devices) <= _DEVICES_AT_ONCE:
        return [(int(devices.min()), int(devices.max()))]
    some = np.unique(devices).tolist()
    parts = [some[at : at + _DEVICES_AT_ONCE] for at in range(0, len(some), _DEVICES_AT_ONCE)]
    return [(part[0], part[-1]) for part in parts]
