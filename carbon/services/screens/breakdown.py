"""Energy and carbon of a time range by team, workload, zone or device model, and over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct

from carbon.domain.claims import NO_WORKLOAD
from carbon.domain.energy import Method
from carbon.domain.factor_book import FactorBook
from carbon.domain.principal import Principal
from carbon.domain.sci import Score, score
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_HOUR, grams, kwh
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.held_devices import Share, charged, shares_of
from carbon.services.sci.held_sums import held_sums
from carbon.services.sci.score_columns import Rows, scores
from carbon.services.sci.time_range import TimeRange
from carbon.services.sci.today import Figure
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import workload_names
from carbon.storage.ledger_rows import DeviceRef
from carbon.storage.period_sums import PeriodSum, models_by_id
from carbon.storage.ratings import Rating, ratings

#: Lines that the chart tells apart; the rest is one.
MOST_DRAWN: Final = 7


class By(StrEnum):
    TEAM = "team"
    WORKLOAD = "workload"
    ZONE = "zone"
    DEVICE = "device"


class BreakdownLine(Struct, frozen=True):
    """One group. `name` is empty for what no workload claims."""

    name: str
    energy_kwh: float
    #: Of the carbon of all lines.
    share: float
    operational_g: float
    embodied_g: float
    total_g: Figure
    #: Of the energy: backed by a sensor.
    measured_share: float | None
    device_hours: float
    #: gCO2e of each step; null where the group has nothing.
    total_g_by_step: list[float | None]
    #: IT energy of each step, likewise.
    energy_kwh_by_step: list[float | None]


class Breakdown(Struct, frozen=True):
    start_ms: int
    end_ms: int
    timezone: str
    by: str
    team: str | None
    steps_ms: list[int]
    step_h: int
    energy_kwh: float
    operational_g: float
    embodied_g: float
    total_g: Figure
    measured_share: float | None
    #: Of the range of the same length before; null where that has nothing.
    total_g_before: float | None
    energy_kwh_before: float | None
    lines: list[BreakdownLine]
    flags: list[str]


def breakdown(
    context: Context, principal: Principal, window: TimeRange, by: By, team: str | None = None
) -> Breakdown:
    """Lines by carbon, the greatest first; of the principal's own team unless it sees all."""
    roll_up(context, end_ms=window.end_ms)
    with reading(context.engine) as connection:
        own = None if principal.sees_all_teams else principal.team
        names = dict(workload_names(connection, own or team))
        chosen = None if own is None and team is None else list(names)
        rows = held_sums(connection, window, window.step_ms, chosen)
        # Of the time before only the whole is told: one step that holds it all.
        earlier = window.before()
        before = held_sums(connection, earlier, earlier.whole_ms, chosen)
        models = models_by_id(connection)
        ledger = _Ledger(window, names, models, ratings(connection), factor_book(connection))
    grouped: dict[str, list[PeriodSum]] = defaultdict(list)
    for row in rows:
        grouped[ledger.key(row, by)].append(row)
    of_lines = [list(_of_kinds(own_rows)) for own_rows in grouped.values()]
    kinds = [kind for own in of_lines for kind in own]
    whole, earlier_whole, *scored = ledger.scored([kinds, list(_of_kinds(before)), *of_lines])
    last = max((row.step for row in rows), default=-1)
    lines = [
        ledger.line(name, own, score, whole, own_rows, last + 1)
        for (name, own_rows), own, score in zip(grouped.items(), of_lines, scored, strict=True)
    ]
    return Breakdown(
        window.start_ms,
        window.end_ms,
        str(ZoneInfo(context.settings.timezone)),
        str(by),
        own or team,
        [window.start_ms + n * window.step_ms for n in range(last + 1)],
        window.step_ms // MS_PER_HOUR,
        kwh(whole.energy_mj),
        whole.operational_g,
        whole.embodied_g,
        _figure(whole),
        _measured(kinds),
        _figure(earlier_whole).value if before else None,
        kwh(sum(row.energy_mj for row in before)) if before else None,
        sorted(lines, key=lambda line: (-line.total_g.value, line.name)),
        sorted({flag for row in rows for flag in ledger.ratings[row.rating].flags}),
    )


