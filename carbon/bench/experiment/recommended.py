"""Planted waste: whether recommendations name it, in order of what it truly costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from carbon.app import open_context
from carbon.bench.experiment.planted import year
from carbon.bench.figure import Figure, at_least, reported
from carbon.bench.generated.fleet import PLANTED, Fleet, Habit
from carbon.bench.generated.year import Year
from carbon.domain.principal import Principal
from carbon.domain.recommendations import Kind
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.proofs.recommendations import recommendations
from carbon.settings import Settings


def recommended(seeds: int) -> Iterator[Figure]:
    named = ordered = 0
    for seed in range(seeds):
        planted = year(seed)
        wanted = list(planted.truth)
        found = [(one.kind, one.workload_id) for one in planted.found()]
        named += set(wanted) <= set(found)
        ordered += found[: len(wanted)] == wanted
    told = "a generated year; idle, oversized and deferrable planted, of sizes by seed"
    yield at_least("planted waste named", named, f"of {seeds}", seeds, told)
    yield at_least("top three by true saving, in order", ordered, f"of {seeds}", seeds, told)


_SEEN_AS: Final = {
    Habit.PARKED: Kind.IDLE_RESERVATION,
    Habit.OVERSIZED: Kind.LOW_UTILISATION,
    Habit.DEFERRABLE: Kind.COULD_HAVE_WAITED,
}


def generated_year(days: int) -> Iterator[Figure]:
    """The same through the service, on the organisation that the other benchmarks use."""
    fleet = Fleet(gpus=64, workload_count=12)
    principal = Principal("bench", "bench", "bench", ADMIN_SCOPES)
    with tempfile.TemporaryDirectory() as folder:
        context = open_context(Settings(data_dir=Path(folder), feeds=False, zone="DE"))
        Year(context, fleet, days, 1).write()
        began = time.perf_counter()
        told = recommendations(context, principal).recommendations
        seconds = time.perf_counter() - began
        context.engine.dispose()
    wanted = [
        (_SEEN_AS[workload.habit], f"{workload.team}/{workload.name}")
        for workload in fleet.workloads[: len(PLANTED)]
    ]
    found = [(one.kind, one.workload) for one in told]
    planted = sum(one in found for one in wanted)
    yield at_least("planted in the generated year, named", planted, "of 3", 3)
    yield reported("recommendations, 64 GPUs over 28 days", seconds, "s")
