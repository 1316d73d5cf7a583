"""One batch on its way in: judged, nothing written yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from carbon.domain.claims import IDLE, UNATTRIBUTED, SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_DAY
from carbon.errors import CarbonError, InvalidInput, NotFound
from carbon.services.ingest.pieces import FewPieces, Pieces
from carbon.services.ingest.sent_columns import WhoText
from carbon.wire.energy import EnergyBatch, Rejection, ReservationInfo

#: Clocks may be this far ahead of ours.
MAX_AHEAD_MS = 300_000
#: Longer intervals hide more than they tell; an import cuts its months first.
MAX_SPAN_MS = 31 * MS_PER_DAY
#: No metered device draws more; sums of what claims to would leave the range of a column.
MAX_POWER_W = 100_000_000
FOREIGN_DEVICE = "foreign_device"
NOBODY: Mapping[WhoText, int] = {}
METHODS = {method.label: int(method) for method in Method}


@dataclass(frozen=True, slots=True)
class Who:
    """A subject of the batch with its workload, and the time over which it was seen."""

    subject: SubjectRef
    workload: WorkloadName | None
    start_ms: int = 0
    end_ms: int = 0


@dataclass
class Sending(ABC):
    """A batch on its way: judged, not yet written. Few intervals are judged one by one
    (`services.row_sending`), more of them by columns (`services.column_sending`)."""

    principal: Principal
    batch: EnergyBatch
    zone: str | None
    now_ms: int
    rejected: list[Rejection] = field(default_factory=list, init=False)

    @abstractmethod
    def __len__(self) -> int:
        """How many intervals can be meant."""

    @property
    @abstractmethod
    def devices(self) -> Collection[str]:
        """Those that have intervals."""

    @property
    @abstractmethod
    def first_ms(self) -> dict[str, int]:
        """First start of each device."""

    @abstractmethod
    def before(self, ms: int) -> tuple[set[str], int, int] | None:
        """What starts before a time: its devices, the first start and the last end."""

    @abstractmethod
    def refuse_devices(self, foreign: Collection[str]) -> None:
        """Rejects the intervals of devices that belong to another team."""

    @abstractmethod
    def pieces(
        self,
        devices: Mapping[str, tuple[int, int]],
        meet: Callable[[WhoText, Who], int],
        known: Mapping[WhoText, int] = NOBODY,
    ) -> Pieces | FewPieces:
        """What is stored, given the ids of each device and of its meter, and of the subjects that
        are known; `meet` gives the id of any other."""

    def _reject(self, position: int, error: CarbonError) -> None:
        self.rejected.append(Rejection(position, error.code, error.detail))

    def check(self, sent: ReservationInfo) -> None:
        """Raises InvalidInput: a batch with a reservation that cannot be meant is refused whole,
        since its embodied carbon would silently be another's."""
        check_span(sent.start_ms, sent.end_ms, self.now_ms + MAX_SPAN_MS)
        self.workload(sent.workload)

    def check_interval(self, start_ms: int, end_ms: int, energy_mj: int, method: str) -> None:
        """Raises InvalidInput for an interval that cannot be meant, whoever drew it."""
        check_span(start_ms, end_ms, self.now_ms)
        if energy_mj > MAX_POWER_W * (end_ms - start_ms):
            raise InvalidInput("implausible_power", "energy_mj over so short a time exceeds 100 MW")
        if method not in METHODS:
            known = ", ".join(METHODS)
            raise InvalidInput("unknown_method", f"{method!r} is none of {known}")

    def who(self, text: WhoText) -> Who:
        """Raises InvalidInput where nobody is meant."""
        return _who(self.principal, text)

    def workload(self, text: str | None) -> WorkloadName | None:
        return _workload(self.principal, text)

    def subject(
        self, text: str | None, run: str | None, workload: WorkloadName | None
    ) -> SubjectRef:
        return _subject(self.principal, text, run, workload)


@lru_cache(4096)
def _who(principal: Principal, text: WhoText) -> Who:
    """The same few senders name the same few over and over."""
    workload_text, run, subject_text = text
    workload = _workload(principal, workload_text)
    return Who(_subject(principal, subject_text, run, workload), workload)


@lru_cache(256)
def meant(principal: Principal, texts: tuple[WhoText, ...]) -> Mapping[int, Who]:
    """All that a batch names, by their numbers. Raises InvalidInput where one of them is nobody."""
    return {at: _who(principal, text) for at, text in enumerate(texts)}


def _workload(principal: Principal, text: str | None) -> WorkloadName | None:
    if text is None:
        return None
    try:
        return principal.workload(text)
    except NotFound:
        raise InvalidInput("foreign_team", f"this key may not write for {text!r}") from None


def _subject(
    principal: Principal, text: str | None, run: str | None, workload: WorkloadName | None
) -> SubjectRef:
    """Run before named subject before workload; nothing said is `unattributed`."""
    if run is not None:
        return run_subject(workload.team if workload else principal.team, run)
    if text is not None:
        return _stated_subject(principal, text)
    if workload is not None:
        return SubjectRef(SubjectKind.NAME, str(workload))
    return UNATTRIBUTED


def _stated_subject(principal: Principal, text: str) -> SubjectRef:
    try:
        subject = SubjectRef.parse(text)
    except ValueError:
        raise InvalidInput("invalid_subject", f"{text!r} is no subject") from None
    if principal.meter_kind is MeterKind.TRACKER and subject not in (IDLE, UNATTRIBUTED):
        raise InvalidInput(
            "subject_not_allowed", "a team's key states runs and workloads, not subjects"
        )
    return subject


def foreign_detail(device: str) -> str:
    return f"the device {device} belongs to another team"


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
