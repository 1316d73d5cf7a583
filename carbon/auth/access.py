"""How a route learns who asks and what it works on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from carbon.auth.keys import principal_of_key
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
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return principal_of_key(context, key.strip())
    if cookie := request.cookies.get(SESSION_COOKIE):
        return principal_of_session(context, cookie)
    raise Unauthorized("key_missing", "send a key: Authorization: Bearer ck_…")


def requires(scope: Scope) -> Callable[[Request], Principal]:
    """A dependency: the principal, refused with 403 where its key lacks the scope."""

    def dependency(request: Request) -> Principal:
        principal = principal_of(request)
        principal.require(scope)
        return principal

    return dependency


_ENERGY_SCOPES = {Scope.ENERGY_AGENT, Scope.ENERGY_IMPORT, Scope.ENERGY_TRACK}


def energy_writer(request: Request) -> Principal:
    """Raises Unauthorized, or Forbidden(`scope_missing`) for a key that may not write energy."""
    principal = principal_of(request)
    if not principal.scopes & _ENERGY_SCOPES:
        raise Forbidden("scope_missing", "this key may not write energy")
    return principal


ContextOf = Annotated[Context, Depends(context_of)]
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
