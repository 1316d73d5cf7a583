"""GET and POST of /v1/corrections."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.wire.energy import Text

Reason = Annotated[str, Meta(min_length=1, max_length=1_000)]


class CorrectionBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is corrected, and why. Which members go with a kind:

    `claim`: `subject` is `workload` over [start, end); `merge`: `workload` counts as `into`;
    `rename`: `workload` is called `into`; `host`: `host` had this zone and PUE over [start, end);
    `units`: `workload` did `count` of `unit` over [start, end), whatever was counted.
    """

    kind: str
    reason: Reason
    subject: str | None = None
    workload: str | None = None
    into: str | None = None
    host: str | None = None
    zone: str | None = None
    pue: float | None = None
    unit: str | None = None
    count: Annotated[int, Meta(ge=0, le=(1 << 62) - 1)] | None = None
    start: str | None = None
    end: str | None = None
    #: Shows what would move, and stores nothing.
    dry_run: bool = False


class UndoBody(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Reason
    dry_run: bool = False


class Move(Struct, frozen=True):
    """Energy and operational carbon that change hands, or (of a host) are priced anew."""

    #: A workload; null for what nobody claimed.
    before: str | None
    after: str | None
    energy_mj: int
    #: At the prices of today.
    operational_g: float


class CountChange(Struct, frozen=True):
    """Units that are counted over the period, before and after."""

    workload: str
    unit: str
    before: int
    after: int


class TouchedReport(Struct, frozen=True):
    """An issued report that says something of what moves: restating it shows by how much."""

    report: str
    start: str
    end: str


class CorrectionAnswer(Struct, frozen=True):
    correction: int | None
    dry_run: bool
    moves: list[Move]
    reports: list[TouchedReport]
    counts: list[CountChange] = []


class CorrectionLine(Struct, frozen=True):
    correction: int
    kind: str
    #: What was asked, less its reason.
    body: dict[str, object]
    reason: Text
    actor: str
    recorded: str
    undoes: int | None
    is_undone: bool


class CorrectionList(Struct, frozen=True):
    corrections: list[CorrectionLine]
