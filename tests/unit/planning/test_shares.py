"""Clean hours are shared by the weight of teams, whatever each team asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.errors import InvalidInput
from carbon.planning import shares
from carbon.planning.shares import CleanRequests, team_shares


class CleanRequest(NamedTuple):
    """One job of those that `CleanRequests` holds as columns."""

    team: str
    cpu_h: float
    deadline_ms: int
    priority: int = 0


def columns(asked: list[CleanRequest]) -> CleanRequests:
    return CleanRequests.of(
        [r.team for r in asked],
        np.array([r.cpu_h for r in asked], dtype=np.float64),
        np.array([r.deadline_ms for r in asked], dtype=np.int64),
        np.array([r.priority for r in asked], dtype=np.int64),
    )


def allotted(asked: list[CleanRequest], weight: Mapping[str, float], clean: float) -> list[float]:
    return shares.allotted(columns(asked), weight, clean).tolist()


def fair_order(asked: list[CleanRequest], weight: Mapping[str, float]) -> list[int]:
    return shares.fair_order(columns(asked), weight).tolist()


teams = st.sampled_from("abcd")
amounts = st.floats(0.01, 100)
weights = st.fixed_dictionaries({team: st.floats(0.1, 10) for team in "abcd"})
a_request = st.builds(CleanRequest, teams, amounts, st.integers(0, 9), st.integers(0, 9))
requests = st.lists(a_request, max_size=12)
#: With work of 0 and jobs that cannot be told apart.
alike = st.lists(
    st.builds(
        CleanRequest,
        teams,
        st.one_of(amounts, st.sampled_from([0.0, 0.5, 1.0])),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=30,
)
clean = st.floats(0, 300)
NEAR = 1e-6


def wanted(asked: list[CleanRequest]) -> dict[str, float]:
    return {team: sum(r.cpu_h for r in asked if r.team == team) for team in {r.team for r in asked}}


def taken(
    asked: list[CleanRequest], weight: Mapping[str, float], clean_cpu_h: float
) -> dict[str, float]:
    granted = allotted(asked, weight, clean_cpu_h)
    return {
        team: sum(g for r, g in zip(asked, granted, strict=True) if r.team == team)
        for team in {r.team for r in asked}
    }


def by_rank(asked: list[CleanRequest]) -> list[int]:
    return sorted(range(len(asked)), key=lambda i: (-asked[i].priority, asked[i].deadline_ms))


@given(alike, weights, clean)
def test_jobs_are_granted_what_their_team_has_left_one_after_the_other(asked, weight, clean_cpu_h):
    """To the bit, as the rule says it of one job; many are worked out at once."""
    left: dict[str, float] = {}
    for request in asked:
        left[request.team] = left.get(request.team, 0.0) + request.cpu_h
    left = team_shares(left, weight, clean_cpu_h)
    granted = [0.0] * len(asked)
    for index in by_rank(asked):
        request = asked[index]
        granted[index] = min(request.cpu_h, max(left[request.team], 0.0))
        left[request.team] -= granted[index]
    assert allotted(asked, weight, clean_cpu_h) == granted


@given(alike, weights)
def test_whose_turn_it_is_goes_by_the_least_that_a_team_has_been_served(asked, weight):
    """To the bit, as the rule says it of one job; many are worked out at once."""
    served: dict[str, float] = {}
    turns = []
    for index in by_rank(asked):
        request = asked[index]
        turns.append((served.get(request.team, 0.0), request.team, index))
        served[request.team] = turns[-1][0] + request.cpu_h / weight[request.team]
    expected = [index for _, _, index in sorted(turns, key=lambda turn: turn[:2])]
    assert fair_order(asked, weight) == expected


def test_a_weight_that_is_none_is_refused_as_turns_are_drawn() -> None:
    with pytest.raises(InvalidInput) as refused:
        fair_order([CleanRequest("a", 1.0, 0)], {"a": 0.0})
    assert refused.value.code == "weight_not_positive"


@given(requests, weights, clean, a_request)
def test_more_jobs_never_raise_a_teams_share(asked, weight, clean_cpu_h, more):
    before = team_shares(wanted(asked), weight, clean_cpu_h)
    after = team_shares(wanted([*asked, more]), weight, clean_cpu_h)
    if more.team in before:
        assert after[more.team] <= before[more.team] * (1 + NEAR)


@given(requests, weights, clean, a_request)
def test_more_jobs_never_push_another_team_below_its_weight(asked, weight, clean_cpu_h, more):
    all_asked = [*asked, more]
    granted, demand = taken(all_asked, weight, clean_cpu_h), wanted(all_asked)
    sharing = sum(weight[team] for team in demand)
    for team, amount in granted.items():
        assert amount >= min(demand[team], clean_cpu_h * weight[team] / sharing) * (1 - NEAR) - NEAR


@given(requests, weights, clean, st.data())
def test_a_higher_priority_changes_nothing_between_teams(asked, weight, clean_cpu_h, data):
    other = [
        CleanRequest(r.team, r.cpu_h, r.deadline_ms, data.draw(st.integers(0, 99))) for r in asked
    ]
    one, two = (taken(r, weight, clean_cpu_h) for r in (asked, other))
    assert one == pytest.approx(two)


@given(requests, weights, clean)
def test_no_clean_hour_is_left_while_somebody_wants_it_and_none_is_given_twice(
    asked, weight, clean_cpu_h
):
    granted = allotted(asked, weight, clean_cpu_h)
    total = sum(request.cpu_h for request in asked)
    assert sum(granted) == pytest.approx(min(total, clean_cpu_h))
    assert all(0 <= g <= r.cpu_h for g, r in zip(granted, asked, strict=True))


@given(requests, weights, clean)
def test_who_gets_less_than_it_wants_has_no_less_per_weight_than_anybody(
    asked, weight, clean_cpu_h
):
    granted, demand = taken(asked, weight, clean_cpu_h), wanted(asked)
    short = [team for team in demand if granted[team] < demand[team] * (1 - NEAR)]
    for team in short:
        level = granted[team] / weight[team]
        assert all(granted[o] / weight[o] <= level * (1 + NEAR) + NEAR for o in demand)


def test_what_a_modest_team_leaves_goes_to_the_others_by_weight():
    shares = team_shares({"a": 2, "b": 50, "c": 50}, {"a": 1, "b": 2, "c": 1}, 20)
    assert shares == pytest.approx({"a": 6.0, "b": 12.0, "c": 6.0})


def test_with_enough_for_all_nobody_is_limited():
    assert team_shares({"a": 2, "b": 3}, {}, 5) == {"a": float("inf"), "b": float("inf")}
    assert team_shares({}, {}, 5) == {}


def test_within_a_team_priority_goes_first_and_then_the_deadline():
    asked = [CleanRequest("a", 4, 9), CleanRequest("a", 4, 5), CleanRequest("a", 4, 9, priority=1)]
    assert allotted(asked, {}, 6) == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_a_weight_is_above_0(weight):
    with pytest.raises(InvalidInput) as refused:
        team_shares({"a": 1}, {"a": weight}, 5)
    assert refused.value.code == "weight_not_positive"


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5), st.integers(0, 3)), max_size=12),
    st.integers(1, 8),
)
def test_more_jobs_or_rank_of_another_team_never_move_my_turn_beyond_its_share(
    asked: list[tuple[str, int, int]], more: int
) -> None:
    """After every turn of mine the other team was served at most one request beyond me."""
    mine = [CleanRequest("me", 1.0, at) for at in range(4)]
    others = [CleanRequest(team, float(h), 0, rank) for team, h, rank in asked]
    crowd = [CleanRequest("crowd", 1.0, 0, 100)] * more
    order = fair_order([*mine, *others, *crowd], {})
    assert sorted(order) == list(range(len(order)))
    served = {"me": 0.0, "crowd": 0.0}
    for index in order:
        request = [*mine, *others, *crowd][index]
        if request.team == "me":
            assert served["crowd"] <= served["me"] + 1
        if request.team in served:
            served[request.team] += request.cpu_h


def test_a_team_of_double_weight_has_two_turns_for_one() -> None:
    asked = [CleanRequest(team, 1.0, at) for at in range(4) for team in ("a", "b")]
    order = fair_order(asked, {"b": 2.0})
    assert "".join(asked[i].team for i in order[:6]) == "abbabb"
