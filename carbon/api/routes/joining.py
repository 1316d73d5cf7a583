"""POST /v1/hosts/join, and the join tokens behind it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, requires
from carbon.auth.joining import join_host, list_tokens, make_token, revoke_token
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.wire.decode import decode
from carbon.wire.joining import JoinBody, TokenBody

router = APIRouter(prefix="/v1/hosts", tags=["hosts"])

Keeper = Annotated[Principal, Depends(requires(Scope.KEYS_ADMIN))]


@router.post("/join", status_code=201)
async def post_join(request: Request, context: ContextOf) -> Response:
    """Takes no key: the token is what proves the right to one."""
    body = decode(await read_json(request), JoinBody)
    return answer(await run_in_threadpool(join_host, context, body), 201)


@router.get("/tokens")
def get_tokens(context: ContextOf, _principal: Keeper) -> Response:
    return answer(list_tokens(context))


@router.post("/tokens", status_code=201)
async def post_token(request: Request, context: ContextOf, principal: Keeper) -> Response:
    body = decode(await read_json(request), TokenBody)
    return answer(await run_in_threadpool(make_token, context, principal, body), 201)


@router.delete("/tokens/{token_id}")
def delete_token(token_id: str, context: ContextOf, principal: Keeper) -> Response:
    return answer(revoke_token(context, principal, token_id))
