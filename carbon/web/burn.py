"""How a budget burns down, drawn: a small picture on the first page, a chart on its own screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from carbon.clock import from_rfc3339
from carbon.web.figures import ENERGY, MASS
from carbon.wire.budgets import BudgetAnswer

#: Of the small picture, in its own units; it is stretched to the width of its place.
WIDTH: Final = 300.0
HEIGHT: Final = 64.0
#: Room above the highest of budget, use and forecast.
_ROOM: Final = 1.06


@dataclass(frozen=True, slots=True)
class SmallBurn:
    """Paths of an SVG of WIDTH x HEIGHT."""

    used: str
    filled: str
    ahead: str
    band: str
    budget_y: float
    now_x: float


def small_burn(budget: BudgetAnswer) -> SmallBurn | None:
    """None for a rate, and where nothing is measured yet."""
    if not budget.course:
        return None
    start_ms, end_ms = from_rfc3339(budget.start), from_rfc3339(budget.end)
    top = _ROOM * max(budget.amount, budget.used or 0.0, *(p.high for p in budget.ahead))

    def at(moment: str, value: float) -> str:
        x = WIDTH * (from_rfc3339(moment) - start_ms) / (end_ms - start_ms)
        return f"{x:.1f} {HEIGHT * (1 - value / top):.1f}"

    used = [at(p.at, p.used) for p in budget.course]
    low = [at(p.at, p.low) for p in budget.ahead]
    high = [at(p.at, p.high) for p in budget.ahead]
    now_x = float(used[-1].split()[0])
    return SmallBurn(
        _path(used),
        _path([*used, f"{now_x:.1f} {HEIGHT:.0f}", f"0 {HEIGHT:.0f}"]),
        _path(at(p.at, p.value) for p in budget.ahead),
        _path([*high, *reversed(low)]),
        HEIGHT * (1 - budget.amount / top),
        now_x,
    )


def _path(points: Iterable[str]) -> str:
    joined = " L".join(points)
    return f"M{joined}" if joined else ""


def burn_chart(budget: BudgetAnswer, timezone: str) -> dict[str, Any]:
    """What was used by when, the forecast with its 95 %, and the budget as a line."""
    of = ENERGY if budget.measure == "energy_kwh" else MASS
    size, unit = of.unit_for(budget.amount)
    return {
        "id": f"burn-{budget.id}",
        "kind": "burn",
        "timezone": timezone,
        "unit": unit,
        "start": budget.start,
        "end": budget.end,
        "amount": budget.amount / size,
        "course": [[p.at, p.used / size] for p in budget.course],
        "ahead": [[p.at, p.value / size, p.low / size, p.high / size] for p in budget.ahead],
    }
