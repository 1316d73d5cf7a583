"""Where a long computation runs: here, or on a Ray cluster. The answer is the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, TypeVar

from carbon.cli.choices import choice
from carbon.errors import InvalidInput

Answer = TypeVar("Answer")


class Engine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


def engine_of(text: str) -> Engine:
    """Raises InvalidInput: `invalid_choice`, and `engine_missing` where Ray is not installed."""
    engine = choice(Engine, text, "--engine")
    if engine is Engine.RAY and find_spec("ray") is None:
        raise InvalidInput("engine_missing", "--engine ray needs Ray here: pip install ray")
    return engine


def run_on(engine: Engine, work: Callable[..., Answer], *args: Any, **named: Any) -> Answer:
    """Runs `work` there and waits. Its arguments and answer must be picklable."""
    if engine is Engine.LOCAL:
        return work(*args, **named)
    import ray

    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="error")
    try:
        answer: Answer = ray.get(ray.remote(work).remote(*args, **named))
        return answer
    finally:
        ray.shutdown()
