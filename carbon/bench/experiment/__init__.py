"""`carbon bench experiment`: how often a verdict errs, what it finds, and what a gate stops."""

from __future__ import annotations

from collections.abc import Iterator

from carbon.bench.experiment import gates, played, recommended, simulated
from carbon.bench.figure import Figure, Options

#: `simulation`, `gates` and `recommendations` need no quiet machine, and together half a minute.
PARTS = ("simulation", "gates", "recommendations", "controls", "playbook")


def measure(options: Options) -> Iterator[Figure]:
    quick = options.quick
    if options.takes("simulation"):
        yield from simulated.errors(200 if quick else 1_000)
    if options.takes("gates"):
        yield from gates.harm(20 if quick else 100)
    if options.takes("recommendations"):
        yield from recommended.recommended(5 if quick else 20)
        yield from recommended.generated_year(30 if quick else 365)
    if options.takes("controls"):
        yield from played.controls(options)
    if options.takes("playbook"):
        yield from played.all_ten(options)
