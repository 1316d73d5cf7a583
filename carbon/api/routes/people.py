"""GET, POST /v1/people; a new link, and DELETE, of one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, requires
from carbon.auth.people import invite, list_people, remove, send_link
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.wire.decode import decode
from carbon.wire.people import PersonBody

router = APIRouter(prefix="/v1/people", tags=["people"])

Host = Annotated[Principal, Depends(requires(Scope.PEOPLE_INVITE))]


@router.get("")
def get_people(context: ContextOf, principal: Host) -> Response:
    """People by role, the latest invited first."""
    return answer(list_people(context, principal))


@router.post("", status_code=201)
async def post_person(request: Request, context: ContextOf, principal: Host) -> Response:
    """Invites a person; the answer's link opens one session."""
    body = decode(await read_json(request), PersonBody)
    return answer(await run_in_threadpool(invite, context, principal, body), 201)


@router.post("/{person_id}/link", status_code=201)
def post_link(context: ContextOf, principal: Host, person_id: str) -> Response:
    """Another link: the last one was used, or lost."""
    return answer(send_link(context, principal, person_id), 201)


@router.delete("/{person_id}", status_code=204)
def delete_person(context: ContextOf, principal: Host, person_id: str) -> Response:
    """Ends a person's sessions, at once."""
    remove(context, principal, person_id)
    return Response(status_code=204)
