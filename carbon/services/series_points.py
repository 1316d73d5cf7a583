"""Rows of a series to its groups and points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec import UNSET

from carbon.clock import to_rfc3339
from carbon.domain.embodied import EmbodiedCharge
from carbon.domain.energy import Method
from carbon.domain.factor_book import FactorBook
from carbon.domain.intensity import PointKind
from carbon.domain.sci import Charge, score
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_HOUR
from carbon.services.counting import DEVICE_HOUR
from carbon.services.held_devices import embodied_charges
from carbon.storage.ledger_rows import DeviceRef
from carbon.storage.ratings import Rating
from carbon.storage.series import SeriesRow
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
    rows: Sequence[SeriesRow]
    #: Those that the reader may see.
    names: Mapping[int, WorkloadName]
    devices: Mapping[int, DeviceRef]
    ratings: Mapping[int, Rating]
    book: FactorBook
    #: By workload; empty where groups cannot be counted but in device-hours.
    counts: Mapping[int, Counts]

    @property
    def size(self) -> int:
        """Points of the answer."""
        return len({(self._key(row), row.step) for row in self.rows})

    def groups(self) -> list[SeriesGroup]:
        """In order of key, what is nobody's first."""
        found: dict[_Key, list[SeriesRow]] = defaultdict(list)
        for row in self.rows:
            found[self._key(row)].append(row)
        ordered = sorted(found.items(), key=lambda item: [value or "" for _, value in item[0]])
        return [
            SeriesGroup(
                dict(key), self._points(rows, self.counts.get(rows[0].workload_id, _DEVICE_HOURS))
            )
            for key, rows in ordered
        ]

    def total(self) -> list[SeriesPoint]:
        return self._points(self.rows, _DEVICE_HOURS)

    def _key(self, row: SeriesRow) -> _Key:
        name = self.names.get(row.workload_id)
        told = {
            Dimension.TEAM: name.team if name else None,
            Dimension.WORKLOAD: str(name) if name else None,
            Dimension.ZONE: self.ratings[row.rating_id].zone,
            Dimension.DEVICE: self.devices[row.device_id].uuid,
            Dimension.TECHNIQUE: row.technique or None,
        }
        key = [(str(dimension), told[dimension]) for dimension in self.group_by]
        if {Dimension.TEAM, Dimension.WORKLOAD} & set(self.group_by):
            key.append(("kind", "workload" if name else _nobodys(row)))
        return tuple(key)

    def _points(self, rows: Iterable[SeriesRow], counts: Counts) -> list[SeriesPoint]:
        """One for each step in which there is anything."""
        by_step: dict[int, list[SeriesRow]] = defaultdict(list)
        for row in rows:
            by_step[row.step].append(row)
        return [self._point(step, by_step[step], counts) for step in sorted(by_step)]

    def _point(self, step: int, rows: Sequence[SeriesRow], counts: Counts) -> SeriesPoint:
        count, aside = _counted(step, rows, counts)
        result = score([self._charge(row) for row in rows], self._embodied(step, rows), count)
        reason = str(result.reason) if result.reason else UNSET
        return SeriesPoint(
            start=to_rfc3339(self.steps[step][0]),
            end=to_rfc3339(self.steps[step][1]),
            unit=counts.unit,
            count=count,
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
            reason="unit_required" if counts.unit is None else reason,
            coverage=_coverage(rows),
            methods=result.methods,
            zones=list(result.zones),
            flags=sorted({flag for row in rows for flag in self.ratings[row.rating_id].flags}),
        )

    def _charge(self, row: SeriesRow) -> Charge:
        rating = self.ratings[row.rating_id]
        return Charge(
            device=row.device_id,
            method=Method(row.method),
            zone=rating.zone,
            energy_mj=row.energy_mj,
            operational_ng=row.operational_ng,
            covered_ms=row.covered_ms,
            intensity_kind=PointKind(rating.kind),
            pue_is_stated=rating.pue_is_stated,
        )

    def _embodied(self, step: int, rows: Sequence[SeriesRow]) -> list[EmbodiedCharge]:
        held: dict[int, int] = defaultdict(int)
        for row in rows:
            held[row.device_id] += row.reserved_ms
        return [
            charge
            for device_id in sorted(held)
            for charge in embodied_charges(
                self.book, device_id, self.devices[device_id], held[device_id], *self.steps[step]
            )
        ]


def _nobodys(row: SeriesRow) -> str:
    return "idle" if row.is_idle else "unattributed"


def _counted(
    step: int, rows: Sequence[SeriesRow], counts: Counts
) -> tuple[int | float, int | float]:
    if counts.by_step is None:
        return sum(row.covered_ms for row in rows) / MS_PER_HOUR, 0
    return counts.by_step.get(step, (0, 0))


def _coverage(rows: Sequence[SeriesRow]) -> float | None:
    expected_ms = sum(row.expected_ms for row in rows)
    backed_ms = sum(row.covered_ms for row in rows if row.method != Method.ESTIMATED)
    return min(1.0, backed_ms / expected_ms) if expected_ms else None
