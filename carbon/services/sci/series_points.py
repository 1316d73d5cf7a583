"""Rows of a series to its groups and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import UNSET

from carbon.clock import to_rfc3339
from carbon.domain.energy import Method
from carbon.domain.factor_book import FactorBook
from carbon.domain.sci import Score
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_HOUR
from carbon.services.sci.counting import DEVICE_HOUR
from carbon.services.sci.held_devices import Share, shares_of
from carbon.services.sci.score_columns import Rows, exact_sums, scores
from carbon.storage.columns import Ints, distinct, distinct_places
from carbon.storage.ledger_rows import DeviceRef
from carbon.storage.ratings import Rating
from carbon.storage.series import SeriesRows
from carbon.wire.series import SeriesGroup, SeriesPoint


class Dimension(StrEnum):
    TEAM = "team"
    WORKLOAD = "workload"
    ZONE = "zone"
    DEVICE = "device"
    #: Of the experiment that a run belongs to; null where it belongs to none.
    TECHNIQUE = "technique"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a workload is counted in, and step → (R, set aside).

    `unit` is None where it has several and none was asked for; `by_step` None counts the
    device-time itself.
    """

    unit: str | None
    by_step: Mapping[int, tuple[int | float, int | float]] | None


_DEVICE_HOURS = Counts(DEVICE_HOUR, None)
_Key = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Series:
    """The rows of a window with all that turns them into points."""

    group_by: Sequence[Dimension]
    steps: Sequence[tuple[int, int]]
    rows: SeriesRows
    #: Those that the reader may see.
    names: Mapping[int, WorkloadName]
    devices: Mapping[int, DeviceRef]
    ratings: Mapping[int, Rating]
    book: FactorBook
    #: By workload; empty where groups cannot be counted but in device-hours.
    counts: Mapping[int, Counts]
    _shares: dict[tuple[int, int], Sequence[Share]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Points of the answer."""
        return len(distinct(self._group, self.rows.step))

    def groups(self) -> list[SeriesGroup]:
        """In order of key, what is nobody's first."""
        keys = self._keys
        of_group = self._points(self._group, [self._counts_of(one) for one in range(len(keys))])
        ordered = sorted(range(len(keys)), key=lambda one: [value or "" for _, value in keys[one]])
        return [SeriesGroup(dict(keys[one]), of_group[one]) for one in ordered]

    def total(self) -> list[SeriesPoint]:
        [points] = self._points(np.zeros_like(self.rows.step), [_DEVICE_HOURS])
        return points

    def _counts_of(self, group: int) -> Counts:
        first = int(np.argmax(self._group == group))
        return self.counts.get(int(self.rows.workload[first]), _DEVICE_HOURS)

    @cached_property
    def _keys(self) -> list[_Key]:
        return list(self._grouped[0])

    @cached_property
    def _group(self) -> Ints:
        """The number of each row's key."""
        return self._grouped[1]

    @cached_property
    def _grouped(self) -> tuple[dict[_Key, int], Ints]:
        """Keys by number; what tells them apart is looked at once for each kind of row."""
        r, by = self.rows, set(self.group_by)
        is_named = bool({Dimension.TEAM, Dimension.WORKLOAD} & by)
        nothing = np.zeros_like(r.step)
        told = distinct_places(
            r.workload if is_named else nothing,
            r.is_idle if is_named else nothing,
            r.rating if Dimension.ZONE in by else nothing,
            r.device if Dimension.DEVICE in by else nothing,
            r.technique if Dimension.TECHNIQUE in by else nothing,
        )
        numbers: dict[_Key, int] = {}
        of_kind = [numbers.setdefault(self._key(*one), len(numbers)) for one in told[0].tolist()]
        return numbers, np.array(of_kind, dtype=np.int64)[told[1]]

    def _key(self, workload: int, is_idle: int, rating: int, device: int, technique: int) -> _Key:
        name = self.names.get(workload)
        key: list[tuple[str, str | None]] = []
        for dimension in self.group_by:
            value: str | None = None
            if dimension is Dimension.ZONE:
                value = self.ratings[rating].zone
            elif dimension is Dimension.DEVICE:
                value = self.devices[device].uuid
            elif dimension is Dimension.TECHNIQUE:
                value = self.rows.techniques[technique] or None
            elif name is not None:
                value = name.team if dimension is Dimension.TEAM else str(name)
            key.append((str(dimension), value))
        if {Dimension.TEAM, Dimension.WORKLOAD} & set(self.group_by):
            nobodys = "idle" if is_idle else "unattributed"
            key.append(("kind", "workload" if name else nobodys))
        return tuple(key)

    def _points(self, group: Ints, counts: Sequence[Counts]) -> list[list[SeriesPoint]]:
        """Of each group one for each step in which there is anything."""
        r = self.rows
        told, point = distinct_places(group, r.step)
        of_point = told.tolist()
        covered_ms = exact_sums(r.covered_ms, point, len(of_point))
        counted = [
            _counted(step, covered, counts[one])
            for (one, step), covered in zip(of_point, covered_ms, strict=True)
        ]
        columns = (r.device, r.method, r.rating, r.energy_mj)
        rows = Rows(*columns, r.operational_ng, r.covered_ms, r.reserved_ms)

        known, alike, steps = self._shares, self._alike, [step for _, step in of_point]

        def shares(place: int, device: int) -> Sequence[Share]:
            """Asked once for devices that are alike."""
            key = steps[place], alike[device]
            if key not in known:
                known[key] = shares_of(self.book, self.devices[device], *self.steps[key[0]])
            return known[key]

        results = scores(rows, point, [count for count, _ in counted], self.ratings, shares)
        coverage, flags = self._coverage(point, len(of_point)), self._flags(point, len(of_point))
        points: list[list[SeriesPoint]] = [[] for _ in counts]
        for place, (one, step) in enumerate(of_point):
            unit, aside = counts[one].unit, counted[place][1]
            made = self._point(step, results[place], unit, aside, coverage[place], flags[place])
            points[one].append(made)
        return points

    def _point(
        self,
        step: int,
        result: Score,
        unit: str | None,
        aside: int | float,
        coverage: float | None,
        flags: list[str],
    ) -> SeriesPoint:
        reason = str(result.reason) if result.reason else UNSET
        start, end = self._stamps[step]
        return SeriesPoint(
            start=start,
            end=end,
            unit=unit,
            count=result.count,
            count_set_aside=aside,
            energy_mj=result.energy_mj,
            measured_g=result.measured_g,
            estimated_g=result.estimated_g,
            operational_g=result.operational_g,
            embodied_g=result.embodied_g,
            total_g=result.total_g,
            sci_g_per_unit=result.sci_g_per_unit,
            low=result.low,
            high=result.high,
            reason="unit_required" if unit is None else reason,
            coverage=coverage,
            methods=result.methods,
            zones=list(result.zones),
            flags=flags,
        )

    @cached_property
    def _stamps(self) -> list[tuple[str, str]]:
        return [(to_rfc3339(lo), to_rfc3339(hi)) for lo, hi in self.steps]

    @cached_property
    def _alike(self) -> dict[int, int]:
        """Device → the number of those whose making is charged as its is."""
        numbers: dict[tuple[Any, ...], int] = {}
        found = {}
        for id_, device in self.devices.items():
            like = self.book.likeness(device.uuid, device.host)
            key = device.kind, device.model, device.commissioned_ms, device.server, like
            found[id_] = numbers.setdefault(key, len(numbers))
        return found

    def _coverage(self, point: Ints, points: int) -> list[float | None]:
        r = self.rows
        backed = np.where(r.method == int(Method.ESTIMATED), 0, r.covered_ms)
        sums = (exact_sums(values, point, points) for values in (backed, r.expected_ms))
        return [
            min(1.0, backed_ms / expected_ms) if expected_ms else None
            for backed_ms, expected_ms in zip(*sums, strict=True)
        ]

    def _flags(self, point: Ints, points: int) -> list[list[str]]:
        found: list[set[str]] = [set() for _ in range(points)]
        for place, rating in distinct(point, self.rows.rating).tolist():
            found[place].update(self.ratings[rating].flags)
        return [sorted(flags) for flags in found]


def _counted(step: int, covered_ms: int, counts: Counts) -> tuple[int | float, int | float]:
    if counts.by_step is None:
        return covered_ms / MS_PER_HOUR, 0
    return counts.by_step.get(step, (0, 0))
