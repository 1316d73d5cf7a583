"""The process of `carbon up`: one server, its address left for the CLI, the agent beside it."""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from carbon.api.short_posts import protocol_for
from carbon.app import SHORT_POSTS, create_app, open_context
from carbon.auth.keys import any_key, ensure_local_keys, key_id_of
from carbon.auth.pepper import write_private
from carbon.auth.sessions import make_sign_in_link
from carbon.collect.agent_dir import AgentDir
from carbon.collect.child import AgentChild
from carbon.collect.modelled import ModelledSource
from carbon.collect.server_address import find_server
from carbon.errors import CarbonError, Forbidden
from carbon.grid.host_zone import HostZone, ZoneOrigin, host_zone
from carbon.logs import log_to_stderr
from carbon.services.context import Context
from carbon.services.grid.intensity import stated_zone
from carbon.services.rollup.rollup import stop_rolling
from carbon.settings import Settings, make_private_dir
from carbon.storage.engine import reading

#: The agent asks anew where it took longer than this.
_ASK_CPU_S = 10.0
#: What is still being answered then is cut after this long.
_GRACE_S = 2
#: The writer and the roll-up compute beside the loop that answers: each lets the others in after
#: so long. With Python's 5 ms a request waits for several turns of them.
_SWITCH_S = 0.001


def run_server(settings: Settings) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Raises CarbonError (`already_running`, `port_taken`, `data_dir_not_writable`,
    `database_not_writable`, `schema_newer`), InvalidInput(`unknown_zone`) and Forbidden(`no_key`)
    where it would serve the network without a key.
    """
    log_to_stderr(settings.log_level)
    with _folder_held(settings):
        _run(settings)


def _run(settings: Settings) -> None:
    listener = _listen(settings)
    with _cpu_figures(settings):
        context = open_context(settings)
    _keep(settings, listener, context)


@contextmanager
def _cpu_figures(settings: Settings) -> Iterator[None]:
    """A machine's very first start asks what its CPU draws, beside the migrations, so that its
    first run is measured from its first moment."""
    folder = AgentDir(settings.data_dir)
    try:
        folder.create()
        source = ModelledSource(folder.folder) if settings.agent else None
    except OSError:
        source = None  # the agent will say what it lacks
    try:
        yield
        if source is not None:
            source.wait(_ASK_CPU_S)
    finally:
        if source is not None:
            source.close()


def _keep(settings: Settings, listener: socket.socket, context: Context) -> None:
    if not settings.is_loopback and not any_key(context):
        raise Forbidden(
            "no_key",
            f"no key exists yet, so {settings.host} would be open to the network; "
            "make one first: carbon key create --name admin --admin",
        )
    if settings.zone:
        with reading(context.engine) as connection:
            stated_zone(connection, settings.zone)
    asked = _signals_kept()
    url = _announce(context, listener)
    placed = host_zone(settings.zone)
    child = AgentChild(
        settings.data_dir,
        settings.agent_period_s,
        settings.agent_rate_hz,
        None if placed.origin is ZoneOrigin.NOWHERE else placed.zone,
        placed.origin is ZoneOrigin.TIMEZONE,
    )
    print(f"  zone      {_told(placed)}", file=sys.stderr)
    if settings.agent:
        print(f"  agent     {_begin(child)}", file=sys.stderr)
        child.keep()
    print("  Ctrl-C stops it.", file=sys.stderr, flush=True)
    try:
        _serve(context, listener, child, asked)
    finally:
        if settings.agent:
            child.stop()
        _address_file(settings).unlink(missing_ok=True)
        logging.getLogger("carbon").info("stopped %s", url)


def _begin(child: AgentChild) -> str:
    """What became of the agent; the service goes on without one, too."""
    try:
        how = "started" if child.start() else "found running"
    except OSError as error:
        return f"cannot be started, so that nothing is measured here: {error}"
    return f"pid {child.pid} ({how})"


def _told(placed: HostZone) -> str:
    if placed.origin is ZoneOrigin.NOWHERE:
        return "unknown, the world's mean prices it: set CARBON_ZONE, such as DE or US-CAL-CISO"
    if placed.origin is ZoneOrigin.TIMEZONE:
        return f"{placed.zone}, guessed from the time zone {placed.detail}: set CARBON_ZONE"
    return f"{placed.zone} ({placed.detail})" if placed.detail else placed.zone


def _signals_kept() -> threading.Event:
    """From here on a signal never stops us half-way: with an agent begun and nobody to end it."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    return asked


