"""Energy of windows against the script's truth: bursts and square waves, a counter that moves
each 100 ms, looks at 10 Hz that fall anywhere between its moves."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from carbon.bench.agent.scripted import play_here, scenario_clock, scripts
from carbon.bench.figure import Figure, Options, at_most
from carbon.collect.nvml import NvmlSource
from carbon.collect.odometer import Odometer

_EPOCH_MS = 1_700_000_000_000
_LOOK_MS = 100
_SQUARES_MS = (10, 22, 50, 98, 202, 498)
#: The windows begin once the odometer has two looks.
_LEAD_MS = 1_000


def accuracy(folder: Path, options: Options) -> list[Figure]:
    span_s = 120 if options.quick else 600
    gpus = _gpus()
    fives = _errors(folder, gpus, span_s, 5)
    minutes = _errors(folder, gpus, span_s, 60)
    residual_mj = sum(run.residual_mj for run in (*fives, *minutes))
    told = "bursts of 140 and 600 W, squares of 10-500 ms"
    return [
        at_most("energy error, 60 s windows", _worst(minutes), "%", 0.1, f"worst trace; {told}"),
        at_most("energy error, 5 s windows", _worst(fives), "%", 1.0, f"worst trace; {told}"),
        at_most("counter less the sum of its windows", residual_mj, "mJ", 0.0, "all traces"),
    ]


def _worst(runs: Sequence[_Run]) -> float:
    """The trace with the greatest mean error, in %."""
    return 100 * max(mean(run.errors) for run in runs)


class _Run:
    """One GPU over one cutting into windows."""

    def __init__(self, gpu: Any) -> None:
        self.gpu = gpu
        self.errors: list[float] = []
        self.closed_mj = 0
        self.counters_mj: list[int] = []

    def close(self, odometer: Odometer, start_ms: int, end_ms: int) -> None:
        closed = odometer.close(end_ms * 1_000_000)
        assert closed is not None
        if start_ms >= _LEAD_MS:
            truth_mj = float(self.gpu.true_energy_mj(start_ms, end_ms))
            self.errors.append(abs(closed.energy_mj - truth_mj) / truth_mj)
        self.closed_mj += closed.energy_mj

    @property
    def residual_mj(self) -> float:
        """The counter's rise less the windows; the last one is closed at the last look."""
        return abs(self.counters_mj[-1] - self.counters_mj[0] - self.closed_mj)


def _errors(folder: Path, gpus: Sequence[Any], span_s: int, window_s: int) -> list[_Run]:
    with tempfile.TemporaryDirectory() as name:
        clock = scenario_clock(Path(name) / "clock", _EPOCH_MS)
        script = scripts().Script(tuple(gpus), _EPOCH_MS, Path(name) / "clock")
        play_here(folder, script.write(Path(name) / "script.txt"))
        source = NvmlSource(clock)
        odometers = {device.uuid: Odometer(device) for device in source.devices()}
        runs = {gpu.uuid: _Run(gpu) for gpu in gpus}
        start_ms, window_ms, at_ms = 0, _LEAD_MS, 0
        while at_ms < span_s * 1000 + _LEAD_MS:
            clock.advance(_LOOK_MS / 1000 if at_ms else 0.037)
            at_ms += _LOOK_MS if at_ms else 37
            for sample in source.sample():
                odometers[sample.device].observe(sample)
                runs[sample.device].counters_mj.append(sample.counter_mj or 0)
            if at_ms >= start_ms + window_ms:
                end_ms = start_ms + window_ms
                for uuid, run in runs.items():
                    run.close(odometers[uuid], start_ms, end_ms)
                start_ms, window_ms = end_ms, window_s * 1000
        for uuid, run in runs.items():
            closed = odometers[uuid].close(at_ms * 1_000_000)
            run.closed_mj += closed.energy_mj if closed else 0
        source.close()
    return list(runs.values())


def _gpus() -> list[Any]:
    """A bursty trace of an inference server (lognormal phases of 250 ms), and square waves whose
    phase drifts against the looks."""
    nvml = scripts()
    chance = random.Random(7)
    phases = [max(20, round(chance.lognormvariate(5.4, 0.5))) for _ in range(400)]
    bursts = [(ms, 600_000 if place % 2 else 140_000) for place, ms in enumerate(phases)]
    squares = [nvml.Power.square(140_000, 600_000, ms, ms // 2) for ms in _SQUARES_MS]
    powers = [nvml.Power.bursts(bursts), *squares]
    return [nvml.Gpu(f"GPU-{number}", power) for number, power in enumerate(powers)]
