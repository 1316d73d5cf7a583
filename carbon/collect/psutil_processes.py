"""The process table where there is no /proc: by psutil, slower and with the same meaning."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil

from carbon.collect.cpu_times import read_cpu_times
from carbon.collect.machine import memory_bytes
from carbon.collect.processes import MachineTotals, Process

_NAMED = ("CARBON_RUN", "CARBON_WORKLOAD")


class PsutilReader:
    def processes(self) -> Iterator[Process]:
        for process in psutil.process_iter():
            try:
                yield _read(process)
            except psutil.Error:
                continue  # it ended while we looked, or is not for us to see

    def process(self, pid: int) -> Process | None:
        try:
            return _read(psutil.Process(pid))
        except (psutil.Error, ValueError):
            return None

    def totals(self) -> MachineTotals:
        return MachineTotals(read_cpu_times().busy_s, memory_bytes(), os.cpu_count() or 1)


def _read(process: psutil.Process) -> Process:
    with process.oneshot():
        times = process.cpu_times()
        return Process(
            pid=process.pid,
            parent_pid=process.ppid(),
            started=process.create_time(),
            user=process.username(),
            cpu_s=times.user + times.system,
            children_cpu_s=times.children_user + times.children_system,
            memory_bytes=process.memory_info().rss,
            environment=_carbon_variables(process),
        )


def _carbon_variables(process: psutil.Process) -> dict[str, str]:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return {}
    return {name: environment[name] for name in _NAMED if name in environment}
