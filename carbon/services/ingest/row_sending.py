"""A small batch on its way in: its intervals judged and cut one by one.

For one interval this is a few microseconds, where columns would take a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field

from carbon.domain.energy import cut
from carbon.domain.units import BUCKET_MS
from carbon.errors import CarbonError
from carbon.services.ingest.pieces import FewPieces
from carbon.services.ingest.sending import (
    FOREIGN_DEVICE,
    METHODS,
    NOBODY,
    Sending,
    Who,
    foreign_detail,
)
from carbon.services.ingest.sent_columns import SentRows, WhoText
from carbon.storage.bulk import IntervalRow
from carbon.storage.dirty import pack
from carbon.wire.energy import EnergyInterval, Rejection


@dataclass
class RowSending(Sending):
    """No limit on its pieces is asked: a few months are fewer than a batch may have."""

    sent: InitVar[SentRows]
    #: The intervals that can be meant, with the index of each among those sent.
    accepted: list[tuple[int, EnergyInterval]] = field(default_factory=list, init=False)
    #: Whose they are, and over which time each was seen.
    whos: dict[WhoText, Who] = field(default_factory=dict, init=False)

    def __post_init__(self, sent: SentRows) -> None:
        for position, one in zip(sent.positions, sent.items, strict=True):
            try:
                self.check_interval(one.start_ms, one.end_ms, one.energy_mj, one.method)
                self._see(one)
            except CarbonError as error:
                self._reject(position, error)
            else:
                self.accepted.append((position, one))

    def _see(self, one: EnergyInterval) -> None:
        """Raises InvalidInput where nobody is meant."""
        text, start_ms, end_ms = _who_text(one), one.start_ms, one.end_ms
        known = self.whos.get(text)
        if known is None:
            known = self.who(text)
        else:
            start_ms, end_ms = min(known.start_ms, start_ms), max(known.end_ms, end_ms)
        self.whos[text] = Who(known.subject, known.workload, start_ms, end_ms)

    def __len__(self) -> int:
        return len(self.accepted)

    @property
    def devices(self) -> Collection[str]:
        return {one.device for _, one in self.accepted}

    @property
    def first_ms(self) -> dict[str, int]:
        first: dict[str, int] = {}
        for _, one in self.accepted:
            first[one.device] = min(one.start_ms, first.get(one.device, one.start_ms))
        return first

    def before(self, ms: int) -> tuple[set[str], int, int] | None:
        late = [one for _, one in self.accepted if one.start_ms < ms]
        if not late:
            return None
        first, last = min(one.start_ms for one in late), max(one.end_ms for one in late)
        return {one.device for one in late}, first, last

    def refuse_devices(self, foreign: Collection[str]) -> None:
        kept = []
        for position, one in self.accepted:
            if one.device in foreign:
                detail = foreign_detail(one.device)
                self.rejected.append(Rejection(position, FOREIGN_DEVICE, detail))
            else:
                kept.append((position, one))
        if len(kept) == len(self.accepted):
            return
        self.accepted, self.whos = kept, {}
        for _, one in kept:
            self._see(one)

    def pieces(
        self,
        devices: Mapping[str, tuple[int, int]],
        meet: Callable[[WhoText, Who], int],
        known: Mapping[WhoText, int] = NOBODY,
    ) -> FewPieces:
        ids = {text: known.get(text) or meet(text, who) for text, who in self.whos.items()}
        rows: list[IntervalRow] = []
        owners: list[int] = []
        dirty: set[int] = set()
        for owner, (_, one) in enumerate(self.accepted):
            device, meter = devices[one.device]
            of = (meter, ids[_who_text(one)])
            for start_ms, end_ms, energy_mj in _cut(one):
                rows.append((end_ms, *of, end_ms - start_ms, energy_mj, METHODS[one.method]))
                owners.append(owner)
                dirty.add(pack(start_ms, device))
        return FewPieces(rows, owners, dirty)


def _cut(one: EnergyInterval) -> Iterable[tuple[int, int, int]]:
    """Nearly all lie in one bucket."""
    if (one.end_ms - 1) // BUCKET_MS == one.start_ms // BUCKET_MS:
        return ((one.start_ms, one.end_ms, one.energy_mj),)
    return cut(one.start_ms, one.end_ms, one.energy_mj)


def _who_text(one: EnergyInterval) -> WhoText:
    return one.workload, one.run, one.subject
