"""The screen of people: who may do what, an invitation, and its link shown once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from carbon.auth.access import ContextOf, requires
from carbon.auth.people import invite, list_people, remove, send_link
from carbon.domain.principal import Principal
from carbon.domain.roles import Role
from carbon.domain.tenancy import Scope
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.web.screens import (
    answer_form,
    screen_csv,
    screen_json,
    screen_page,
    seen_at,
    show_screen,
)
from carbon.wire.people import Invitation, PeopleList, PersonBody

router = APIRouter(include_in_schema=False)


def _people(
    principal: Annotated[Principal, Depends(requires(Scope.PEOPLE_INVITE))], context: ContextOf
) -> PeopleList:
    return list_people(context, principal)


PeopleOf = Annotated[PeopleList, Depends(_people)]


@router.get("/people")
def people_screen(request: Request, context: ContextOf) -> Response:
    return show_screen(
        request, lambda principal: _page(request, context, principal, None), Scope.PEOPLE_INVITE
    )


@router.get("/web/people.json")
def people_json(answer: PeopleOf) -> Response:
    return screen_json(answer)


@router.get("/web/people.csv")
def people_csv(answer: PeopleOf) -> Response:
    return screen_csv(
        "people",
        ("id", "name", "role", "team", "organisation", "created_at", "expires_at", "has_ended"),
        (
            (p.id, p.name, p.role, p.team, p.organisation, p.created_at, p.expires_at, p.has_ended)
            for p in answer.people
        ),
    )


@router.post("/people")
async def invite_from_form(request: Request, context: ContextOf) -> Response:
    """The one page that shows a link; it is not kept, so it cannot be shown again."""

    def act(principal: Principal, form: dict[str, str]) -> Response:
        return _page(request, context, principal, invite(context, principal, _asked(form)))

    return await answer_form(request, act)


@router.post("/people/{person_id}/link")
async def link_from_form(request: Request, context: ContextOf, person_id: str) -> Response:
    def act(principal: Principal, _form: dict[str, str]) -> Response:
        return _page(request, context, principal, send_link(context, principal, person_id))

    return await answer_form(request, act)


@router.post("/people/{person_id}/remove")
async def remove_from_form(request: Request, context: ContextOf, person_id: str) -> Response:
    def act(principal: Principal, _form: dict[str, str]) -> Response:
        remove(context, principal, person_id)
        return seen_at("/people")

    return await answer_form(request, act)


def _page(
    request: Request, context: Context, principal: Principal, made: Invitation | None
) -> Response:
    return screen_page(
        request,
        principal,
        "people",
        list_people(context, principal),
        query="",
        roles=list(Role),
        invited=made,
        link=None if made is None else str(request.base_url).rstrip("/") + made.sign_in,
    )


def _asked(form: dict[str, str]) -> PersonBody:
    """Raises InvalidInput: `name_missing`, `unknown_role`."""
    name = form.get("name", "").strip()
    if not name:
        raise InvalidInput("name_missing", "say who is invited")
    try:
        role = Role(form.get("role", ""))
    except ValueError:
        raise InvalidInput("unknown_role", "choose one of the roles") from None
    team = form.get("team", "").strip() or None
    return PersonBody(name[:200], role, team, form.get("organisation") == "on")
