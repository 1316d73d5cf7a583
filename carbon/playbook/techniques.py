"""Which module plays which technique, and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final, cast

from carbon.domain.experiments.techniques import Technique
from carbon.errors import CarbonError
from carbon.playbook.comparison import Comparison, NotRun, Play
from carbon.playbook.device import CPU, Device


@dataclass(frozen=True, slots=True)
class Entry:
    technique: Technique
    what: str
    needs_torch: bool = True

    @property
    def is_ready(self) -> bool:
        return not self.needs_torch or find_spec("torch") is not None

    def comparisons(
        self, seed: int, quick: bool, device: Device = CPU
    ) -> Sequence[Comparison | NotRun]:
        """Raises CarbonError(`playbook_missing`) where PyTorch is not installed."""
        if not self.is_ready:
            raise CarbonError(
                "playbook_missing",
                f"{self.technique} needs PyTorch: pip install 'carbon-ledger[playbook]'",
            )
        play = cast(Play, import_module(f"carbon.playbook.{self.technique}"))
        return play.comparisons(seed, quick, device)


ENTRIES: Final = (
    Entry(Technique.MODEL_SELECTION, "two sizes of a classifier, carbon per correct answer"),
    Entry(Technique.QUANTISATION, "int8 and bf16 against fp32, batch 1 and 64"),
    Entry(Technique.PRUNING, "half the weights set to 0; half the neurons taken out"),
    Entry(Technique.DISTILLATION, "a student taught by a large teacher, and when it pays back"),
    Entry(Technique.MIXED_PRECISION, "training to the same loss in fp32 and bf16"),
    Entry(Technique.DATA_SUBSET, "training on a quarter of the data, accuracy by group"),
    Entry(Technique.DEPLOYMENT, "batching, threads, and a cleaner zone", needs_torch=False),
    Entry(Technique.PROMPT_AND_OUTPUT, "a language model's shorter answers, shorter prompts"),
    Entry(Technique.CLEAN_HOURS, "the scheduler on a replayed grid", needs_torch=False),
    Entry(Technique.SCALING, "replicas that wait against scale-to-zero", needs_torch=False),
)


def entry_of(technique: Technique) -> Entry:
    return next(entry for entry in ENTRIES if entry.technique is technique)
