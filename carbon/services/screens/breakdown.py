"""Energy and carbon of a time range by team, workload, zone or device model, and over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct

from carbon.domain.factor_book import FactorBook
from carbon.domain.principal import Principal
from carbon.domain.sci import Score, score
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_HOUR, grams, kwh
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.held_devices import Share, charged, shares_of
from carbon.services.sci.score_columns import Rows, exact_sums, first_seen, scores
from carbon.services.sci.time_range import TimeRange
from carbon.services.sci.today import Figure
from carbon.storage.columns import Ints
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import workload_names
from carbon.storage.ledger_rows import DeviceRef
from carbon.storage.period_sums import PeriodSums, models_by_id, period_sums
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
    timezone = ZoneInfo(context.settings.timezone)
    with reading(context.engine) as connection:
        own = None if principal.sees_all_teams else principal.team
        names = dict(workload_names(connection, own or team))
        chosen = None if own is None and team is None else list(names)
        # Of the time before only the whole is told: one step that holds it all.
        rows, before = (
            period_sums(
                connection, told.start_ms, told.end_ms, step_ms, timezone, told.is_daily, chosen
            )
            for told, step_ms in ((window, window.step_ms), (window.before(), window.whole_ms))
        )
        models = models_by_id(connection)
        ledger = _Ledger(window, names, models, ratings(connection), factor_book(connection))
    lines, line = ledger.lines(rows, by)
    kinds = _kinds(rows, line)
    whole, earlier_whole, *scored = ledger.scored(kinds, _kinds(before, np.zeros_like(before.step)))
    steps = int(rows.step.max(initial=-1)) + 1
    by_step = ledger.by_step(rows, line, len(lines), steps)
    made = [
        _line(name, own_score, measured_mj, whole, *of_steps)
        for name, own_score, measured_mj, of_steps in zip(
            lines, scored, kinds.measured_mj(len(lines)), by_step, strict=True
        )
    ]
    has_before = bool(len(before.step))
    return Breakdown(
        window.start_ms,
        window.end_ms,
        str(timezone),
        str(by),
        own or team,
        [window.start_ms + n * window.step_ms for n in range(steps)],
        window.step_ms // MS_PER_HOUR,
        kwh(whole.energy_mj),
        whole.operational_g,
        whole.embodied_g,
        _figure(whole),
        _share(sum(kinds.measured_mj(len(lines))), whole.energy_mj),
        _figure(earlier_whole).value if has_before else None,
        kwh(earlier_whole.energy_mj) if has_before else None,
        sorted(made, key=lambda one: (-one.total_g.value, one.name)),
        sorted(
            {flag for id_ in np.unique(rows.rating).tolist() for flag in ledger.ratings[id_].flags}
        ),
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

    def lines(self, rows: PeriodSums, by: By) -> tuple[list[str], Ints]:
        """The names of the groups, in the order of the first row of each, and each row's group."""
        told = {By.ZONE: rows.rating, By.DEVICE: rows.model}.get(by, rows.workload)
        number, firsts = first_seen(told)
        names: dict[str, int] = {}
        of_told = [
            names.setdefault(self._name(id_, by), len(names)) for id_ in told[firsts].tolist()
        ]
        return list(names), np.array(of_told, dtype=np.int64)[number]

    def _name(self, id_: int, by: By) -> str:
        """Of the group of a workload, rating or model."""
        if by is By.ZONE:
            return self.ratings[id_].zone
        if by is By.DEVICE:
            kind, model = self.models[id_]
            return model or kind
        name = self.names.get(id_)
        if name is None:
            return ""
        return str(name) if by is By.WORKLOAD else name.team

    def scored(self, kinds: _Kinds, before: _Kinds) -> list[Score]:
        """Of all, of all before, then of each line; of nothing the score of nothing."""
        rows = np.concatenate([kinds.columns, before.columns, kinds.columns], axis=1)
        group = np.concatenate(
            [np.zeros_like(kinds.line), np.ones_like(before.line), kinds.line + 2]
        )
        present, number = np.unique(group, return_inverse=True)
        made = Rows(*rows)
        covered_ms = exact_sums(made.covered_ms, number, len(present))
        counts = [ms / MS_PER_HOUR for ms in covered_ms]
        found = scores(made, number, counts, self.ratings, lambda _, model: self._shares(model))
        of_group = dict(zip(present.tolist(), found, strict=True))
        nothing = score([], [], 0.0)
        return [of_group.get(one, nothing) for one in range(2 + len(np.unique(kinds.line)))]

    def by_step(
        self, rows: PeriodSums, line: Ints, lines: int, steps: int
    ) -> list[tuple[list[float | None], list[float | None]]]:
        """Grams and kWh of each step, of each line."""
        number, firsts = first_seen(line, rows.step)
        ng = exact_sums(rows.operational_ng, number, len(firsts))
        mj = exact_sums(rows.energy_mj, number, len(firsts))
        models, place = np.unique(rows.model, return_inverse=True)
        per_ms = np.array([self._embodied_ng_per_ms(model) for model in models.tolist()])
        # Adds one after the other, as a loop would.
        embodied_ng = np.bincount(number, rows.reserved_ms * per_ms[place], len(firsts))
        found: list[tuple[list[float | None], list[float | None]]] = [
            ([None] * steps, [None] * steps) for _ in range(lines)
        ]
        cells = zip(
            line[firsts].tolist(), rows.step[firsts].tolist(), ng, mj, embodied_ng, strict=True
        )
        for one, step, own_ng, own_mj, own_embodied_ng in cells:
            total_g, energy_kwh = found[one]
            total_g[step] = grams(own_ng + round(own_embodied_ng))
            energy_kwh[step] = kwh(own_mj)
        return found

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


@dataclass(frozen=True)
class _Kinds:
    """One row for all steps and workloads of a line that a figure cannot tell apart, in the order
    of lines and of the first row of each: (7, n) in the order of `Rows`."""

    line: Ints
    columns: Ints

    def measured_mj(self, lines: int) -> list[int]:
        """Of each line, what a sensor backs."""
        rows = Rows(*self.columns)
        return exact_sums(np.where(rows.is_measured, rows.energy_mj, 0), self.line, lines)


def _kinds(rows: PeriodSums, line: Ints) -> _Kinds:
    number, firsts = first_seen(line, rows.model, rows.method, rows.rating)
    measures = (rows.energy_mj, rows.operational_ng, rows.covered_ms, rows.reserved_ms)
    sums = [exact_sums(values, number, len(firsts)) for values in measures]
    told = [key[firsts] for key in (rows.model, rows.method, rows.rating)]
    columns = np.stack([*told, *np.array(sums, dtype=np.int64)])
    order = np.argsort(line[firsts], kind="stable")
    return _Kinds(line[firsts][order], columns[:, order])


def _line(
    name: str,
    own: Score,
    measured_mj: int,
    whole: Score,
    total_g_by_step: list[float | None],
    energy_kwh_by_step: list[float | None],
) -> BreakdownLine:
    total_g, all_g = _figure(own), whole.operational_g + whole.embodied_g
    return BreakdownLine(
        name,
        kwh(own.energy_mj),
        total_g.value / all_g if all_g else 0.0,
        own.operational_g,
        own.embodied_g,
        total_g,
        _share(measured_mj, own.energy_mj),
        own.covered_ms / MS_PER_HOUR,
        total_g_by_step,
        energy_kwh_by_step,
    )


def _share(part_mj: int, whole_mj: int) -> float | None:
    return part_mj / whole_mj if whole_mj else None


def _figure(result: Score) -> Figure:
    return Figure(result.total.value, result.total.low, result.total.high)
