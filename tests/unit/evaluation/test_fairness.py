"""Gates on harm: a group's loss is found, small cuts are not shown."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.uncertainty import Interval
from carbon.errors import InvalidInput
from carbon.evaluation.answers import Cell, read_answers, tally
from carbon.evaluation.fairness import judge, mcnemar

counts = st.integers(0, 60)
cells = st.builds(
    Cell, st.sampled_from("abc"), st.sampled_from("01"), counts, counts, counts, counts
)
Row = tuple[str, str, str, str]


def rows(seed: int, harm: float, n: int = 400, groups: str = "ab") -> list[Row]:
    """Both arms are right 9 times in 10; of the last group the treatment loses `harm`."""
    rng = random.Random(seed)
    made = []
    for group in groups:
        for _ in range(n):
            label = rng.choice("01")
            wrong = "1" if label == "0" else "0"
            right = rng.random() < 0.9
            lost = group == groups[-1] and rng.random() < harm
            answer = label if right else wrong
            made.append((group, label, answer, wrong if lost else answer))
    return made


def test_answers_become_counts_and_nothing_else() -> None:
    told = tally([("a", "1", "1", "0"), ("a", "1", "1", "1"), ("b", "0", "1", "0")])
    assert told == [Cell("a", "1", 1, 1, 0, 0), Cell("b", "0", 0, 0, 1, 0)]
    file = io.StringIO("group,label,baseline,treatment\na,1,1,0\na,1,1,1\nb,0,1,0\n")
    assert read_answers(file) == told


@pytest.mark.parametrize("text", ["", "group,label\n", "group,label,baseline,treatment\n"])
def test_a_file_without_answers_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_answers(io.StringIO(text))
    assert refused.value.code == "invalid_answers"


@given(st.lists(cells, min_size=1, max_size=6, unique_by=lambda c: (c.group, c.label)))
@settings(max_examples=40)
def test_figures_lie_within_their_intervals_and_bounds(made: list[Cell]) -> None:
    if not sum(cell.total for cell in made):
        with pytest.raises(ValueError, match="no examples"):
            judge(made)
        return
    found = judge(made, resamples=200)
    assert found.examples == sum(cell.total for cell in made)
    assert -1 <= found.loss.low <= found.loss.value <= found.loss.high <= 1
    for group in found.groups:
        assert group.loss.value == pytest.approx(group.baseline_accuracy - group.treatment_accuracy)
    if found.worst_group_loss is not None:
        assert found.worst_group_loss.value == max(g.loss.value for g in found.groups)


def test_equal_answers_lose_nothing() -> None:
    found = judge(tally(rows(1, 0.0)))
    assert (found.loss.value, found.p_value) == (0, 1)
    assert found.equalised_odds_change is not None
    assert found.equalised_odds_change.value == 0
    assert {group.agreement for group in found.groups} == {1}


def test_a_harmed_group_is_named_though_the_mean_hardly_moves() -> None:
    found = judge(tally(rows(2, 0.2, groups="abcdefghij")))
    assert found.loss.value < 0.03
    assert found.worst_group == "j"
    assert found.worst_group_loss is not None
    assert found.worst_group_loss.low > 0.1
    assert found.equalised_odds_change is not None
    assert found.equalised_odds_change.low > 0.02


def test_cuts_below_five_are_neither_shown_nor_judged() -> None:
    made = [*tally(rows(3, 0.0)), Cell("few", "1", 0, 4, 0, 0)]
    found = judge(made)
    assert [group.group for group in found.groups] == ["a", "b"]
    assert found.withheld == 1
    assert found.examples == 804


def test_odds_need_two_groups_and_a_yes_or_no() -> None:
    assert judge([Cell("a", "1", 9, 0, 0, 1)]).equalised_odds_change is None
    assert (
        judge([Cell("a", "x", 9, 0, 0, 1), Cell("b", "y", 9, 0, 0, 1)]).equalised_odds_change
        is None
    )


@pytest.mark.parametrize(
    ("one", "other", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (60, 30, 0.00223)]
)
def test_mcnemar(one: int, other: int, p: float) -> None:
    assert mcnemar(one, other) == pytest.approx(p, rel=1e-2)
    assert mcnemar(other, one) == mcnemar(one, other)


def test_no_seed_changes_the_figure_itself() -> None:
    made = tally(rows(4, 0.1))
    assert judge(made, seed=1).loss.value == judge(made, seed=9).loss.value
    assert judge(made, seed=1) == judge(made, seed=1)
    assert isinstance(judge(made).loss, Interval)
