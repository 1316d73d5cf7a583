"""The screen of what waits for a name, with a form for each kind of correction, and its undoing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from carbon.auth.access import ContextOf, Reader
from carbon.clock import from_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.fleet.correction_change import Period
from carbon.services.fleet.corrections import correct, list_corrections, undo
from carbon.services.sci.workloads import unnamed_workloads
from carbon.services.screens.workload_view import known_names
from carbon.storage.names import FOR_EVER_MS
from carbon.web.screens import (
    answer_form,
    screen_csv,
    screen_json,
    screen_page,
    seen_at,
    show_screen,
)
from carbon.wire.corrections import (
    CorrectionAnswer,
    CorrectionBody,
    CorrectionLine,
    UndoBody,
)
from carbon.wire.workloads import WorkloadAnswer

router = APIRouter(include_in_schema=False)
_MOST_CORRECTIONS = 200
#: What the forms send, of a correction's members.
_MEMBERS = ("subject", "workload", "into", "host", "zone", "pue", "unit", "count", "start", "end")


class ToBeNamed(Struct, frozen=True):
    """Workloads that a write created and no person has named yet, and what people corrected."""

    workloads: list[WorkloadAnswer]
    named: int
    corrections: list[CorrectionLine]


def _to_be_named(context: Context, principal: Principal) -> ToBeNamed:
    waiting, named = unnamed_workloads(context, principal)
    corrected = list_corrections(context, principal).corrections
    return ToBeNamed(waiting, named, corrected[:_MOST_CORRECTIONS])


def _page(
    request: Request,
    context: Context,
    principal: Principal,
    tried: CorrectionAnswer | None = None,
    form: dict[str, str] | None = None,
) -> Response:
    answer = _to_be_named(context, principal)
    may_name = Scope.WORKLOADS_WRITE in principal.scopes
    names = known_names(context, principal)
    return screen_page(
        request,
        principal,
        "names",
        answer,
        workloads=names,
        tried=tried,
        form=form or {},
        may_name=may_name,
    )


@router.get("/names")
def names_screen(request: Request, context: ContextOf) -> Response:
    return show_screen(request, lambda principal: _page(request, context, principal))


@router.post("/names/correct")
async def correct_from_form(request: Request, context: ContextOf) -> Response:
    """Without `sure` it shows what would move."""

    def act(principal: Principal, form: dict[str, str]) -> Response:
        body = _asked(context, principal, form)
        period = Period(
            from_rfc3339(body.start) if body.start else 0,
            from_rfc3339(body.end) if body.end else FOR_EVER_MS,
        )
        told = correct(context, principal, body, period)
        if told.dry_run:
            return _page(request, context, principal, told, form)
        return seen_at("/names")

    return await answer_form(request, act)


def _asked(context: Context, principal: Principal, form: dict[str, str]) -> CorrectionBody:
    """A new name that is another workload's merges. Raises InvalidInput (`invalid_time`,
    `invalid_body`)."""
    told: dict[str, Any] = {name: form[name].strip() for name in _MEMBERS if form.get(name)}
    zone = ZoneInfo(context.settings.timezone)
    for name in ("start", "end"):
        if name in told:
            told[name] = _moment(told[name], zone)
    kind = form.get("kind", "rename")
    if kind == "rename" and "into" in told:
        known = set(known_names(context, principal))
        kind = "merge" if str(principal.workload(told["into"])) in known else kind
    told |= {"kind": kind, "reason": form.get("reason", ""), "dry_run": "sure" not in form}
    try:
        return msgspec.convert(told, CorrectionBody, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput("invalid_body", str(error)) from None


def _moment(text: str, zone: ZoneInfo) -> str:
    """A field of date and time, on the clocks of CARBON_TIMEZONE unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("invalid_time", f"{text!r} is no date and time") from None
    return (at if at.tzinfo else at.replace(tzinfo=zone)).isoformat()


@router.post("/names/{correction}/undo")
async def undo_from_form(request: Request, context: ContextOf, correction: int) -> Response:
    def act(principal: Principal, form: dict[str, str]) -> Response:
        undo(context, principal, correction, UndoBody(form.get("reason", "")))
        return seen_at("/names")

    return await answer_form(request, act)


@router.get("/web/names.json")
def names_json(principal: Reader, context: ContextOf) -> Response:
    return screen_json(_to_be_named(context, principal))


@router.get("/web/names.csv")
def names_csv(principal: Reader, context: ContextOf) -> Response:
    return screen_csv(
        "names",
        ("workload", "created"),
        ((w.name, w.created) for w in _to_be_named(context, principal).workloads),
    )
