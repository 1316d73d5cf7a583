"""How a route learns who asks and what it works on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from carbon.auth.keys import principal_of_key, remembered_principal
from carbon.auth.sessions import SESSION_COOKIE, principal_of_session
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import Forbidden, Unauthorized
from carbon.services.context import Context


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def principal_of(request: Request) -> Principal:
    """The principal of the Bearer key, else of the browser session.

    Raises Unauthorized where there is neither, or one that does not hold.
    """
    context = context_of(request)
    if key := _bearer(request):
        return principal_of_key(context, key)
    if cookie := request.cookies.get(SESSION_COOKIE):
        return principal_of_session(context, cookie)
    raise Unauthorized("key_missing", "send a key: Authorization: Bearer ck_…")


def _bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def requires(scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: the principal, refused with 403 where its key lacks the scope.

    A key that was proven a moment ago is known at once; else the store is asked, in a thread.
    """

    async def dependency(request: Request) -> Principal:
        key = _bearer(request)
        principal = remembered_principal(context_of(request), key) if key else None
        if principal is None:
            principal = await run_in_threadpool(principal_of, request)
        principal.require(scope)
        return principal

    return dependency


_ENERGY_SCOPES = {Scope.ENERGY_AGENT, Scope.ENERGY_IMPORT, Scope.ENERGY_TRACK}


def energy_writer(request: Request) -> Principal:
    """Raises Unauthorized, or Forbidden(`scope_missing`) for a key that may not write energy."""
    return allowed_to_write_energy(principal_of(request))


def allowed_to_write_energy(principal: Principal) -> Principal:
    """Raises Forbidden(`scope_missing`)."""
    if not principal.scopes & _ENERGY_SCOPES:
        raise Forbidden("scope_missing", "this key may not write energy")
    return principal


async def _context(request: Request) -> Context:
    """As `context_of`; a dependency that waits for nothing needs no thread."""
    return context_of(request)


ContextOf = Annotated[Context, Depends(_context)]
Reader = Annotated[Principal, Depends(requires(Scope.REPORTS_READ))]


_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def is_local(request: Request) -> bool:
    """Bound to loopback, asked from loopback, and not through a proxy."""
    client = request.client.host if request.client else ""
    return (
        context_of(request).settings.is_loopback
        and client in ("127.0.0.1", "::1")
        and not any(header in request.headers for header in _FORWARDED)
    )
