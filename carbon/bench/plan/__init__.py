"""`carbon bench plan`: how near plans come to the best that exists, and how fast they are made."""

from __future__ import annotations

from carbon.bench.figure import Figure, Options
from carbon.bench.plan import capacity, deadlines, dispatch, exactness, gaia, service, speed, years
from carbon.bench.plan.traces import Traces

_ABSENT = "traces absent: set CARBON_BENCH_DATA to their folder"


def measure(options: Options) -> list[Figure]:
    figures = [*exactness.figures(options.quick), *speed.figures(options.quick)]
    figures += deadlines.figures(options.quick)
    figures += service.figures(options)
    figures += dispatch.figures(options)
    traces = Traces.of(options.data)
    for part in (gaia, capacity, years):
        found = part.absent(_ABSENT) if traces is None else part.figures(traces, options.quick)
        figures.extend(found)
    return figures
