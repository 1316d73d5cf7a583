"""Who runs what where, and how much each device draws; drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

GPUS_PER_HOST = 8
QUARTERS_PER_DAY = 96
#: (zone, PUE): where teams stand, in turn.
SITES = (("DE", 1.31), ("FR", 1.18), ("GB", 1.24), ("US-CAL-CISO", 1.12))
#: (model, power when idle in W, power at work in W)
MODELS = (
    ("NVIDIA H100 80GB HBM3", 71.0, 610.0),
    ("NVIDIA A100-SXM4-80GB", 58.0, 355.0),
    ("NVIDIA L4", 16.0, 62.0),
)
_TEAMS = (
    *("vision", "speech", "search", "ranking", "health", "robotics"),
    *("climate", "finance", "games", "research", "platform", "support"),
)


class Habit(StrEnum):
    """How a workload draws."""

    SERVING = "serving"  #: follows the day
    TRAINING = "training"  #: near full power for days on end
    BATCH = "batch"  #: a few hours each night
    #: Planted, for recommendations to find: a device held for nothing, one far too large for its
    #: work, and nightly work that begins when the grid is dirtiest.
    PARKED = "parked"
    OVERSIZED = "oversized"
    DEFERRABLE = "deferrable"


#: The first workloads, in this order; the others take turns.
PLANTED = (Habit.PARKED, Habit.OVERSIZED, Habit.DEFERRABLE)
_HABITS = (Habit.SERVING, Habit.TRAINING, Habit.TRAINING, Habit.BATCH)


@dataclass(frozen=True, slots=True)
class Workload:
    team: str
    name: str
    habit: Habit

    @property
    def has_counts(self) -> bool:
        return self.habit in (Habit.SERVING, Habit.OVERSIZED)


@dataclass(frozen=True)
class Fleet:
    gpus: int = 1_000
    workload_count: int = 200
    teams: int = 12
    seed: int = 1

    @cached_property
    def team_names(self) -> list[str]:
        return [_TEAMS[n] if n < len(_TEAMS) else f"team-{n + 1}" for n in range(self.teams)]

    @cached_property
    def workloads(self) -> list[Workload]:
        made = []
        for n in range(self.workload_count):
            habit = PLANTED[n] if n < len(PLANTED) else _HABITS[n % len(_HABITS)]
            name = f"{habit}-{n:03d}"
            made.append(Workload(self.team_names[n % self.teams], name, habit))
        return made

    def workload_of(self, gpu: int) -> int:
        """Place of the workload that a GPU belongs to; those of one stand together."""
        return gpu * self.workload_count // self.gpus

    def model_of(self, gpu: int) -> int:
        """All GPUs of a host are of one model."""
        return gpu // GPUS_PER_HOST % len(MODELS)

    def site_of(self, gpu: int) -> tuple[str, float]:
        return SITES[gpu // GPUS_PER_HOST % len(SITES)]

    def shares(self, day: int) -> Floats:
        """How busy each GPU is in each quarter-hour of a day, 0 to 1; (gpus, 96)."""
        random = np.random.default_rng((self.seed, day))
        hour = (np.arange(QUARTERS_PER_DAY) + 0.5) / 4
        noise = random.normal(0.0, 0.03, (self.gpus, QUARTERS_PER_DAY))
        weekday = 0.6 if day % 7 in (5, 6) else 1.0
        shapes = {
            Habit.SERVING: weekday * (0.35 + 0.3 * np.sin((hour - 8) / 24 * 2 * np.pi)),
            Habit.TRAINING: np.full_like(hour, 0.93),
            Habit.BATCH: np.where((hour >= 1) & (hour < 5), 0.85, 0.0),
            Habit.PARKED: np.zeros_like(hour),
            Habit.OVERSIZED: np.full_like(hour, 0.06),
            Habit.DEFERRABLE: np.where((hour >= 18) & (hour < 22), 0.95, 0.0),
        }
        of_gpu = [shapes[self.workloads[self.workload_of(g)].habit] for g in range(self.gpus)]
        busy = np.array(of_gpu)
        return np.where(busy > 0, np.clip(busy + noise, 0.02, 1.0), 0.0)

    def power_w(self, day: int) -> Floats:
        """(gpus, 96)"""
        models = [MODELS[self.model_of(gpu)] for gpu in range(self.gpus)]
        idle = np.array([model[1] for model in models])[:, None]
        full = np.array([model[2] for model in models])[:, None]
        return np.asarray(idle + (full - idle) * self.shares(day))

    def g_per_kwh(self, zone: str, day: int) -> Floats:
        """Of each hour of a day: clean at noon, dirty in the evening."""
        place = [site for site, _ in SITES].index(zone)
        random = np.random.default_rng((self.seed, 7_919 + place, day))
        level = (340.0, 55.0, 190.0, 230.0)[place]
        hour = np.arange(24) + 0.5
        season = 1 + 0.2 * np.cos(day / 365.25 * 2 * np.pi)
        noon = 1 - 0.35 * np.exp(-(((hour - 12.5) / 3) ** 2))
        evening = 1 + 0.25 * np.exp(-(((hour - 19.5) / 3) ** 2))
        weather = random.normal(1.0, 0.12)
        return np.asarray(np.clip(level * season * noon * evening * weather, 5, 1_500).round(1))
