"""A batch on its way in: its intervals judged by columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, field

import numpy as np
from numpy.typing import NDArray

from carbon.domain.units import BUCKET_MS
from carbon.errors import CarbonError, InvalidInput
from carbon.services.ingest.pieces import Pieces, cut_at_marks
from carbon.services.ingest.sending import (
    FOREIGN_DEVICE,
    MAX_AHEAD_MS,
    MAX_POWER_W,
    MAX_SPAN_MS,
    METHODS,
    NOBODY,
    Sending,
    Who,
    foreign_detail,
    meant,
)
from carbon.services.ingest.sent_columns import SentColumns, WhoText
from carbon.storage.interval_columns import Ints
from carbon.storage.names import FOR_EVER_MS
from carbon.wire.energy import Rejection

Mask = NDArray[np.bool_]

#: Subjects of a batch that are remembered together.
_FEW_WHOS = 256

#: Pieces of one batch: a month of 20 devices, or 200 000 intervals of 10 s.
MAX_PIECES = 200_000
_TOO_MANY_PIECES = InvalidInput(
    "too_many_pieces",
    f"a batch may cover {MAX_PIECES} buckets of 5 minutes; send it in parts",
)


@dataclass
class ColumnSending(Sending):
    sent: InitVar[SentColumns]
    #: The intervals that can be meant; `methods` (values of `Method`) by the numbers that stand in
    #: its columns.
    accepted: SentColumns = field(init=False)
    methods: Ints = field(init=False)
    #: Whoever can be meant, by the same numbers.
    _meant: Mapping[int, Who] = field(init=False)

    def __post_init__(self, sent: SentColumns) -> None:
        """Keeps what can be meant. Nearly always all can, which the extremes tell; else they are
        judged at once, and those that cannot again one by one, to be told what is wrong."""
        self._seen: list[str] | None = None
        self.methods = np.array([METHODS.get(name, 0) for name in sent.methods], dtype=np.int64)
        self._meant, errors = self._whos(sent.whos)
        if not errors and self._can_all_be_meant(sent):
            self.accepted = sent
        else:
            self._sift(sent, errors)

    def _can_all_be_meant(self, sent: SentColumns) -> bool:
        """What holds of the extremes holds of all; where it does not, it may yet hold of each."""
        if not len(sent):
            return True
        span_ms = sent.end_ms - sent.start_ms
        least_ms, most_ms = int(span_ms.min()), int(span_ms.max())
        return (
            least_ms > 0
            and most_ms <= MAX_SPAN_MS
            and int(sent.end_ms.max()) <= self.now_ms + MAX_AHEAD_MS
            and int(sent.energy_mj.max()) <= MAX_POWER_W * least_ms
            and bool(self.methods.all())
            and len(sent) * (1 + most_ms // BUCKET_MS) <= MAX_PIECES
        )

    def _sift(self, sent: SentColumns, errors: Mapping[int, CarbonError]) -> None:
        span_ms = sent.end_ms - sent.start_ms
        is_good = (span_ms > 0) & (span_ms <= MAX_SPAN_MS)
        is_good &= sent.end_ms <= self.now_ms + MAX_AHEAD_MS
        is_good &= sent.energy_mj <= MAX_POWER_W * span_ms
        is_good &= self.methods[sent.method] > 0
        if errors:
            knows_who = np.array([at in self._meant for at in range(len(sent.whos))], dtype=bool)
            is_good &= knows_who[sent.who]
        for at in np.flatnonzero(~is_good).tolist():
            self._reject(int(sent.position[at]), self._fault(sent, at, errors))
        for at in _beyond(np.where(is_good, 1 + span_ms // BUCKET_MS, 0), MAX_PIECES):
            is_good[at] = False
            self._reject(int(sent.position[at]), _TOO_MANY_PIECES)
        self.accepted = sent.kept(is_good)

    def _whos(self, texts: Sequence[WhoText]) -> tuple[Mapping[int, Who], dict[int, CarbonError]]:
        """Who is meant, and why nobody is, by their numbers."""
        if len(texts) <= _FEW_WHOS:
            try:
                return meant(self.principal, tuple(texts)), {}
            except CarbonError:
                pass  # which of them cannot be is told below
        found: dict[int, Who] = {}
        errors: dict[int, CarbonError] = {}
        for at, text in enumerate(texts):
            try:
                found[at] = self.who(text)
            except CarbonError as error:
                errors[at] = error
        return found, errors

    def _fault(self, sent: SentColumns, at: int, errors: Mapping[int, CarbonError]) -> CarbonError:
        """What is wrong with one interval."""
        numbers = (int(sent.start_ms[at]), int(sent.end_ms[at]), int(sent.energy_mj[at]))
        try:
            self.check_interval(*numbers, sent.methods[sent.method[at]])
        except CarbonError as error:
            return error
        return errors[int(sent.who[at])]

    @property
    def whos(self) -> dict[int, Who]:
        """From when to when each subject was seen; who was not seen is nobody's concern."""
        sent = self.accepted
        first = _firsts(sent.who, sent.start_ms, len(sent.whos))
        last = [-ms for ms in _firsts(sent.who, -sent.end_ms, len(sent.whos))]
        return {
            at: Who(self._meant[at].subject, self._meant[at].workload, start_ms, end_ms)
            for at, (start_ms, end_ms) in enumerate(zip(first, last, strict=True))
            if start_ms < FOR_EVER_MS
        }

    def __len__(self) -> int:
        return len(self.accepted)

    @property
    def devices(self) -> Collection[str]:
        if self._seen is None:
            sent = self.accepted
            seen = np.flatnonzero(np.bincount(sent.device, minlength=len(sent.devices)))
            self._seen = [sent.devices[at] for at in seen.tolist()]
        return self._seen

    @property
    def first_ms(self) -> dict[str, int]:
        sent = self.accepted
        first = _firsts(sent.device, sent.start_ms, len(sent.devices))
        starts = zip(sent.devices, first, strict=True)
        return {device: start_ms for device, start_ms in starts if start_ms < FOR_EVER_MS}

    def before(self, ms: int) -> tuple[set[str], int, int] | None:
        is_late = self.accepted.start_ms < ms
        if not is_late.any():
            return None
        late = self.accepted.kept(is_late)
        devices = {late.devices[at] for at in np.unique(late.device).tolist()}
        return devices, int(late.start_ms.min()), int(late.end_ms.max())

    def refuse_devices(self, foreign: Collection[str]) -> None:
        sent = self.accepted
        is_foreign = np.array([uuid in foreign for uuid in sent.devices], dtype=bool)

        def detail(at: int) -> str:
            return foreign_detail(sent.devices[sent.device[at]])

        self.refuse(is_foreign[sent.device], FOREIGN_DEVICE, detail)

    def refuse(self, refused: Mask, code: str, detail: Callable[[int], str]) -> None:
        """Rejects those of the accepted intervals that a mask tells; `detail` of each place."""
        sent = self.accepted
        for at in np.flatnonzero(refused).tolist():
            self.rejected.append(Rejection(int(sent.position[at]), code, detail(at)))
        self.accepted, self._seen = sent.kept(~refused), None

    def pieces(
        self,
        devices: Mapping[str, tuple[int, int]],
        meet: Callable[[WhoText, Who], int],
        known: Mapping[WhoText, int] = NOBODY,
    ) -> Pieces:
        sent = self.accepted
        # Whom and what refused intervals alone name has no id here, and no place in a column.
        ids = [known.get(text, 0) for text in sent.whos]
        if 0 in ids:
            for at, who in self.whos.items():
                ids[at] = ids[at] or meet(sent.whos[at], who)
        places = np.array([devices.get(uuid, (0, 0)) for uuid in sent.devices], dtype=np.int64)
        return cut_at_marks(
            sent,
            places[:, 0][sent.device],
            places[:, 1][sent.device],
            np.array(ids, dtype=np.int64)[sent.who],
            self.methods[sent.method],
        )


def _firsts(which: Ints, ms: Ints, count: int) -> list[int]:
    """The least of each; FOR_EVER_MS where there is none."""
    first = np.full(count, FOR_EVER_MS)
    np.minimum.at(first, which, ms)
    return first.tolist()


def _beyond(pieces: Ints, most: int) -> list[int]:
    """Which do not fit any more, where those before them that fit have taken their part."""
    if int(pieces.sum()) <= most:
        return []
    beyond, taken = [], 0
    for at, count in enumerate(pieces.tolist()):
        if taken + count > most:
            beyond.append(at)
        else:
            taken += count
    return beyond
