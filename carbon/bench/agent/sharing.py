"""Attribution: processes that share GPUs in time, whose true energy the script gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbon.bench.agent.scripted import play_here, scenario_clock, scripts
from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.collect.attributor import Attributor
from carbon.collect.nvml import NvmlSource
from carbon.collect.processes import MachineTotals, Process, ProcessTable
from carbon.collect.sampler import Sampler

_EPOCH_MS = 1_700_000_000_000
_IDLE_MW = 100_000
#: What one percent of SM time draws where power follows utilisation.
_MW_PER_PERCENT = 4_000
_WINDOW_S = 60
#: (from s, to s, SM %) of each process: they come, go and overlap. First all rest.
_TURNS = {
    101: ((5, 65, 30),),
    102: ((5, 35, 60), (45, 65, 20)),
    103: ((20, 50, 10),),
    104: ((30, 65, 40),),
}


#: Under MIG: the instance of each process, and how many of seven slices it has.
_INSTANCES = {101: (1, 3), 102: (2, 2), 103: (3, 1), 104: (4, 1)}


@dataclass
class _Programs:
    """A process table of nothing but the programs on the GPU."""

    def processes(self) -> Iterator[Process]:
        for pid in _TURNS:
            named = {"CARBON_WORKLOAD": f"w{pid}"}
            yield Process(pid, 1, float(pid), "bench", 0.0, 0.0, 1 << 30, named)

    def process(self, pid: int) -> Process | None:
        return next((process for process in self.processes() if process.pid == pid), None)

    def totals(self) -> MachineTotals:
        return MachineTotals(0.0, 1 << 36, 8)


def sharing(folder: Path, options: Options) -> list[Figure]:
    follows = _worst_percent(folder, dict.fromkeys(_TURNS, 1.0), "util")
    differs = _worst_percent(folder, {101: 0.8, 102: 1.2, 103: 1.0, 104: 0.9}, "util")
    by_memory = _worst_percent(folder, dict.fromkeys(_TURNS, 1.0), "memory")
    return [
        at_most("attribution by SM time", follows, "%", 5.0, "power follows it; worst of 4, 60 s"),
        reported(
            "attribution by SM time, power apart", differs, "%", "a percent draws 0.8 to 1.2 times"
        ),
        reported("attribution by memory held", by_memory, "%", "where no SM time is told"),
        at_most(
            "attribution under MIG",
            _worst_percent(folder, dict.fromkeys(_TURNS, 1.0), "mig"),
            "%",
            10.0,
            "by the activity of 4 instances (GPM) and their slices; worst of 4, 60 s",
        ),
    ]


def _worst_percent(folder: Path, draw: dict[int, float], model: str) -> float:
    """The greatest error of one process's energy above idle, over a minute."""
    with tempfile.TemporaryDirectory() as name:
        clock = scenario_clock(Path(name) / "clock", _EPOCH_MS)
        script = scripts().Script((_gpu(draw, model),), _EPOCH_MS, Path(name) / "clock")
        play_here(folder, script.write(Path(name) / "script.txt"))
        sampler = Sampler([NvmlSource(clock)])
        attributor = Attributor(sampler, ProcessTable(_Programs()))
        sampler.refresh()
        seen: dict[str, int] = {}
        for tick in range((_WINDOW_S + 6) * 10):
            sampler.look()
            if tick % 10 == 0:
                attributor.look()
                for device, closed in sampler.close(clock.monotonic_ns()):
                    shares = attributor.shares(device, closed, clock.now_ms(), None)
                    for who, energy_mj in shares.items():
                        seen[who.workload or ""] = seen.get(who.workload or "", 0) + energy_mj
            clock.advance(0.1)
        sampler.close_sources()
    return max(
        100 * abs(seen.get(f"w{pid}", 0) - true_mj) / true_mj
        for pid, true_mj in _true_mj(draw, model).items()
    )


def _at_work(second: int, model: str) -> dict[int, float]:
    """Percent of the whole GPU by process."""
    slices = {pid: held / 7 if model == "mig" else 1.0 for pid, (_, held) in _INSTANCES.items()}
    return {
        pid: sm * slices[pid]
        for pid, turns in _TURNS.items()
        for start_s, end_s, sm in turns
        if start_s <= second < end_s
    }


def _true_mj(draw: dict[int, float], model: str) -> dict[int, float]:
    """What a process adds to the idle power, and its share of idle while kernels run: idle
    power belongs to nobody only for the time without kernels."""
    energies = dict.fromkeys(_TURNS, 0.0)
    for second in range(_WINDOW_S + 6):
        loads = _at_work(second, model)
        busy = min(100, sum(loads.values()))
        for pid, sm in loads.items():
            own = sm * _MW_PER_PERCENT * draw[pid]
            energies[pid] += own + _IDLE_MW * busy / 100 * sm / sum(loads.values())
    return energies


def _gpu(draw: dict[int, float], model: str) -> Any:
    nvml = scripts()
    pieces = []
    for second in range(_WINDOW_S + 6):
        loads = _at_work(second, model)
        power_mw = _IDLE_MW + sum(sm * _MW_PER_PERCENT * draw[pid] for pid, sm in loads.items())
        pieces.append((1000, round(power_mw)))
    processes = tuple(
        nvml.Process(
            pid, sm, from_ms=start_s * 1000, to_ms=end_s * 1000, instance=_INSTANCES[pid][0]
        )
        for pid, turns in _TURNS.items()
        for start_s, end_s, sm in turns
    )
    untold = (nvml.Rule(nvml.PROCESS_UTILIZATION, nvml.Nvml.NOT_SUPPORTED),)
    return nvml.Gpu(
        "GPU-0",
        nvml.Power.piecewise(pieces, _IDLE_MW),
        processes=processes,
        rules=untold if model == "memory" else (),
        mig=model == "mig",
        instances=tuple(_INSTANCES.values()),
    )
