"""Calls that are asked thousands of times a second, answered before FastAPI looks at them: its
middleware and matching cost several times as much as to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from carbon.api.problems import problem_of, unforeseen_problem
from carbon.errors import CarbonError

Call = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A GET call with one name in its path. What `call` answers None to, FastAPI answers."""

    prefix: str
    suffix: str
    call: Callable[[Request, str], Awaitable[Response | None]]

    def name_in(self, path: str) -> str:
        """Empty where the path is another call's."""
        if not (path.startswith(self.prefix) and path.endswith(self.suffix)):
            return ""
        name = path[len(self.prefix) : -len(self.suffix)]
        return "" if "/" in name else name


class Application(FastAPI):
    """A FastAPI application with some POST calls, and some that are asked for, in front of it.

    Their errors are the same problem documents as everywhere; every other method of their paths
    is the application's to answer.
    """

    def __init__(
        self, straight: Iterable[Route], asked: Iterable[Asked] = (), **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._asked = tuple(asked)
        routes = list(straight)
        self.router.routes += routes
        self._straight: dict[str, Call] = {route.path: route.endpoint for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            call = self._straight.get(scope["path"])
            if call is not None:
                scope["app"] = self
                response = await _answered(call, Request(scope, receive, send))
                await response(scope, receive, send)
                return
        if scope["type"] == "http" and scope["method"] == "GET":
            for asked in self._asked:
                if name := asked.name_in(scope["path"]):
                    scope["app"] = self
                    told = await _told(asked, name, Request(scope, receive, send))
                    if told is not None:
                        await told(scope, receive, send)
                        return
        await super().__call__(scope, receive, send)


async def _told(asked: Asked, name: str, request: Request) -> Response | None:
    try:
        return await asked.call(request, name)
    except CarbonError as error:
        return problem_of(error)
    except Exception as error:
        return unforeseen_problem(request, error)


async def _answered(call: Call, request: Request) -> Response:
    try:
        return await call(request)
    except CarbonError as error:
        return problem_of(error)
    except Exception as error:
        return unforeseen_problem(request, error)
