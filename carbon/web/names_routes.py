"""The screen of what waits for a name, with a form that renames or merges, and its undoing."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from carbon.auth.access import ContextOf, Reader
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.context import Context
from carbon.services.corrections import Period, correct, list_corrections, undo
from carbon.services.workloads import list_workloads
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


class ToBeNamed(Struct, frozen=True):
    """Workloads that a write created and no person has named yet, and what people corrected."""

    workloads: list[WorkloadAnswer]
    named: int
    corrections: list[CorrectionLine]


def _to_be_named(context: Context, principal: Principal) -> ToBeNamed:
    known = list_workloads(context, principal)
    waiting = [w for w in known if not w.is_named]
    corrected = list_corrections(context, principal).corrections
    return ToBeNamed(waiting, len(known) - len(waiting), corrected[:_MOST_CORRECTIONS])


def _page(
    request: Request,
    context: Context,
    principal: Principal,
    tried: CorrectionAnswer | None = None,
    form: dict[str, str] | None = None,
) -> Response:
    answer = _to_be_named(context, principal)
    may_name = Scope.WORKLOADS_WRITE in principal.scopes
    names = [w.name for w in list_workloads(context, principal)]
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
    """Renames or, where the new name is another workload's, merges. Without `sure` it shows what
    would move."""

    def act(principal: Principal, form: dict[str, str]) -> Response:
        new = form.get("into", "").strip()
        known = {w.name for w in list_workloads(context, principal)}
        is_taken = new and str(principal.workload(new)) in known
        body = CorrectionBody(
            "merge" if is_taken else "rename",
            form.get("reason", ""),
            workload=form.get("workload", ""),
            into=new,
            dry_run="sure" not in form,
        )
        told = correct(context, principal, body, Period())
        if told.dry_run:
            return _page(request, context, principal, told, form)
        return seen_at("/names")

    return await answer_form(request, act)


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
