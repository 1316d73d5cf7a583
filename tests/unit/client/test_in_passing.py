"""A program that is measured in passing: it waits for nobody, whatever state the agent is in."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

import carbon
from carbon.client.agent_link import AgentGone, AgentLink, shared_link
from carbon.client.session import MeasuredBy
from carbon.collect.agent_dir import AgentDir
from carbon.collect.lock import Role, SamplerLock
from carbon.collect.protocol import (
    Accepted,
    Flush,
    Flushed,
    Request,
    RunEnd,
    RunEnded,
    RunStart,
    RunStarted,
    Units,
)
from carbon.collect.registry import RegistryServer


class Agent:
    """The socket of an agent that answers as late as it is told, or never."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.late_s = 0.0

    def __call__(self, request: Request) -> msgspec.Struct:
        self.asked.append(request)
        time.sleep(self.late_s)
        if isinstance(request, RunStart):
            return RunStarted(1_000)
        if isinstance(request, RunEnd):
            return RunEnded(2_000, 1_000, [], [])
        return Accepted(1) if isinstance(request, Units) else Flushed(0)


@contextmanager
def serving(data_dir: Path, agent: Agent) -> Iterator[RegistryServer]:
    folder = AgentDir(data_dir)
    folder.create()
    lock = SamplerLock(folder.folder)
    assert lock.acquire(Role.AGENT, folder.socket())
    server = RegistryServer(folder.socket(), agent)
    server.start()
    yield server
    server.stop()
    lock.release()


def took_ms(block: carbon.client.Tracker) -> tuple[float, float]:
    started = time.perf_counter()
    block.__enter__()
    entered = time.perf_counter()
    block.__exit__(None, None, None)
    return 1000 * (entered - started), 1000 * (time.perf_counter() - entered)


def test_entering_waits_for_no_answer_and_the_end_has_the_agents_times(data_dir: Path) -> None:
    agent = Agent()
    agent.late_s = 0.05
    with serving(data_dir, agent):
        took_ms(carbon.track("first"))  # what is loaded once
        block = carbon.track("w", {"token": 3})
        entering_ms, _ = took_ms(block)
        assert entering_ms < 25
        assert block.measured is not None
        assert (block.measured.by, block.measured.start_ms) == (MeasuredBy.AGENT, 1_000)
        wait_for(lambda: isinstance(agent.asked[-1], Units))
    kinds = [type(request) for request in agent.asked]
    assert kinds == [RunStart, RunEnd, RunStart, RunEnd, Units]


def wait_for(is_so: object) -> None:
    until_s = time.monotonic() + 5
    while not is_so() and time.monotonic() < until_s:  # type: ignore[operator]
        time.sleep(0.005)


def test_an_agent_that_hangs_holds_nobody_up(data_dir: Path) -> None:
    """As one whose disk takes nothing: the end is told to it, and not waited for."""
    agent = Agent()
    with serving(data_dir, agent):
        took_ms(carbon.track("first"))
        agent.late_s = 20.0
        block = carbon.track("w")
        entering_ms, leaving_ms = took_ms(block)
    assert entering_ms < 25
    assert leaving_ms < 2_500
    assert block.energy_mj is None


def test_a_sampler_that_has_no_socket_yet_holds_nobody_up(data_dir: Path) -> None:
    """As an agent whose driver takes its time."""
    folder = AgentDir(data_dir)
    folder.create()
    lock = SamplerLock(folder.folder)
    assert lock.acquire(Role.AGENT, folder.socket())
    try:
        with carbon.track("first"):
            pass
        block = carbon.track("w")
        entering_ms, leaving_ms = took_ms(block)
    finally:
        lock.release()
    assert entering_ms < 500
    assert leaving_ms < 500
    assert block.measured is not None
    assert block.measured.by == MeasuredBy.NOBODY


def test_the_runs_of_a_process_share_a_connection(data_dir: Path) -> None:
    with serving(data_dir, Agent()) as server:
        for _ in range(20):
            took_ms(carbon.track("w"))
        assert len(server._connections) <= 2  # one to ask, one to watch


def test_answers_stay_with_their_requests(data_dir: Path) -> None:
    with serving(data_dir, Agent()):
        link = AgentLink(data_dir)
        for _ in range(5):
            link.post(RunStart("r"))
        assert link.call(Flush(0.0), Flushed).pending == 0
        link.post(Units([]))
        assert link.call(RunEnd("r"), RunEnded).at_ms == 2_000
        link.close()


def test_a_late_answer_is_nobody_elses(data_dir: Path) -> None:
    agent = Agent()
    agent.late_s = 0.3
    with serving(data_dir, agent):
        link = shared_link(data_dir, 0.05)
        with pytest.raises(AgentGone):
            link.call(RunEnd("r"), RunEnded)
        agent.late_s = 0.0
        assert shared_link(data_dir, 0.05) is not link


def test_a_request_that_nobody_takes_is_not_waited_for(data_dir: Path) -> None:
    folder = AgentDir(data_dir)
    folder.create()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder.socket()))
    listener.listen(1)
    lock = SamplerLock(folder.folder)
    assert lock.acquire(Role.AGENT, folder.socket())
    link = AgentLink(data_dir)
    started = time.perf_counter()
    with suppress(AgentGone):
        for _ in range(100_000):
            link.post(RunStart("r" * 100))
    assert time.perf_counter() - started < 2
    assert not link.is_open
    link.close()
    listener.close()
    lock.release()


def test_a_forked_child_asks_over_a_connection_of_its_own(data_dir: Path) -> None:
    with serving(data_dir, Agent()):
        link = shared_link(data_dir, 1.0)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, b"other" if shared_link(data_dir, 1.0) is not link else b"same")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 10) == b"other"


def test_threads_may_track_at_once(data_dir: Path) -> None:
    agent = Agent()
    with serving(data_dir, agent):
        blocks = [carbon.track(f"w{n}") for n in range(8)]
        threads = [threading.Thread(target=took_ms, args=(block,)) for block in blocks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(block.measured and block.measured.by == MeasuredBy.AGENT for block in blocks)
