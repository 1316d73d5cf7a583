"""`carbon bench sci`: worked cases, conservation, properties, intervals, and how long a report
takes."""

from __future__ import annotations

from carbon.bench.figure import Figure, Options
from carbon.bench.sci import calls, cases, conservation, intervals, properties, speed


def measure(options: Options) -> list[Figure]:
    return [
        *cases.figures(options.data),
        *conservation.figures(options.quick),
        *properties.figures(options.quick),
        *intervals.figures(options.quick),
        *speed.figures(options.quick),
        *calls.figures(options.data, options.quick),
    ]
