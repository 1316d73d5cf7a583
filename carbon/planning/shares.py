"""Who gets the clean hours of a pool where not all can: weighted max-min among teams.

A team may take what its weight gives it and what others leave. How many jobs it has and how it
ranks them is its own matter: neither is asked for when shares are drawn, so neither can win it
more. Within its share a team's jobs go by priority, then by deadline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from carbon.errors import InvalidInput
from carbon.planning.series import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CleanRequests:
    """What jobs would take of the clean hours; all arrays have shape (jobs,)."""

    #: In the order in which their first job stands.
    teams: tuple[str, ...]
    #: The team of each, counted from 0.
    team: IntArray
    cpu_h: FloatArray
    deadline_ms: IntArray
    priority: IntArray

    @classmethod
    def of(
        cls, names: Sequence[str], cpu_h: FloatArray, deadline_ms: IntArray, priority: IntArray
    ) -> CleanRequests:
        """`names` are the jobs' teams, one a job."""
        known: dict[str, int] = {}
        team = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
        return cls(tuple(known), team, cpu_h, deadline_ms, priority)

    def __len__(self) -> int:
        return len(self.team)


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
    requests: CleanRequests, weight: Mapping[str, float], clean_cpu_h: float
) -> FloatArray:
    """The clean cpu-hours of each request, shape (jobs,)."""
    wanted = np.bincount(requests.team, requests.cpu_h, len(requests.teams)).tolist()
    most = team_shares(dict(zip(requests.teams, wanted, strict=True)), weight, clean_cpu_h)
    granted = requests.cpu_h.copy()
    for name, jobs in _by_team(requests):
        asked = requests.cpu_h[jobs]
        left = np.subtract.accumulate(np.append(most[name], asked))[:-1]
        short = np.flatnonzero(left < asked)
        if len(short):  # who comes first has what is left, and nobody after it anything
            granted[jobs[short[0] :]] = 0.0
            granted[jobs[short[0]]] = max(left[short[0]], 0.0)
    return granted


def _by_rank(requests: CleanRequests) -> IntArray:
    """By priority, then by deadline, then as they came."""
    return np.lexsort((requests.deadline_ms, -requests.priority))


def _by_team(requests: CleanRequests) -> Iterator[tuple[str, IntArray]]:
    """Each team's jobs by rank."""
    ranked = _by_rank(requests)
    ranked = ranked[np.argsort(requests.team[ranked], kind="stable")]
    counts = np.bincount(requests.team, minlength=len(requests.teams))
    ends = np.cumsum(counts)
    for name, until, count in zip(requests.teams, ends.tolist(), counts.tolist(), strict=True):
        yield name, ranked[until - count : until]


def fair_order(requests: CleanRequests, weight: Mapping[str, float]) -> IntArray:
    """Indices in the order in which requests are served, by turns among teams.

    A team's next request comes when the work that it has been served, over its weight, is the
    least of all: how many requests it has or how it ranks them moves nobody else's. Raises
    InvalidInput (`weight_not_positive`).
    """
    served = np.zeros(len(requests))
    for name, jobs in _by_team(requests):
        share = weight.get(name, 1.0)
        if not share > 0:
            raise InvalidInput("weight_not_positive", "a team's weight is above 0")
        served[jobs[1:]] = np.cumsum(requests.cpu_h[jobs] / share)[:-1]
    by_name = np.empty(len(requests.teams), dtype=np.int64)
    by_name[sorted(range(len(by_name)), key=requests.teams.__getitem__)] = np.arange(len(by_name))
    # Stable: requests of a team that have work of 0 keep their rank.
    ranked = _by_rank(requests)
    return ranked[np.lexsort((by_name[requests.team[ranked]], served[ranked]))]
