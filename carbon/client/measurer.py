"""Who measures on this host, as one run sees it: the agent, or an agent inside this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from carbon.client.agent_link import AgentLink, AgentRefused

if TYPE_CHECKING:
    from carbon.collect.host_agent import Agent
    from carbon.collect.protocol import Request

A = TypeVar("A", bound=msgspec.Struct)


class Measurer(Protocol):
    def post(self, request: Request) -> None:
        """Hands a request over and goes on whether or not it was answered. Raises AgentGone."""
        ...

    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A:
        """Raises AgentGone and AgentRefused."""
        ...

    def leave(self) -> None:
        """The run asks nothing any more."""
        ...


class Linked:
    """The agent of this host, over a connection that the runs of this process share."""

    def __init__(self, link: AgentLink, gone: Callable[[], None]) -> None:
        self.link, self._gone = link, gone
        link.watch(gone)

    def post(self, request: Request) -> None:
        self.link.post(request)

    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A:
        return self.link.call(request, answer, wait_s)

    def leave(self) -> None:
        self.link.unwatch(self._gone)


#: Long for an agent of our own, short for the program that it is embedded in.
_POST_S = 0.5


class Embedded:
    """An agent inside this process, which stays for the next run."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._posted: threading.Thread | None = None

    def post(self, request: Request) -> None:
        self._join()
        self._posted = threading.Thread(
            target=self._agent.answer, args=(request,), name="carbon-post", daemon=True
        )
        self._posted.start()
        # The program may hold the interpreter for as long as it runs, inside a library's loop: a
        # start that still waits for its turn would be told at the end, and measure nothing.
        self._posted.join(_POST_S)

    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A:
        self._join()
        given = self._agent.answer(request)
        if isinstance(given, answer):
            return given
        raise AgentRefused(str(given))

    def leave(self) -> None:
        self._join()

    def _join(self) -> None:
        if self._posted is not None:
            self._posted.join()
            self._posted = None
