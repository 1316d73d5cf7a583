"""Doubles for tests of the agent: meters and processes that follow a script, and a server that
keeps what it is sent."""

from agent_double.host import ScriptedHost
from agent_double.meters import ScriptedMeter, ScriptedSource
from agent_double.process import AgentProcess, free_port, know_the_cpu, wait_until
from agent_double.processes import ScriptedProcesses
from agent_double.server import RecordingServer

__all__ = [
    "AgentProcess",
    "RecordingServer",
    "ScriptedHost",
    "ScriptedMeter",
    "ScriptedProcesses",
    "ScriptedSource",
    "free_port",
    "know_the_cpu",
    "wait_until",
]
