"""The precision that workloads compute in, as far as their experiments state it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.experiments.techniques import Technique
from carbon.domain.experiments.verdict import Verdict
from carbon.storage.experiments import statements_of

_PRECISIONS: Final = frozenset({Technique.MIXED_PRECISION, Technique.QUANTISATION})


class _Arm(Struct, frozen=True):
    config: dict[str, Any] = {}


class _Stated(Struct, frozen=True):
    technique: str
    verdict: str
    passed: bool
    baseline: _Arm
    treatment: _Arm

    @property
    def kept(self) -> _Arm:
        """What one goes on with: the treatment where it saved and did no harm."""
        return self.treatment if self.verdict == Verdict.SAVES and self.passed else self.baseline


def stated_precisions(connection: Connection, workload_ids: Collection[int]) -> dict[int, str]:
    """By workload, of its newest experiment whose config has a `precision`; left out are those of
    which one showed that another precision costs more."""
    found: dict[int, str] = {}
    settled: set[int] = set()
    for workload_id, statement in statements_of(connection, workload_ids):
        told = msgspec.json.decode(statement, type=_Stated)
        if told.technique in _PRECISIONS and told.verdict == Verdict.COSTS:
            settled.add(workload_id)
        precision = told.kept.config.get("precision")
        if isinstance(precision, str):
            found.setdefault(workload_id, precision)
    return {id_: precision for id_, precision in found.items() if id_ not in settled}
