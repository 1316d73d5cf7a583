"""GET and POST /v1/quality."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.wire.energy import Ms, Text


class TroubleReport(Struct, frozen=True, forbid_unknown_fields=True):
    """Something wrong with what an importer read; it stands in no total."""

    code: Annotated[str, Meta(pattern=r"^[a-z_]{1,60}$")]
    about: Text
    detail: Annotated[str, Meta(max_length=1000)]
    first_ms: Ms
    last_ms: Ms
    count: Annotated[int, Meta(ge=1, le=1 << 31)] = 1


class TroublesBody(Struct, frozen=True, forbid_unknown_fields=True):
    source: Text
    troubles: Annotated[list[TroubleReport], Meta(max_length=10_000)]


class TroubleLine(Struct, frozen=True):
    source: str
    code: str
    about: str
    detail: str
    count: int
    first: str
    last: str


class QualityAnswer(Struct, frozen=True):
    """`conflicts` counts intervals kept aside because they contradict what came first."""

    start: str
    end: str
    conflicts: int
    troubles: list[TroubleLine]
