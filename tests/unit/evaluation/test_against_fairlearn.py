"""Our figures of fairness are those of fairlearn, whose definitions they follow."""

from __future__ import annotations

import random

import pytest

from carbon.evaluation.answers import tally
from carbon.evaluation.fairness import judge

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_by_group_and_equalised_odds(seed: int) -> None:
    metrics = pytest.importorskip("fairlearn.metrics", reason="fairlearn is absent")
    rng = random.Random(seed)
    groups = [rng.choice("abc") for _ in range(900)]
    truth = [rng.choice((0, 1)) for _ in groups]
    arms = [[t if rng.random() < 0.8 else 1 - t for t in truth] for _ in range(2)]
    told = zip(groups, map(str, truth), map(str, arms[0]), map(str, arms[1]), strict=True)
    found = judge(tally(told))
    for arm, name in enumerate(("baseline_accuracy", "treatment_accuracy")):
        frame = metrics.MetricFrame(
            metrics={"right": lambda y, p: float((y == p).mean())},
            y_true=truth, y_pred=arms[arm], sensitive_features=groups,
        )  # fmt: skip
        ours = {group.group: getattr(group, name) for group in found.groups}
        assert ours == pytest.approx(frame.by_group["right"].to_dict())
    odds = [
        metrics.equalized_odds_difference(truth, arm, sensitive_features=groups) for arm in arms
    ]
    assert found.equalised_odds_change is not None
    assert found.equalised_odds_change.value == pytest.approx(odds[1] - odds[0])
