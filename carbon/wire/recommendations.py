"""/v1/recommendations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct


class MarkBody(Struct, frozen=True, forbid_unknown_fields=True):
    state: Literal["open", "dismissed", "adopted"]
    reason: Annotated[str, Meta(max_length=500)] = ""


class SuggestedExperiment(Struct, frozen=True):
    """What would prove the saving."""

    technique: str
    compare: str


class FollowUp(Struct, frozen=True):
    """Of an adopted one: its waste per day when it was adopted, and measured since."""

    since: str
    before_g_per_day: float
    #: Null while less than a day has been measured.
    after_g_per_day: float | None


class Recommendation(Struct, frozen=True):
    id: str
    kind: str
    workload: str
    device: str | None
    #: What could be saved over the window, with the bounds of the estimate.
    saving_g: float
    low: float
    high: float
    evidence: dict[str, Any]
    technique: str
    experiment: SuggestedExperiment
    state: str
    reason: str
    follow_up: FollowUp | None


class RecommendationList(Struct, frozen=True):
    start: str
    end: str
    recommendations: list[Recommendation]
    #: What the ledger cannot show, so that silence is not read as good news.
    not_seen: list[str]
