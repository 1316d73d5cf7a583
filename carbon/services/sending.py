"""One batch on its way in: judged item by item, nothing written yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from carbon.domain.claims import IDLE, UNATTRIBUTED, SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_DAY
from carbon.errors import CarbonError, InvalidInput, NotFound
from carbon.storage.names import FOR_EVER_MS
from carbon.wire.energy import EnergyBatch, EnergyInterval, Rejection, ReservationInfo

#: Clocks may be this far ahead of ours.
MAX_AHEAD_MS = 300_000
#: Longer intervals hide more than they tell; an import cuts its months first.
MAX_SPAN_MS = 31 * MS_PER_DAY
#: No metered device draws more; sums of what claims to would leave the range of a column.
MAX_POWER_W = 100_000_000
#: Pieces of one batch: a month of 20 devices, or 200 000 intervals of 10 s.
MAX_PIECES = 200_000
_METHODS = {method.label: int(method) for method in Method}


@dataclass(eq=False, slots=True)
class Who:
    """A subject of the batch with its workload, and the time over which it was seen."""

    subject: SubjectRef
    workload: WorkloadName | None
    start_ms: int
    end_ms: int


class Accepted(NamedTuple):
    """An interval that can be meant."""

    position: int
    sent: EnergyInterval
    who: Who
    #: Value of `Method`.
    method: int


@dataclass
class Sending:
    """A batch on its way: judged, not yet written."""

    principal: Principal
    batch: EnergyBatch
    zone: str | None
    now_ms: int
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    #: First start of each device.
    first_ms: dict[str, int] = field(default_factory=dict)
    #: 5-minute buckets that the accepted intervals reach into.
    pieces: int = 0
    #: A batch names few subjects over and over: each is worked out once.
    _whos: dict[tuple[str | None, str | None, str | None], Who] = field(default_factory=dict)

    def add(self, position: int, sent: EnergyInterval) -> None:
        try:
            self.accepted.append(self._judged(position, sent))
        except CarbonError as error:
            self.rejected.append(Rejection(position, error.code, error.detail))

    def add_all(self, positions: Iterable[int], intervals: Iterable[EnergyInterval]) -> None:
        """As `add` of each. Nearly all are sound, short and of a subject seen before: these are
        taken in one pass without a call, all others are judged one by one."""
        latest_ms = self.now_ms + MAX_AHEAD_MS
        whos, first_ms, take = self._whos, self.first_ms, self.accepted.append
        for position, sent in zip(positions, intervals, strict=True):
            start_ms, end_ms = sent.start_ms, sent.end_ms
            span_ms = end_ms - start_ms
            who = whos.get((sent.workload, sent.run, sent.subject))
            method = _METHODS.get(sent.method)
            is_plain = 0 < span_ms < BUCKET_MS and end_ms <= latest_ms
            if (
                who is None
                or method is None
                or not is_plain
                or sent.energy_mj > MAX_POWER_W * span_ms
                or self.pieces >= MAX_PIECES
            ):
                self.add(position, sent)
                continue
            self.pieces += 1
            if start_ms < who.start_ms:
                who.start_ms = start_ms
            if end_ms > who.end_ms:
                who.end_ms = end_ms
            device = sent.device
            if start_ms < first_ms.get(device, FOR_EVER_MS):
                first_ms[device] = start_ms
            take(Accepted(position, sent, who, method))

    def refuse_devices(self, foreign: Collection[str]) -> None:
        """Rejects the intervals of devices that belong to another team."""
        for item in self.accepted:
            if item.sent.device in foreign:
                detail = f"the device {item.sent.device} belongs to another team"
                self.rejected.append(Rejection(item.position, "foreign_device", detail))
        self.accepted = [item for item in self.accepted if item.sent.device not in foreign]

    def check(self, sent: ReservationInfo) -> None:
        """Raises InvalidInput: a batch with a reservation that cannot be meant is refused whole,
        since its embodied carbon would silently be another's."""
        check_span(sent.start_ms, sent.end_ms, self.now_ms + MAX_SPAN_MS)
        self.workload(sent.workload)

    def _judged(self, position: int, sent: EnergyInterval) -> Accepted:
        check_span(sent.start_ms, sent.end_ms, self.now_ms)
        self._count_pieces(sent)
        if sent.energy_mj > MAX_POWER_W * (sent.end_ms - sent.start_ms):
            raise InvalidInput("implausible_power", "energy_mj over so short a time exceeds 100 MW")
        try:
            method = Method.of(sent.method)
        except KeyError:
            known = ", ".join(m.label for m in Method)
            raise InvalidInput("unknown_method", f"{sent.method!r} is none of {known}") from None
        who = self._who(sent)
        if sent.start_ms < self.first_ms.get(sent.device, FOR_EVER_MS):
            self.first_ms[sent.device] = sent.start_ms
        return Accepted(position, sent, who, int(method))

    def _count_pieces(self, sent: EnergyInterval) -> None:
        pieces = 1 + (sent.end_ms - sent.start_ms) // BUCKET_MS
        if self.pieces + pieces > MAX_PIECES:
            raise InvalidInput(
                "too_many_pieces",
                f"a batch may cover {MAX_PIECES} buckets of 5 minutes; send it in parts",
            )
        self.pieces += pieces

    def _who(self, sent: EnergyInterval) -> Who:
        key = (sent.workload, sent.run, sent.subject)
        who = self._whos.get(key)
        if who is None:
            workload = self.workload(sent.workload)
            subject = self.subject(sent.subject, sent.run, workload)
            who = self._whos[key] = Who(subject, workload, sent.start_ms, sent.end_ms)
        elif sent.start_ms < who.start_ms:
            who.start_ms = sent.start_ms
        if sent.end_ms > who.end_ms:
            who.end_ms = sent.end_ms
        return who

    @property
    def whos(self) -> Collection[Who]:
        return self._whos.values()

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