@dataclass(frozen=True)
class _Ledger:
    """What turns sums into figures."""

    window: TimeRange
    names: Mapping[int, WorkloadName]
    models: Mapping[int, tuple[str, str]]
    ratings: Mapping[int, Rating]
    book: FactorBook
    _per_ms: dict[int, float] = field(default_factory=dict)
    _shares_of: dict[int, list[Share]] = field(default_factory=dict)

    def key(self, row: PeriodSum, by: By) -> str:
        if by is By.WORKLOAD:
            return self._texts.get(row.workload, "")
        name = self.names.get(row.workload)
        if by is By.ZONE:
            return self.ratings[row.rating].zone
        if by is By.DEVICE:
            kind, model = self.models[row.model]
            return model or kind
        return "" if name is None else name.team

    @cached_property
    def _texts(self) -> dict[int, str]:
        return {workload_id: str(name) for workload_id, name in self.names.items()}

    def scored(self, groups: Sequence[Sequence[PeriodSum]]) -> list[Score]:
        """Of each group of rows; of none the score of nothing."""
        told = [row for rows in groups for row in rows]
        columns = np.array([_measures(row) for row in told], dtype=np.int64).reshape(-1, 7).T
        present = [number for number, rows in enumerate(groups) if rows]
        group = np.repeat(np.arange(len(present)), [len(groups[number]) for number in present])
        counts = [sum(row.covered_ms for row in groups[number]) / MS_PER_HOUR for number in present]
        found = scores(Rows(*columns), group, counts, self.ratings, lambda _, m: self._shares(m))
        made = [score([], [], 0.0)] * len(groups)
        for number, one in zip(present, found, strict=True):
            made[number] = one
        return made

    def line(
        self,
        name: str,
        kinds: Sequence[PeriodSum],
        own: Score,
        whole: Score,
        rows: Sequence[PeriodSum],
        steps: int,
    ) -> BreakdownLine:
        total_g, all_g = _figure(own), whole.operational_g + whole.embodied_g
        return BreakdownLine(
            name,
            kwh(own.energy_mj),
            total_g.value / all_g if all_g else 0.0,
            own.operational_g,
            own.embodied_g,
            total_g,
            _measured(kinds),
            own.covered_ms / MS_PER_HOUR,
            *self._by_step(rows, steps),
        )

    def _by_step(
        self, rows: Sequence[PeriodSum], steps: int
    ) -> tuple[list[float | None], list[float | None]]:
        """Grams and kWh of each step."""
        per_ms = {model: self._embodied_ng_per_ms(model) for model in {row.model for row in rows}}
        sums: dict[int, list[float]] = {}
        for row in rows:
            own = sums.setdefault(row.step, [0, 0.0, 0])
            own[0] += row.operational_ng
            own[1] += row.reserved_ms * per_ms[row.model]
            own[2] += row.energy_mj
        total_g: list[float | None] = [None] * steps
        energy_kwh: list[float | None] = [None] * steps
        for step, (operational_ng, embodied_ng, energy_mj) in sums.items():
            total_g[step] = grams(int(operational_ng) + round(embodied_ng))
            energy_kwh[step] = kwh(int(energy_mj))
        return total_g, energy_kwh

    def _embodied_ng_per_ms(self, model: int) -> float:
        """Of one model, over the window."""
        if model not in self._per_ms:
            width_ms = self.window.end_ms - self.window.start_ms
            masses = [ng for _, _, ng in charged(self._shares(model), width_ms)]
            self._per_ms[model] = sum(masses) / width_ms
        return self._per_ms[model]

    def _shares(self, model: int) -> list[Share]:
        if model not in self._shares_of:
            made = DeviceRef("", *self.models[model])
            window = self.window.start_ms, self.window.end_ms
            self._shares_of[model] = shares_of(self.book, made, *window)
        return self._shares_of[model]


def _measures(row: PeriodSum) -> tuple[int, ...]:
    """In the order of `Rows`."""
    keys = (row.model, row.method, row.rating)
    return (*keys, row.energy_mj, row.operational_ng, row.covered_ms, row.reserved_ms)


def _of_kinds(rows: Sequence[PeriodSum]) -> Iterator[PeriodSum]:
    """One row for all steps and workloads that a figure cannot tell apart."""
    sums: dict[tuple[int, int, int], list[int]] = {}
    for row in rows:
        kind = sums.setdefault((row.model, row.method, row.rating), [0, 0, 0, 0])
        kind[0] += row.energy_mj
        kind[1] += row.operational_ng
        kind[2] += row.covered_ms
        kind[3] += row.reserved_ms
    for (model, method, rating), measures in sums.items():
        yield PeriodSum(0, NO_WORKLOAD, model, method, rating, *measures)


def _figure(result: Score) -> Figure:
    return Figure(result.total.value, result.total.low, result.total.high)


def _measured(rows: Sequence[PeriodSum]) -> float | None:
    energy_mj = sum(row.energy_mj for row in rows)
    measured_mj = sum(row.energy_mj for row in rows if Method(row.method).is_measured)
    return measured_mj / energy_mj if energy_mj else None
