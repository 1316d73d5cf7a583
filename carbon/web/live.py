"""Live pages: one stream of server-sent events for each that is looked at.

Once a second the fleet is looked at, for all viewers together; what changed is encoded once for
each team that somebody watches, and those bytes go to each of its viewers. Beside it the streams
tell every ten seconds that the rest of a page may be fetched anew, and end with their session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from carbon.auth.access import Reader, context_of, principal_of
from carbon.domain.principal import Principal
from carbon.errors import CarbonError, TooBusy
from carbon.services.context import Context
from carbon.services.fleet.fleet_watch import EVERYONE, Change, FleetWatch
from carbon.web.catalogue import strings_of
from carbon.web.figures import POWER

router = APIRouter(include_in_schema=False)
_log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
#: Parts of a page that no stream carries are asked for as often as this.
_REFRESH_S: Final = 10.0
_MOST_VIEWERS: Final = 200
#: Events that may wait for a viewer; who is further behind connects anew.
_MOST_WAITING: Final = 5
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # a proxy would keep events until its buffer is full
}
#: What a browser waits before it connects anew, and a first line that tells it is connected.
_HELLO: Final = b"retry: 2000\nevent: hello\ndata: {}\n\n"
_REFRESH: Final = b"event: refresh\ndata: {}\n\n"


@dataclass(eq=False)
class _Viewer:
    team: str | None
    #: None ends the stream.
    events: asyncio.Queue[bytes | None] = field(
        default_factory=lambda: asyncio.Queue(_MOST_WAITING)
    )

    def tell(self, event: bytes) -> None:
        if self.events.full():
            self.end()
        else:
            self.events.put_nowait(event)

    def end(self) -> None:
        while not self.events.empty():
            self.events.get_nowait()
        self.events.put_nowait(None)


class LiveFleet:
    """The viewers of one process; looks at the fleet only while there are any."""

    def __init__(self, look_s: float = _LOOK_S) -> None:
        self._look_s = look_s
        self._viewers: set[_Viewer] = set()
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    async def watch(self, context: Context, team: str | None) -> AsyncGenerator[bytes]:
        """Events for one viewer, until the service ends."""
        viewer = _Viewer(team)
        self._viewers.add(viewer)
        try:
            self._begin(context)
            while not self._is_closed and (event := await viewer.events.get()) is not None:
                yield event
        finally:
            self._viewers.discard(viewer)
            if not self._viewers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def check_room(self) -> None:
        """Raises TooBusy(`too_many_viewers`): the page then asks from time to time."""
        if len(self._viewers) >= _MOST_VIEWERS:
            raise TooBusy("too_many_viewers", "too many pages are live already", 10)

    def close(self) -> None:
        """Ends every stream, from any thread: an open page keeps no service from stopping."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for viewer in self._viewers:
            viewer.end()

    def _begin(self, context: Context) -> None:
        if self._looking is None:
            self._loop = asyncio.get_running_loop()
            self._looking = self._loop.create_task(self._look(FleetWatch(context)))

    async def _look(self, watch: FleetWatch) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while True:
                began = clock()
                teams = {viewer.team for viewer in self._viewers}
                events = await run_in_threadpool(_encoded, watch, teams)
                for viewer in list(self._viewers):
                    if (event := events.get(viewer.team)) is not None:
                        viewer.tell(event)
                await asyncio.sleep(max(self._look_s / 2, self._look_s - (clock() - began)))
        except Exception:
            _log.exception("the fleet cannot be looked at; open pages connect anew")
            self._looking = None
            self._end_all()


def _encoded(watch: FleetWatch, teams: set[str | None]) -> dict[str | None, bytes]:
    return {team: _event(change) for team, change in watch.look(teams).items()}


def _event(change: Change) -> bytes:
    return b"event: power\ndata: " + msgspec.json.encode(change) + b"\n\n"


def live_words(timezone: str) -> dict[str, Any]:
    """What the script needs to write what the stream tells as the pages do."""
    return {
        "timezone": timezone,
        "units": {"power": POWER.units},
        "methods": strings_of("method"),
        "live": strings_of("live"),
    }


def live_fleet(request: Request) -> LiveFleet:
    hub: LiveFleet = request.app.state.live
    return hub


@router.get("/web/live.events")
async def live_events(
    request: Request, principal: Reader, hub: Annotated[LiveFleet, Depends(live_fleet)]
) -> Response:
    """Events `power` (what changed of the fleet) and `refresh`."""
    hub.check_room()
    return StreamingResponse(
        _stream(request, principal, hub), media_type="text/event-stream", headers=_HEADERS
    )


async def _stream(request: Request, principal: Principal, hub: LiveFleet) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    due = clock() + _REFRESH_S
    yield _HELLO
    team = EVERYONE if principal.sees_all_teams else principal.team
    async with aclosing(hub.watch(context_of(request), team)) as events:
        async for event in events:
            yield event
            if clock() >= due:
                due = clock() + _REFRESH_S
                if not await run_in_threadpool(_still_holds, request):
                    return
                yield _REFRESH


def _still_holds(request: Request) -> bool:
    """Whether who asked may still read: a session ends while its page is open."""
    try:
        principal_of(request)
    except CarbonError:
        return False
    return True
