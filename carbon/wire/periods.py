"""/v1/periods: a month or year that was closed and signed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.domain.reports import MATERIALITY
from carbon.wire.energy import Text
from carbon.wire.reports import Share


class PeriodBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    start: str
    end: str
    #: Who answers for it, by name.
    signed_by: Text
    #: What they say to it: what is missing, and why it is accepted.
    statement: Annotated[str, Meta(max_length=4000)] = ""
    materiality: Share = MATERIALITY
    #: Close although workloads have energy and no report, or hosts sent nothing.
    accept_incomplete: bool = False


class PeriodReport(Struct, frozen=True):
    id: str
    statement_hash: str
    #: Greatest relative change that a restatement would bring today; null where it cannot be told.
    change: float | None


class Completeness(Struct, frozen=True):
    hosts_registered: int
    hosts_reporting: int
    #: Of the quarter-hours in which they were in service, those with a reading; null without any.
    share: float | None
    #: Registered hosts that sent nothing.
    silent_hosts: list[str]
    #: Workloads of the team that have energy in the period and no report.
    not_reported: list[str]

    @property
    def is_complete(self) -> bool:
        return not self.silent_hosts and not self.not_reported


class ClosedPeriod(Struct, frozen=True):
    id: str
    team: str
    start: str
    end: str
    signed_by: str
    #: Id of the key that signed.
    key: str
    statement: str
    materiality: float
    #: The changes above the materiality: reports to be restated, or explained by `statement`.
    material_changes: list[str]
    reports: list[PeriodReport]
    completeness: Completeness
    closed_at: str
    hash: str = ""


class PeriodList(Struct, frozen=True):
    periods: list[ClosedPeriod]
