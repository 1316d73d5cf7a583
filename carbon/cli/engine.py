"""Where a long computation runs: here, or on a Ray cluster. The answer is the same to the bit."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import typer

from carbon.cli.choices import choice
from carbon.errors import CarbonError, InvalidInput, Unavailable

_ANSWERS_WITHIN_S = 5.0

EngineOption = Annotated[str, typer.Option("--engine", help="local, or ray.")]

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Each(Protocol):
    """`work` of each task, in their order. Work, tasks and answers must be picklable."""

    def __call__(
        self, work: Callable[[Task], Answer], tasks: Iterable[Task], /
    ) -> Iterable[Answer]: ...


class Engine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


def engine_of(text: str) -> Engine:
    """Raises InvalidInput: `invalid_choice`, and `engine_missing` where Ray is not installed."""
    engine = choice(Engine, text, "--engine")
    if engine is Engine.RAY and find_spec("ray") is None:
        raise InvalidInput(
            "engine_missing",
            "--engine ray needs Ray here: pip install ray, or 'carbon-ledger[ray]'",
        )
    return engine


@contextmanager
def on(engine: Engine) -> Iterator[Each]:
    """One after the other here; at once on the cluster that RAY_ADDRESS names, else on a Ray that
    is started on this machine and ends with the block."""
    if engine is Engine.LOCAL:
        yield map
        return
    _ask_if_there(os.environ.get("RAY_ADDRESS", ""))
    import ray

    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="error")
    try:
        yield _each_by_ray
    finally:
        ray.shutdown()


def _ask_if_there(address: str) -> None:
    """Ray itself would try for minutes where none is. Raises Unavailable(`engine_away`)."""
    place = urlsplit(address if "://" in address else f"//{address}")
    try:
        if place.hostname is None or place.port is None:
            return  # such as "auto": Ray looks for itself
        socket.create_connection((place.hostname, place.port), timeout=_ANSWERS_WITHIN_S).close()
    except (OSError, ValueError) as error:
        raise Unavailable(
            "engine_away", f"no Ray answers at RAY_ADDRESS={address}: {error}"
        ) from error


def run_on(engine: Engine, work: Callable[..., Answer], *args: Any, **named: Any) -> Answer:
    """Runs `work` there and waits."""
    with on(engine) as each:
        [answer] = each(partial(_called, work, args), [named])
        return answer


def _called(work: Callable[..., Answer], args: Iterable[Any], named: dict[str, Any]) -> Answer:
    return work(*args, **named)


def _each_by_ray(work: Callable[[Task], Answer], tasks: Iterable[Task]) -> Iterable[Answer]:
    import ray

    # What all tasks share is sent once.
    remote, shared = ray.remote(_worked), ray.put(work)
    answers = ray.get([remote.remote(shared, task) for task in tasks])
    for answer in answers:
        if isinstance(answer, CarbonError):
            raise answer
    return list(answers)


def _worked(work: Callable[[Task], Answer], task: Task) -> Answer | CarbonError:
    """An error of ours as the answer: Ray would wrap it."""
    try:
        return work(task)
    except CarbonError as error:
        return error
