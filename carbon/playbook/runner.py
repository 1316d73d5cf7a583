"""Runs a comparison in measured A/B/A/B blocks and records what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from carbon.client.http import Client
from carbon.client.run import FIGURES_S
from carbon.client.session import Measured, RunSession
from carbon.clock import to_rfc3339
from carbon.collect.host_agent import AgentOptions
from carbon.domain.experiments.techniques import Technique
from carbon.errors import CarbonError
from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.device import CPU, Device

BLOCKS: Final = 5
_DELIVERY_S: Final = 20.0
#: The part of a block in which its turns are told well enough.
_PROBED: Final = 4
_ARMS: Final = ("baseline", "treatment")


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of everything; tests take less."""

    #: A block takes at least this long, so that starting and ending it do not count; None is the
    #: device's own.
    block_s: float | None = None
    blocks: int = BLOCKS
    warm_up: int = 1
    quick: bool = False


@dataclass(frozen=True, slots=True)
class _Block:
    arm: str
    number: int
    run: str
    measured: Measured
    done: Done


class Recorder:
    """Measures blocks on this machine and records them on one server."""

    def __init__(
        self,
        client: Client,
        options: AgentOptions,
        pace: Pace = Pace(),
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`tell` gets a line for each step that takes seconds."""
        self._client = client
        self._options = options
        self._pace = pace
        self._tell = tell

    def record(
        self, technique: Technique, comparison: Comparison, times: int = 1
    ) -> Iterator[dict[str, Any]]:
        """The answers of the server: an experiment for each unit, the blocks run `times` over."""
        workload = f"playbook-{technique}"
        self._tell(f"{technique}: {comparison.title}")
        costs = self._costs(workload, comparison)
        rounds = 1 if comparison.is_whole else self._rounds(comparison)
        for nth in range(1, times + 1):
            if times > 1:
                self._tell(f"  {nth} of {times}")
            yield from self._compared(technique, workload, comparison, rounds, costs)

    def _compared(
        self,
        technique: Technique,
        workload: str,
        comparison: Comparison,
        rounds: int,
        costs: list[dict[str, Any]],
    ) -> Iterator[dict[str, Any]]:
        both = tuple(zip(_ARMS, (comparison.baseline, comparison.treatment), strict=True))
        turns = [
            (number, arm, work)
            for number in range(self._pace.warm_up + self._blocks(comparison))
            for arm, work in both
        ]
        device = comparison.device
        blocks = [
            self._block(workload, arm, number, work, rounds, device, is_last=turn == len(turns))
            for turn, (number, arm, work) in enumerate(turns, 1)
        ]
        counted = [block for block in blocks if block.number >= self._pace.warm_up]
        for unit in comparison.units:
            yield self._client.create_experiment(
                workload=workload,
                technique=str(technique),
                title=comparison.title,
                parameters=dict(comparison.parameters),
                unit=unit,
                treats=list(comparison.treats),
                quality_metric=comparison.quality_metric,
                answers=list(comparison.cells),
                optimisation=costs,
                baseline=self._arm("baseline", counted, comparison, comparison.before, unit),
                treatment=self._arm("treatment", counted, comparison, comparison.after, unit),
            )

    def _blocks(self, comparison: Comparison) -> int:
        if self._pace.quick:
            return self._pace.blocks
        return max(self._pace.blocks, comparison.blocks_at_least)

    def _costs(self, workload: str, comparison: Comparison) -> list[dict[str, Any]]:
        """What making the treatment takes, as a run of a workload beside."""
        if comparison.prepare is None:
            return []
        prepare, beside = comparison.prepare, f"{workload}-making"

        def make(_: int) -> Done:
            prepare()
            return Done({})

        self._tell("  making the treatment, measured")
        block = self._block(beside, "making", 0, make, 1, comparison.device)
        return [{"what": "making the treatment", "run": block.run, "workload": beside}]

    def _rounds(self, comparison: Comparison) -> int:
        """Turns of the slower arm that fill a block; both arms do the same work."""
        block_s = self._pace.block_s or comparison.device.block_s
        works = comparison.baseline, comparison.treatment
        rounds = 1
        while True:
            longest = max(_seconds(work, rounds, comparison.device) for work in works)
            if longest >= block_s / _PROBED:
                return max(1, round(rounds * block_s / longest))
            rounds = max(2 * rounds, round(rounds * block_s / _PROBED / max(longest, 1e-3)))

    def _block(
        self,
        workload: str,
        arm: str,
        number: int,
        work: Work,
        rounds: int,
        device: Device = CPU,
        is_last: bool = False,
    ) -> _Block:
        """Raises CarbonError(`not_measured`): with the last block the server must have all of the
        runs, since it compares them next. A GPU's work begins and ends within its run."""
        session = RunSession(
            self._options.data_dir, lambda: self._options, workload, wait_cpu_s=FIGURES_S
        )
        device.synchronise()
        session.start()
        try:
            done = work(rounds)
            device.synchronise()
            measured = session.end(done.units)
            undelivered = session.flush(_DELIVERY_S) if is_last else 0
        finally:
            session.close()
        if undelivered != 0 or not measured.intervals:
            raise CarbonError(
                "not_measured",
                "a run of the playbook was not measured, or not delivered: start `carbon up`, and "
                "see `carbon doctor`",
            )
        if device.is_gpu and not _has_gpu(measured):
            raise CarbonError(
                "not_measured",
                "the agent saw no energy of this program on a GPU: `carbon doctor` says which GPUs "
                "it reads, and whether it sees their processes; or run with --device cpu",
            )
        return _Block(arm, number, session.run, measured, done)

    def _arm(
        self,
        arm: str,
        blocks: list[_Block],
        comparison: Comparison,
        config: Mapping[str, Any],
        unit: str,
    ) -> dict[str, Any]:
        own = [block for block in blocks if block.arm == arm]
        if comparison.replay is None:
            return {"blocks": [_run_of(block) for block in own], "config": dict(config)}
        methods = sorted({i.method for block in own for i in block.measured.intervals})
        hardware = sorted({s.kind for block in own for s in block.measured.sources})
        return {
            "blocks": [self._total(block, comparison, unit) for block in own],
            "config": dict(config),
            "stated": {
                "factors": [],
                "methods": methods,
                "hardware": hardware,
                "boundary": {"included": hardware, "excluded": [{"component": "embodied"}]},
                **comparison.stated[arm],
            },
        }

    def _total(self, block: _Block, comparison: Comparison, unit: str) -> dict[str, Any]:
        assert comparison.replay is not None
        measured = block.measured
        energy_mj = sum(interval.energy_mj for interval in measured.intervals)
        seconds = (measured.end_ms - measured.start_ms) / 1000
        number = block.number - self._pace.warm_up
        there = comparison.replay(block.arm, number, energy_mj, seconds)
        return {
            "start": to_rfc3339(there.start_ms),
            "end": to_rfc3339(there.end_ms),
            "site": there.site,
            "totals": {
                "energy_mj": there.energy_mj,
                "operational_g": there.operational_g,
                "count": block.done.units[unit],
            },
        }


def _seconds(work: Callable[[int], Done], rounds: int, device: Device) -> float:
    """Of the processor's own time where it works: what else the machine does makes no block
    shorter, and its energy is known by that time, in steps of 10 ms."""
    clock = time.perf_counter if device.is_gpu else time.process_time
    device.synchronise()
    before = clock()
    work(rounds)
    device.synchronise()
    return clock() - before


def _has_gpu(measured: Measured) -> bool:
    gpus = {used.device for used in measured.sources if used.kind == "gpu"}
    return any(i.device in gpus and i.energy_mj for i in measured.intervals)


def _run_of(block: _Block) -> dict[str, Any]:
    quality = block.done.quality
    return {"run": block.run, **({} if quality is None else {"quality": quality})}