@contextmanager
def _folder_held(settings: Settings) -> Iterator[None]:
    """One server a data folder: two would fight over its address and its agent. The kernel lets
    go of the lock however we die."""
    try:
        make_private_dir(settings.data_dir)
        fd = os.open(
            settings.data_dir / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise CarbonError(
            "data_dir_not_writable",
            f"cannot write the data folder {settings.data_dir}: {error.strerror}; "
            "mend its permissions or choose another with --data-dir",
        ) from error
    try:
        _lock(fd, settings)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, settings: Settings) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        other = find_server(settings.data_dir)
        where = f" at {other.url}" if other else ""
        raise CarbonError(
            "already_running",
            f"carbon runs on {settings.data_dir} already{where}; "
            "stop that one or choose another folder with --data-dir",
        ) from error


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CarbonError(
            "port_taken",
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "stop the other program or choose another port with --port",
        ) from error
    return listener


def _announce(context: Context, listener: socket.socket) -> str:
    """Leaves address and keys in the data folder and prints what a person needs."""
    settings = context.settings
    port = listener.getsockname()[1]
    name = "127.0.0.1" if settings.host in ("0.0.0.0", "localhost") else settings.host
    url = f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
    keys = ensure_local_keys(context)
    address = {"url": url, "admin_key": keys.admin_key, "agent_key": keys.agent_key}
    _leave_address(settings, address)
    token = make_sign_in_link(context, key_id_of(keys.admin_key))
    feeds = "live where a key-less feed serves the zone" if settings.feeds else "off"
    lines = (
        f"carbon is at {url}",
        f"  sign in   {url}/sign-in?token={token}",
        f"  data      {settings.data_dir}",
        f"  feeds     {feeds}; the bundled yearly figure where none answers",
    )
    print("\n".join(lines), file=sys.stderr, flush=True)
    return url


def _leave_address(settings: Settings, address: dict[str, str]) -> None:
    """In place of what a killed server left; whole at once, since agents read it meanwhile."""
    fresh = _address_file(settings).with_suffix(".new")
    fresh.unlink(missing_ok=True)
    write_private(fresh, json.dumps(address).encode())
    fresh.replace(_address_file(settings))


def _address_file(settings: Settings) -> Path:
    return settings.data_dir / "server.json"


class _Server(uvicorn.Server):
    """Ends after its agent, which has a last batch to deliver."""

    agent: AgentChild
    #: Somebody asked it to end before it listened for that.
    asked: threading.Event
    #: Ends what would be answered for long: the streams of open pages, waits for a roll-up.
    end_long: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.asked.is_set():
            self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:  # asked twice: at once
            super().handle_exit(sig, frame)
            return
        threading.Thread(target=self._end_after_agent).start()

    def _end_after_agent(self) -> None:
        self.agent.stop()
        self.end_long()
        self.should_exit = True


def _serve(
    context: Context, listener: socket.socket, agent: AgentChild, asked: threading.Event
) -> None:
    app = create_app(context)
    config = uvicorn.Config(
        app,
        http=protocol_for(app, SHORT_POSTS),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
        proxy_headers=False,
    )
    # What lives as long as the server is not gone through again with each collection: that would
    # make a batch in a hundred wait.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_S)
    server = _Server(config)
    server.agent, server.asked = agent, asked

    def end_long() -> None:
        app.state.live.close()
        stop_rolling(context.engine)

    server.end_long = end_long
    server.run(sockets=[listener])
