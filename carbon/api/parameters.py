"""Query parameters that a call does not know are refused: a misspelt `start` would otherwise
answer for another window."""

from __future__ import annotations

from collections.abc import Iterator, Set

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from carbon.auth.access import principal_of
from carbon.errors import InvalidInput


async def only_known_parameters(request: Request) -> None:
    """Raises InvalidInput(`unknown_parameter`), but to a stranger only that a key is missing.

    A coroutine although it waits for nothing: a plain function would cost every call of the
    service a thread.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.path.startswith("/v1/"):
        return
    refuse_unknown(request, set(_names(route.dependant)))


def refuse_unknown(request: Request, known: Set[str]) -> None:
    if not request.scope["query_string"]:
        return
    for name in request.query_params:
        if name not in known:
            principal_of(request)
            told = ", ".join(sorted(known)) or "none"
            raise InvalidInput(
                "unknown_parameter", f"no parameter {name!r}; this call takes {told}"
            )


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for part in dependant.dependencies:
        yield from _names(part)
