"""`carbon bench plan`: how near plans come to the best that exists, and how fast they are made."""

from __future__ import annotations

from collections.abc import Iterator

from carbon.bench.figure import Figure, Options
from carbon.bench.plan import capacity, deadlines, dispatch, exactness, gaia, service, speed, years
from carbon.bench.plan.traces import Traces

_ABSENT = "traces absent: set CARBON_BENCH_DATA to their folder"


#: The pure planner; the service on both databases; starts, failover and races; real traces.
PARTS = ("planner", "service", "dispatch", "traces")


def measure(options: Options) -> Iterator[Figure]:
    if options.takes("planner"):
        yield from exactness.figures(options.quick)
        yield from speed.figures(options.quick)
        yield from deadlines.figures(options.quick)
    if options.takes("service"):
        yield from service.figures(options)
    if options.takes("dispatch"):
        yield from dispatch.figures(options)
    if options.takes("traces"):
        traces = Traces.of(options.data)
        for part in (gaia, capacity, years):
            yield from (
                part.absent(_ABSENT) if traces is None else part.figures(traces, options.quick)
            )
