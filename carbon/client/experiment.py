"""Two commands in interleaved blocks, each block a measured run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from carbon.client.run import RunRecord, run_command
from carbon.collect.host_agent import AgentOptions
from carbon.errors import CarbonError, InvalidInput

ARMS: Final = ("baseline", "treatment")


class BlockResult(Struct, frozen=True, forbid_unknown_fields=True):
    """What a command may write, as JSON, to the file that CARBON_RESULT names: counts and
    measures of its work, and never the work itself."""

    quality: float | None = None
    units: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class BlockRun:
    arm: str
    is_warm_up: bool
    record: RunRecord
    quality: float | None


def run_blocks(
    commands: Mapping[str, Sequence[str]],
    workload: str,
    units: Mapping[str, int],
    *,
    blocks: int,
    warm_up: int,
    options: AgentOptions,
    on_block: Callable[[BlockRun], None] = lambda block: None,
) -> list[BlockRun]:
    """A/B/A/B: `warm_up` blocks of each arm that are run and not counted, then `blocks` of each.

    Raises CarbonError(`block_failed`) for a command that does not end well, and InvalidInput
    (`invalid_result`) for a result file that is none.
    """
    done = []
    for number in range(warm_up + blocks):
        for arm in ARMS:
            block = _run_block(commands[arm], workload, units, arm, number, warm_up, options)
            on_block(block)
            done.append(block)
    return done


def _run_block(
    argv: Sequence[str],
    workload: str,
    units: Mapping[str, int],
    arm: str,
    number: int,
    warm_up: int,
    options: AgentOptions,
) -> BlockRun:
    with tempfile.TemporaryDirectory(prefix="carbon-block-") as folder:
        file = Path(folder) / "result.json"
        told = {
            "CARBON_RESULT": str(file),
            "CARBON_EXPERIMENT_ARM": arm,
            "CARBON_EXPERIMENT_BLOCK": str(number),
        }
        record = run_command(
            argv,
            workload,
            units,
            options=options,
            environment=told,
            count_after=lambda: _result(file).units,
        )
        result = _result(file)
    if record.exit_code:
        why = record.failure or f"exit {record.exit_code}"
        raise CarbonError("block_failed", f"block {number} of the {arm} failed: {why}")
    return BlockRun(arm, number < warm_up, record, result.quality)


def _result(file: Path) -> BlockResult:
    if not file.exists():
        return BlockResult()
    try:
        return msgspec.json.decode(file.read_bytes(), type=BlockResult)
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            "invalid_result",
            f"what the command wrote to CARBON_RESULT is no {{quality, units}}: {error}",
        ) from None


def arm_body(blocks: Sequence[BlockRun], arm: str, **members: Any) -> dict[str, Any]:
    """An arm of POST /v1/experiments; warm-up is left out."""
    counted = [block for block in blocks if block.arm == arm and not block.is_warm_up]
    runs: list[dict[str, Any]] = [
        {"run": b.record.run, **({} if b.quality is None else {"quality": b.quality})}
        for b in counted
    ]
    return {"blocks": runs, **members}
