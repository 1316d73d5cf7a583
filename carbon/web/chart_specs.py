"""What the one chart script draws: times on one axis, one unit on the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.services.jobs.outlook import JobOutlook
from carbon.services.screens.avoided import Avoided
from carbon.services.screens.breakdown import MOST_DRAWN, Breakdown
from carbon.services.screens.changes import Changed
from carbon.services.screens.workload_view import WorkloadView
from carbon.web.catalogue import say
from carbon.web.figures import MASS


def breakdown_chart(answer: Breakdown) -> dict[str, Any]:
    """Stacked bars of grams: the greatest lines by name, the rest as one."""
    tallest = max(
        (sum(filter(None, column)) for column in zip(*_columns(answer), strict=True)), default=0.0
    )
    size, unit = MASS.unit_for(tallest)
    named = [line for line in answer.lines if line.name][:MOST_DRAWN]
    others = [line for line in answer.lines if line.name][MOST_DRAWN:]
    nobody = [line for line in answer.lines if not line.name]
    groups = [
        *((line.name, str(at + 1), [line]) for at, line in enumerate(named)),
        *([(say("share.others"), "others", others)] if others else []),
        *([(say("breakdown.nobody"), "idle", nobody)] if nobody else []),
    ]
    return {
        "id": "breakdown-chart",
        "kind": "stack",
        "timezone": answer.timezone,
        "step_h": answer.step_h,
        "unit": unit,
        "times": [to_rfc3339(ms) for ms in answer.steps_ms],
        "series": [
            {"name": name, "hue": hue, "values": _summed([ln.total_g_by_step for ln in own], size)}
            for name, hue, own in groups
        ],
    }


def _columns(answer: Breakdown) -> list[list[float | None]]:
    return [line.total_g_by_step for line in answer.lines] or [[]]


def _summed(rows: Sequence[Sequence[float | None]], size: float) -> list[float | None]:
    return [
        None if all(v is None for v in column) else sum(v or 0.0 for v in column) / size
        for column in zip(*rows, strict=True)
    ]


def avoided_chart(answer: Avoided) -> dict[str, Any]:
    """What was and what would have been, side by side; losses below the line."""
    tallest = max((max(s.counterfactual_g, s.actual_g) for s in answer.steps), default=0.0)
    size, unit = MASS.unit_for(tallest)

    def scaled(name: str) -> list[float | None]:
        return [getattr(s, name) / size if s.count else None for s in answer.steps]

    return {
        "id": "avoided-chart",
        "kind": "pairs",
        "timezone": answer.timezone,
        "step_h": answer.step_h,
        "unit": unit,
        "times": [to_rfc3339(step.start_ms) for step in answer.steps],
        "series": [
            {
                "name": say("chart.counterfactual"),
                "hue": "others",
                "is_hatched": True,
                "values": scaled("counterfactual_g"),
            },
            {
                "name": say("chart.as_run"),
                "hue": "1",
                "is_hatched": False,
                "values": scaled("actual_g"),
            },
            {
                "name": say("chart.lost"),
                "hue": "lost",
                "is_hatched": False,
                "values": scaled("lost_g"),
            },
        ],
    }


def workload_chart(answer: WorkloadView) -> dict[str, Any]:
    """SCI per unit over time with its 95 % band; gaps stay gaps."""
    rates = [p.high or p.sci_g_per_unit for p in answer.points if p.sci_g_per_unit is not None]
    size, unit = MASS.unit_for(max((r for r in rates if r is not None), default=1.0))
    return {
        "id": "workload-chart",
        "kind": "band",
        "timezone": answer.timezone,
        "step_h": 24 if answer.step != "1h" else 1,
        "unit": f"{unit} / {answer.unit}",
        "times": [p.start for p in answer.points],
        "low": [_scaled(p.low, size) for p in answer.points],
        "high": [_scaled(p.high, size) for p in answer.points],
        "marks": _marks(answer),
        "series": [
            {
                "name": say("workload.rate", unit=answer.unit),
                "hue": "1",
                "values": [_scaled(p.sci_g_per_unit, size) for p in answer.points],
            }
        ],
    }


def _marks(answer: WorkloadView) -> list[dict[str, Any]]:
    """Where what the figures rest on changed: numbered as in the list below the chart."""
    starts = [from_rfc3339(point.start) for point in answer.points]
    return [
        {
            "at": max(0, bisect_right(starts, change.at_ms) - 1),
            "number": number,
            "text": f"{number}: {change_told(change)}",
        }
        for number, change in enumerate(answer.changes, 1)
        if starts
    ]


def change_told(change: Changed) -> str:
    return say(f"change.{change.kind}", about=change.about, value=change.value)


def comparison_chart(a: WorkloadView, b: WorkloadView) -> dict[str, Any] | None:
    """Both courses where they are counted in one unit; else nothing could be read off it."""
    if a.unit != b.unit or not a.points or not b.points:
        return None
    starts = sorted({p.start for view in (a, b) for p in view.points})
    rates = [p.sci_g_per_unit for view in (a, b) for p in view.points]
    size, unit = MASS.unit_for(max((r for r in rates if r is not None), default=1.0))
    return {
        "id": "compare-chart",
        "kind": "band",
        "timezone": a.timezone,
        "step_h": 24 if a.step != "1h" else 1,
        "unit": f"{unit} / {a.unit}",
        "times": starts,
        "low": [],
        "high": [],
        "marks": [],
        "series": [
            {"name": view.workload, "hue": hue, "values": _aligned(view, starts, size)}
            for view, hue in ((a, "1"), (b, "5"))
        ],
    }


def _aligned(view: WorkloadView, starts: Sequence[str], size: float) -> list[float | None]:
    rate = {p.start: p.sci_g_per_unit for p in view.points}
    return [_scaled(rate.get(start), size) for start in starts]


def _scaled(value: float | None, size: float) -> float | None:
    return None if value is None else value / size


def plan_chart(answer: JobOutlook) -> dict[str, Any]:
    """The hours ahead as steps, with the window that the job would take."""
    window = None
    if answer.start_ms is not None and answer.end_ms is not None:
        window = [to_rfc3339(answer.start_ms), to_rfc3339(answer.end_ms)]
    return {
        "id": "plan-chart",
        "kind": "steps",
        "timezone": answer.timezone,
        "unit": "g/kWh",
        "now": to_rfc3339(answer.now_ms),
        "window": window,
        "points": [
            [to_rfc3339(p.start_ms), to_rfc3339(p.end_ms), p.g_per_kwh, p.kind, p.low, p.high]
            for p in answer.points
        ],
    }
