"""`carbon bench agent`: what the agent costs, how true its figures are, what an outage takes."""

from __future__ import annotations

from carbon.bench.agent.accuracy import accuracy
from carbon.bench.agent.catch_up import catch_up
from carbon.bench.agent.cost import cost
from carbon.bench.agent.outage import outage
from carbon.bench.agent.scripted import Unscripted, library
from carbon.bench.agent.sharing import sharing
from carbon.bench.agent.start import start
from carbon.bench.figure import Figure, Options, not_taken


def measure(options: Options) -> list[Figure]:
    """The table of scripted GPUs needs the library that the checkout's tests build."""
    figures = [*start(options), *catch_up(options)]
    try:
        folder = library()
    except Unscripted as error:
        return [*figures, not_taken("everything on scripted GPUs", "", str(error))]
    for part in (cost, accuracy, sharing, outage):
        figures += part(folder, options)
    return figures
