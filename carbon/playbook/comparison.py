"""What a technique's module offers: comparisons, each of two arms that do real work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from carbon.evaluation.answers import Cell
from carbon.playbook.device import CPU, Device

#: Turns of an arm's work in one block.
Rounds = int


@dataclass(frozen=True, slots=True)
class Done:
    """What one block made."""

    units: Mapping[str, int]
    quality: float | None = None


Work = Callable[[Rounds], Done]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A block's measured energy, put into another time and place: the sums a site would send."""

    start_ms: int
    end_ms: int
    site: str
    energy_mj: int
    operational_g: float


#: (arm, number of the block, measured energy, measured seconds) -> where it is accounted.
Replay = Callable[[str, int, int, float], Elsewhere]


@dataclass(frozen=True)
class Comparison:
    """Two arms of one technique on one small piece of work."""

    title: str
    parameters: Mapping[str, Any]
    baseline: Work
    treatment: Work
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    #: Each is an experiment of its own over the same blocks.
    units: Sequence[str]
    quality_metric: str = ""
    cells: Sequence[Cell] = ()
    #: Makes the treatment; measured as a run of its own and paid back by the saving.
    prepare: Callable[[], None] | None = None
    treats: Sequence[str] = ()
    #: A training to a target takes what it takes: one turn a block.
    is_whole: bool = False
    #: Where the blocks differ by more than noise, as days do.
    blocks_at_least: int = 0
    replay: Replay | None = None
    #: Conditions of a replayed arm, by arm.
    stated: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Where both arms work.
    device: Device = CPU


@dataclass(frozen=True, slots=True)
class NotRun:
    """What belongs to a technique and cannot be done here. It is named, and never a verdict."""

    title: str
    why: str


class Play(Protocol):
    """A technique's module."""

    def comparisons(self, seed: int, quick: bool, device: Device) -> Sequence[Comparison | NotRun]:
        """Makes its data and models, unmeasured but for `prepare`; the same seed makes the same.
        Those of NumPy work on the processor, whatever the device is."""
