"""One batch on its way in: judged, nothing written yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carbon.domain.claims import IDLE, UNATTRIBUTED, SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_DAY
from carbon.errors import CarbonError, InvalidInput, NotFound
from carbon.services.sent_columns import SentColumns, WhoText
from carbon.storage.interval_columns import Ints
from carbon.storage.names import FOR_EVER_MS
from carbon.wire.energy import EnergyBatch, Rejection, ReservationInfo

#: Clocks may be this far ahead of ours.
MAX_AHEAD_MS = 300_000
#: Longer intervals hide more than they tell; an import cuts its months first.
MAX_SPAN_MS = 31 * MS_PER_DAY
#: No metered device draws more; sums of what claims to would leave the range of a column.
MAX_POWER_W = 100_000_000
#: Pieces of one batch: a month of 20 devices, or 200 000 intervals of 10 s.
MAX_PIECES = 200_000
Mask = NDArray[np.bool_]
_METHODS = {method.label: int(method) for method in Method}


_TOO_MANY_PIECES = InvalidInput(
    "too_many_pieces",
    f"a batch may cover {MAX_PIECES} buckets of 5 minutes; send it in parts",
)


@dataclass(frozen=True, slots=True)
class Who:
    """A subject of the batch with its workload, and the time over which it was seen."""

    subject: SubjectRef
    workload: WorkloadName | None
    start_ms: int = 0
    end_ms: int = 0


@dataclass
class Sending:
    """A batch on its way: judged, not yet written."""

    principal: Principal
    batch: EnergyBatch
    zone: str | None
    now_ms: int
    #: The intervals that can be meant; `whos` and `methods` (values of `Method`) by the numbers
    #: that stand in its columns.
    accepted: SentColumns
    whos: dict[int, Who] = field(default_factory=dict)
    methods: Ints = field(init=False)
    rejected: list[Rejection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._judge(self.accepted)

    def _judge(self, sent: SentColumns) -> None:
        """Keeps what can be meant. Nearly all can: these are judged at once, the others again
        one by one, to be told what is wrong with them."""
        self.methods = np.array([_METHODS.get(name, 0) for name in sent.methods], dtype=np.int64)
        self.whos, errors = self._whos(sent.whos)
        knows_who = np.array([at in self.whos for at in range(len(sent.whos))], dtype=bool)
        span_ms = sent.end_ms - sent.start_ms
        is_good = (span_ms > 0) & (span_ms <= MAX_SPAN_MS)
        is_good &= sent.end_ms <= self.now_ms + MAX_AHEAD_MS
        is_good &= sent.energy_mj <= MAX_POWER_W * span_ms
        is_good &= (self.methods[sent.method] > 0) & knows_who[sent.who]
        for at in np.flatnonzero(~is_good).tolist():
            self._reject(int(sent.position[at]), self._fault(sent, at, errors))
        for at in _beyond(np.where(is_good, 1 + span_ms // BUCKET_MS, 0), MAX_PIECES):
            is_good[at] = False
            self._reject(int(sent.position[at]), _TOO_MANY_PIECES)
        self.accepted = sent.kept(is_good)
        self._note_spans()

    def _note_spans(self) -> None:
        """From when to when each subject was seen; who was not seen is nobody's concern."""
        sent = self.accepted
        first = _firsts(sent.who, sent.start_ms, len(sent.whos))
        last = [-ms for ms in _firsts(sent.who, -sent.end_ms, len(sent.whos))]
        spans = zip(first, last, strict=True)
        self.whos = {
            at: Who(self.whos[at].subject, self.whos[at].workload, start_ms, end_ms)
            for at, (start_ms, end_ms) in enumerate(spans)
            if start_ms < FOR_EVER_MS
        }

    @property
    def first_ms(self) -> dict[str, int]:
        """First start of each device."""
        sent = self.accepted
        first = _firsts(sent.device, sent.start_ms, len(sent.devices))
        starts = zip(sent.devices, first, strict=True)
        return {device: start_ms for device, start_ms in starts if start_ms < FOR_EVER_MS}

    def _fault(self, sent: SentColumns, at: int, errors: Mapping[int, CarbonError]) -> CarbonError:
        """What is wrong with one interval."""
        start_ms, end_ms = int(sent.start_ms[at]), int(sent.end_ms[at])
        try:
            check_span(start_ms, end_ms, self.now_ms)
        except CarbonError as error:
            return error
        if sent.energy_mj[at] > MAX_POWER_W * (end_ms - start_ms):
            return InvalidInput(
                "implausible_power", "energy_mj over so short a time exceeds 100 MW"
            )
        if not self.methods[sent.method[at]]:
            said = sent.methods[sent.method[at]]
            known = ", ".join(m.label for m in Method)
            return InvalidInput("unknown_method", f"{said!r} is none of {known}")
        return errors[int(sent.who[at])]

    def _reject(self, position: int, error: CarbonError) -> None:
        self.rejected.append(Rejection(position, error.code, error.detail))

    def refuse_devices(self, foreign: Collection[str]) -> None:
        """Rejects the intervals of devices that belong to another team."""
        sent = self.accepted
        is_foreign = np.array([uuid in foreign for uuid in sent.devices], dtype=bool)

        def detail(at: int) -> str:
            return f"the device {sent.devices[sent.device[at]]} belongs to another team"

        self.refuse(is_foreign[sent.device], "foreign_device", detail)

    def refuse(self, refused: Mask, code: str, detail: Callable[[int], str]) -> None:
        """Rejects those of the accepted intervals that a mask tells; `detail` of each place."""
        sent = self.accepted
        for at in np.flatnonzero(refused).tolist():
            self.rejected.append(Rejection(int(sent.position[at]), code, detail(at)))
        self.accepted = sent.kept(~refused)
        self._note_spans()

    def check(self, sent: ReservationInfo) -> None:
        """Raises InvalidInput: a batch with a reservation that cannot be meant is refused whole,
        since its embodied carbon would silently be another's."""
        check_span(sent.start_ms, sent.end_ms, self.now_ms + MAX_SPAN_MS)
        self.workload(sent.workload)

    def _whos(self, texts: Sequence[WhoText]) -> tuple[dict[int, Who], dict[int, CarbonError]]:
        """Who is meant, and why nobody is, by their numbers."""
        found: dict[int, Who] = {}
        errors: dict[int, CarbonError] = {}
        for at, (workload_text, run, subject_text) in enumerate(texts):
            try:
                workload = self.workload(workload_text)
                found[at] = Who(self.subject(subject_text, run, workload), workload)
            except CarbonError as error:
                errors[at] = error
        return found, errors

    def workload(self, text: str | None) -> WorkloadName | None:
        if text is None:
            return None
        try:
            return self.principal.workload(text)
        except NotFound:
            raise InvalidInput("foreign_team", f"this key may not write for {text!r}") from None

    def subject(
        self, text: str | None, run: str | None, workload: WorkloadName | None
    ) -> SubjectRef:
        """Run before named subject before workload; nothing said is `unattributed`."""
        if run is not None:
            return run_subject(workload.team if workload else self.principal.team, run)
        if text is not None:
            return self._stated_subject(text)
        if workload is not None:
            return SubjectRef(SubjectKind.NAME, str(workload))
        return UNATTRIBUTED

    def _stated_subject(self, text: str) -> SubjectRef:
        try:
            subject = SubjectRef.parse(text)
        except ValueError:
            raise InvalidInput("invalid_subject", f"{text!r} is no subject") from None
        if self.principal.meter_kind is MeterKind.TRACKER and subject not in (IDLE, UNATTRIBUTED):
            raise InvalidInput(
                "subject_not_allowed", "a team's key states runs and workloads, not subjects"
            )
        return subject


def _firsts(which: Ints, ms: Ints, count: int) -> list[int]:
    """The least of each; FOR_EVER_MS where there is none."""
    first = [FOR_EVER_MS] * count
    for one, at_ms in zip(which.tolist(), ms.tolist(), strict=True):
        if at_ms < first[one]:
            first[one] = at_ms
    return first


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


def run_subject(team: str, run: str) -> SubjectRef:
    """Runs are named within their team, so that two teams' run 1 are two runs."""
    return SubjectRef(SubjectKind.RUN, f"{team}/{run}")


def check_span(start_ms: int, end_ms: int, now_ms: int) -> None:
    """Raises InvalidInput where [start, end) is empty, too long, or in the future."""
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end_ms must be greater than start_ms")
    if end_ms - start_ms > MAX_SPAN_MS:
        raise InvalidInput("span_too_long", "an interval may span 31 days at most")
    if end_ms > now_ms + MAX_AHEAD_MS:
        raise InvalidInput("from_the_future", "the interval ends over 5 minutes from now")
