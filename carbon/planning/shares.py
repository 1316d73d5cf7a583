"""Who gets the clean hours of a pool where not all can: weighted max-min among teams.

A team may take what its weight gives it and what others leave. How many jobs it has and how it
ranks them is its own matter: neither is asked for when shares are drawn, so neither can win it
more. Within its share a team's jobs go by priority, then by deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from carbon.errors import InvalidInput


class CleanRequest(NamedTuple):
    """What one job would take of the clean hours."""

    team: str
    cpu_h: float
    deadline_ms: int
    priority: int = 0


def team_shares(
    wanted_cpu_h: Mapping[str, float], weight: Mapping[str, float], clean_cpu_h: float
) -> dict[str, float]:
    """The most that each team may take, in cpu-hours; infinite where there is enough for all.

    Teams that want less than their weight gives leave the rest to the others, by weight again.
    A team without a weight has 1. Raises InvalidInput (`weight_not_positive`).
    """
    weights = {team: weight.get(team, 1.0) for team in wanted_cpu_h}
    if any(not value > 0 for value in weights.values()):
        raise InvalidInput("weight_not_positive", "a team's weight is above 0")
    left, sharing = clean_cpu_h, sum(weights.values())
    # The most modest first: once one wants more than its part, all that follow do.
    for team in sorted(wanted_cpu_h, key=lambda name: wanted_cpu_h[name] / weights[name]):
        level = max(left, 0.0) / sharing
        if wanted_cpu_h[team] > level * weights[team]:
            return {name: level * weights[name] for name in wanted_cpu_h}
        left, sharing = left - wanted_cpu_h[team], sharing - weights[team]
    return dict.fromkeys(wanted_cpu_h, float("inf"))


def allotted(
    requests: Sequence[CleanRequest], weight: Mapping[str, float], clean_cpu_h: float
) -> list[float]:
    """The clean cpu-hours of each request, in the order given."""
    wanted: dict[str, float] = {}
    for request in requests:
        wanted[request.team] = wanted.get(request.team, 0.0) + request.cpu_h
    left = team_shares(wanted, weight, clean_cpu_h)
    granted = [0.0] * len(requests)
    for index in _by_rank(requests):
        request = requests[index]
        granted[index] = min(request.cpu_h, max(left[request.team], 0.0))
        left[request.team] -= granted[index]
    return granted


def _by_rank(requests: Sequence[CleanRequest]) -> list[int]:
    """By priority, then by deadline, then as they came."""
    ranks = [(-r.priority, r.deadline_ms) for r in requests]
    return sorted(range(len(ranks)), key=ranks.__getitem__)


def fair_order(requests: Sequence[CleanRequest], weight: Mapping[str, float]) -> list[int]:
    """Indices in the order in which requests are served, by turns among teams.

    A team's next request comes when the work that it has been served, over its weight, is the
    least of all: how many requests it has or how it ranks them moves nobody else's. Raises
    InvalidInput (`weight_not_positive`).
    """
    served: dict[str, float] = {}
    turns: list[tuple[float, str, int]] = []
    for index in _by_rank(requests):
        request = requests[index]
        share = weight.get(request.team, 1.0)
        if not share > 0:
            raise InvalidInput("weight_not_positive", "a team's weight is above 0")
        turns.append((served.get(request.team, 0.0), request.team, index))
        served[request.team] = turns[-1][0] + request.cpu_h / share
    # Stable: requests of a team that have work of 0 keep their rank.
    return [index for _, _, index in sorted(turns, key=lambda turn: turn[:2])]
