"""Declared limits on harm. A gate passes where the interval shows that the limit is kept: too few
examples prove nothing, and what is not proven does not ship."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from carbon.domain.experiments.verdict import Finding, Verdict
from carbon.domain.uncertainty import Interval
from carbon.evaluation.fairness import Fairness


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    #: The figure keeps the limit, its interval does not.
    UNPROVEN = "unproven"
    #: What the gate judges was not stated.
    NOT_STATED = "not_stated"


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no gate. Losses and changes are absolute: 0.01 is one point of accuracy."""

    quality_loss: float | None = None
    worst_group_loss: float | None = None
    equalised_odds_change: float | None = None
    #: `saves`: must be shown to save; `not_costs`: must not be shown to cost.
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    name: str
    limit: float | str
    outcome: Outcome
    value: float | str | None = None
    low: float | None = None
    high: float | None = None


def gates(limits: Limits, finding: Finding, fairness: Fairness | None) -> list[Gate]:
    """Those that were declared, in a fixed order."""
    found = []
    if limits.quality_loss is not None:
        loss = _quality_loss(finding, fairness)
        found.append(judge_harm("quality_loss", limits.quality_loss, loss))
    if limits.worst_group_loss is not None:
        loss = fairness.worst_group_loss if fairness else None
        found.append(judge_harm("worst_group_loss", limits.worst_group_loss, loss))
    if limits.equalised_odds_change is not None:
        change = fairness.equalised_odds_change if fairness else None
        found.append(judge_harm("equalised_odds_change", limits.equalised_odds_change, change))
    if limits.verdict is not None:
        found.append(_verdict_gate(limits.verdict, finding.verdict))
    return found


def all_passed(found: list[Gate]) -> bool:
    return all(gate.outcome is Outcome.PASSED for gate in found)


def _quality_loss(finding: Finding, fairness: Fairness | None) -> Interval | None:
    """By single answers where they were counted, else by the blocks' quality."""
    if fairness:
        return fairness.loss
    if finding.quality is None:
        return None
    quality = finding.quality
    return Interval(-quality.value, -quality.high, -quality.low)


def judge_harm(name: str, limit: float, harm: Interval | None) -> Gate:
    """Whether a loss (above 0 is worse) is shown to lie within its limit."""
    if harm is None:
        return Gate(name, limit, Outcome.NOT_STATED)
    if harm.value > limit:
        outcome = Outcome.FAILED
    else:
        outcome = Outcome.PASSED if harm.high <= limit else Outcome.UNPROVEN
    return Gate(name, limit, outcome, harm.value, harm.low, harm.high)


def _verdict_gate(wanted: str, verdict: Verdict) -> Gate:
    is_kept = verdict == "saves" if wanted == "saves" else verdict is not Verdict.COSTS
    outcome = Outcome.PASSED if is_kept else Outcome.FAILED
    return Gate("verdict", wanted, outcome, str(verdict))
