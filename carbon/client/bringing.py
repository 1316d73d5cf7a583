"""Sends what an importer read: batches of energy, counts, and what was wrong, with patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from carbon.client.http import Client
from carbon.errors import InvalidInput, Retryable
from carbon.imports.harvest import Harvest
from carbon.wire.energy import EnergyBatch, IngestAnswer, UnitCount
from carbon.wire.quality import TroubleReport

_TRIES: Final = 8


@dataclass
class Brought:
    """What became of it. Counts are of what was sent: energy intervals and unit counts."""

    intervals: int = 0
    counts: int = 0
    accepted: int = 0
    duplicate: int = 0
    conflict: int = 0
    rejected: int = 0
    troubles: list[TroubleReport] = field(default_factory=list)


class Bringer:
    """One importer's way to a server. `source` names it in data quality."""

    def __init__(self, client: Client, source: str, brought: Brought) -> None:
        self._client = client
        self._source = source
        self._brought = brought

    def energy(self, batch: EnergyBatch) -> IngestAnswer:
        answer: IngestAnswer = patiently(self._client.send_energy, batch)
        return answer

    def units(self, counts: Sequence[UnitCount]) -> IngestAnswer:
        answer: IngestAnswer = patiently(self._client.send_units, counts)
        return answer

    def energy_of_all(self, batches: Iterable[EnergyBatch], harvest: Harvest) -> None:
        """One after the other; a batch that the ledger refuses whole is told and left out."""
        for batch in batches:
            self._brought.intervals += len(batch.intervals)
            try:
                self.add_up(self.energy(batch), harvest, _end(batch))
            except InvalidInput as refused:
                self._brought.rejected += len(batch.intervals)
                harvest.tell(refused.code, batch.host or batch.source, refused.detail, _end(batch))

    def add_up(self, answer: IngestAnswer, harvest: Harvest, at_ms: int) -> None:
        """What was refused is told of `at_ms`, the time that it speaks of."""
        self._brought.accepted += answer.accepted
        self._brought.duplicate += answer.duplicate
        self._brought.conflict += answer.conflict
        self._brought.rejected += len(answer.rejected)
        for rejection in answer.rejected:
            harvest.tell(rejection.code, "ledger", rejection.detail, at_ms)

    def tell(self, harvest: Harvest) -> None:
        """What was wrong, to the result and to data quality."""
        troubles = [
            TroubleReport(t.code, t.about[:200], t.detail[:1000], t.first_ms, t.last_ms, t.count)
            for t in harvest.troubles.values()
        ]
        self._brought.troubles += troubles
        if troubles:
            patiently(self._client.note_troubles, self._source, troubles)


def patiently(call: Callable[..., Any], *arguments: Any) -> Any:
    """Waits where the server asks to; one that is not there is not waited for."""
    for _ in range(_TRIES - 1):
        try:
            return call(*arguments)
        except Retryable as busy:
            if busy.code == "server_unreachable":
                raise
            time.sleep(min(busy.retry_after_s, 10))
    return call(*arguments)


def _end(batch: EnergyBatch) -> int:
    ends = [one.end_ms for one in batch.intervals] + [one.end_ms for one in batch.reservations]
    return max(ends, default=0)
