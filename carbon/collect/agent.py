"""The agent as a process: `run_agent`, and `python -m carbon.collect.agent`."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from carbon.collect.host_agent import Agent, AgentOptions
from carbon.collect.lock import AgentBusy, Role, read_holder
from carbon.data_dir import data_dir
from carbon.errors import CarbonError, InvalidInput, Unavailable

__all__ = ["Agent", "AgentBusy", "AgentOptions", "main", "run_agent"]

log = logging.getLogger(__name__)

_LOCK_RETRY_S = 0.5
#: A reading takes a second; where the CPU's rated power must be looked up first, some more.
_ONE_READING_S = 10.0


def run_agent(options: AgentOptions) -> int:
    """Samples until SIGTERM or SIGINT, then closes the period, spools it, tries one last delivery
    and returns 0. Returns 0 at once where an agent runs already; waits for a run or a program
    that samples for itself to end."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    agent = Agent(options)
    if not _started(agent, stopping):
        return 0
    # What was loaded stays: the collector need not walk it ever again.
    gc.freeze()
    if options.once:
        agent.wait_for_reading(_ONE_READING_S)
        from carbon.collect.protocol import StatusRequest

        print(msgspec.json.encode(agent.answer(StatusRequest())).decode())
    else:
        stopping.wait()
    agent.stop()
    return 0


def _started(agent: Agent, stopping: threading.Event) -> bool:
    said = ""
    while not stopping.is_set():
        try:
            agent.start()
            return True
        except AgentBusy as busy:
            holder = read_holder(agent.dir.pid_file)
            if holder is not None and holder.role is Role.AGENT:
                log.info("an agent runs already: %s", busy)
                return False
            if said != str(busy):
                log.info("waits for its turn: %s", busy)
                said = str(busy)
            stopping.wait(_LOCK_RETRY_S)
    return False


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="carbon agent", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--period-s", type=_period_s, default=_stated("PERIOD_S"))
    parser.add_argument("--rate-hz", type=_rate_hz, default=_stated("RATE_HZ"))
    parser.add_argument("--zone", default=None)
    parser.add_argument("--zone-is-guess", action="store_true")
    parser.add_argument("--url", default=None, help="the server's address")
    parser.add_argument("--join", default=None, help="a token, to get this machine's key with")
    parser.add_argument("--once", action="store_true", help="print one reading and end")
    given = parser.parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s agent %(levelname)s %(message)s"
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    options = AgentOptions(
        data_dir=given.data_dir or data_dir(),
        period_s=given.period_s,
        rate_hz=given.rate_hz,
        zone=given.zone or os.environ.get("CARBON_ZONE"),
        zone_is_guess=given.zone_is_guess,
        url=given.url or os.environ.get("CARBON_URL"),
        key=os.environ.get("CARBON_KEY"),
        join_token=given.join or os.environ.get("CARBON_JOIN"),
        once=given.once,
    )
    try:
        _join(options)
    except CarbonError as error:
        print(f"error: {error.detail}", file=sys.stderr)
        return 2 if isinstance(error, InvalidInput) else 1
    return run_agent(options)


def _period_s(text: str) -> float:
    return _within(text, 0.1, 3600.0, "a period of rows", "seconds")


def _rate_hz(text: str) -> float:
    return _within(text, 1.0, 20.0, "a rate of looks", "a second")


def _within(text: str, least: float, most: float, what: str, unit: str) -> float:
    """More looks than that slow down what is measured, fewer miss what a counter cannot tell."""
    value = float(text)
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{what} is from {least:g} to {most:g} {unit}")
    return value


def _stated(name: str) -> str:
    """As the environment says it; argparse reads and refuses it like an argument."""
    return os.environ.get(f"CARBON_AGENT_{name}", "10")


def _join(options: AgentOptions) -> None:
    """A token that is no good ends the agent; a server that is away does not: measurement waits
    for nobody, and delivery tries again. Raises CarbonError."""
    if options.joining is None:
        return
    try:
        options.joining.join()
    except Unavailable as error:
        log.warning("%s: joins it later and measures meanwhile", error.detail)


if __name__ == "__main__":
    raise SystemExit(main())
