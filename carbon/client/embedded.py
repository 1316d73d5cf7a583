"""The agent inside this process, where none runs beside it: one for each data folder.

It stays until the process ends, since a program that tracked once tracks again; what it
could not deliver lies in the spool for whoever samples next.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from carbon.collect.lock import Role

if TYPE_CHECKING:
    from carbon.collect.host_agent import Agent, AgentOptions


_agents: dict[Path, Agent] = {}
_lock = threading.Lock()


def start_embedded(options: AgentOptions) -> Agent:
    """Raises AgentBusy where another process samples this host."""
    with _lock:
        agent = _agents.get(options.data_dir)
        if agent is None:
            from carbon.collect.host_agent import Agent  # late: one runs beside most programs

            agent = Agent(options, Role.EMBEDDED)
            agent.start()
            _agents[options.data_dir] = agent
        return agent


def embedded_agent(data_dir: Path) -> Agent | None:
    return _agents.get(data_dir)


def stop_embedded(data_dir: Path, last_delivery_s: float) -> None:
    with _lock:
        agent = _agents.pop(data_dir, None)
    if agent is not None:
        agent.stop(last_delivery_s)


def _stop_all() -> None:
    for data_dir in list(_agents):
        with suppress(Exception):  # the program is ending; its spool is complete up to 1 s
            stop_embedded(data_dir, last_delivery_s=1.0)


def _forget_in_child() -> None:
    """A forked child has the parent's lock but none of its threads."""
    for agent in _agents.values():
        agent.disown()
    _agents.clear()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_forget_in_child)
