"""What a report says beside its numbers: marks, changes worth a notice, digits worth printing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from carbon.domain.uncertainty import Interval

#: Names the arithmetic, so that a change of it is seen in what was issued before.
METHOD: Final = "carbon-sci/2"
#: A change above this part of a total is told to the report's readers, unless it says otherwise.
MATERIALITY: Final = 0.05
#: Below this coverage a report is marked; it is never refused for it.
COVERAGE_FLOOR: Final = 0.5
#: ISO/IEC 21031 asks for a reason for what is left out; more than this is marked.
EXCLUDED_SHARE: Final = 0.05


class GapPolicy(StrEnum):
    """What is done about time that should have been read and was not."""

    SHOW = "show"  #: coverage tells of it
    FILL = "fill"  #: estimated from the device's own profile, apart from what was measured


_GAPS: Final = {
    GapPolicy.SHOW: "not filled: coverage tells how much of the device-time was read",
    GapPolicy.FILL: "time that was held and not read: one or two 5-minute intervals in a row along "
    "the line from the power before to that after, more at the power that the same subject drew on "
    "the same device elsewhere in the window; counted as estimated",
}


class IdlePolicy(StrEnum):
    """Who carries the idle time of what nobody reserved."""

    RESERVER = "reserver"  #: reserved idle alone is somebody's
    PROPORTIONAL = "proportional"  #: by energy, among those who drew on the device
    OVERHEAD = "overhead"  #: the fleet's, by energy, among all who drew


_IDLE: Final = {
    IdlePolicy.RESERVER: "to nobody: shown as idle, in no workload's score",
    IdlePolicy.PROPORTIONAL: "to the workloads that drew on the same device in the same "
    "quarter-hour, by energy; where nobody drew, to nobody",
    IdlePolicy.OVERHEAD: "the whole fleet's, to all workloads that drew in the same quarter-hour, "
    "by energy",
}


class HostPolicy(StrEnum):
    """Who carries the CPU and DRAM of a host with GPUs."""

    ENERGY = "energy"  #: each subject what it was seen drawing of them
    RESERVATION = "reservation"  #: who held the host's GPUs, by reserved time


_HOST: Final = {
    HostPolicy.ENERGY: "cpu and dram as devices of their own, by the energy of each subject",
    HostPolicy.RESERVATION: "all cpu and dram of a host, idle and unattributed too, to who held "
    "its GPUs in the same quarter-hour, by reserved time; where nobody held one, by the energy of "
    "each subject",
}

_POLICIES: Final = {
    "operational": "energy of the counting meter by 5-minute bucket times its intensity and PUE",
    "idle_reserved": "to who reserved the device",
    "embodied": "by reserved device-time over the expected life; shared spans by energy; of a "
    "server that was stated, the same part to each of its GPUs",
    "intensity": "location-based",
}


def policies(
    gaps: GapPolicy = GapPolicy.FILL,
    idle: IdlePolicy = IdlePolicy.RESERVER,
    host: HostPolicy = HostPolicy.ENERGY,
) -> dict[str, str]:
    """How what is shared was allocated; part of every report."""
    return {
        **_POLICIES,
        "gaps": _GAPS[gaps],
        "idle_unreserved": _IDLE[idle],
        "host_parts": _HOST[host],
    }


class Mark(StrEnum):
    """What a reader must know before the number."""

    COVERAGE_BELOW_FLOOR = "coverage_below_floor"
    COVERAGE_UNKNOWN = "coverage_unknown"
    EXCLUDED_SHARE = "excluded_share_above_5_percent"
    WINDOW_OPEN = "window_not_over"
    UNITS_SET_ASIDE = "units_set_aside"
    NOT_MEASURED = "mostly_not_measured"
    UNIT_BASIS = "unit_basis_not_stated"
    #: GPUs are charged for their making, and nothing for the server that they stand in.
    SERVER_UNKNOWN = "server_not_stated"


def marks_of(
    coverage: float | None,
    coverage_floor: float,
    set_aside: float,
    measured_g: float,
    operational_g: float,
    excluded: Iterable[Mapping[str, Any]],
    lacks_basis: bool = False,
    lacks_server: bool = False,
) -> list[Mark]:
    """In the order in which they matter."""
    found = []
    if coverage is None:
        found.append(Mark.COVERAGE_UNKNOWN)
    elif coverage < coverage_floor:
        found.append(Mark.COVERAGE_BELOW_FLOOR)
    if operational_g and measured_g < operational_g / 2:
        found.append(Mark.NOT_MEASURED)
    if set_aside:
        found.append(Mark.UNITS_SET_ASIDE)
    if math.fsum(part.get("share") or 0.0 for part in excluded) > EXCLUDED_SHARE:
        found.append(Mark.EXCLUDED_SHARE)
    if lacks_basis:
        found.append(Mark.UNIT_BASIS)
    if lacks_server:
        found.append(Mark.SERVER_UNKNOWN)
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """A figure as it was reported and as it would be stated now."""

    as_reported: float | None
    restated: float | None

    @property
    def relative(self) -> float | None:
        """0.124 for a rise of 12.4 %; None where a ratio means nothing."""
        if self.as_reported is None or self.restated is None:
            return None
        if self.as_reported == self.restated:
            return 0.0
        return self.restated / self.as_reported - 1 if self.as_reported else None

    def exceeds(self, materiality: float) -> bool:
        """A figure that appears or vanishes always does."""
        if self.as_reported == self.restated:
            return False
        return self.relative is None or abs(self.relative) > materiality


def greatest(changes: Iterable[Change]) -> float:
    """The largest size of the relative changes; infinite where a figure appears or vanishes."""
    sizes = [
        math.inf if change.relative is None else abs(change.relative)
        for change in changes
        if change.as_reported != change.restated
    ]
    return max(sizes, default=0.0)


def shown(interval: Interval) -> tuple[str, str, str]:
    """Value, low and high with the digits that the interval justifies: two of its half-width."""
    half_width = (interval.high - interval.low) / 2
    if not half_width or not math.isfinite(half_width):
        plain = [f"{x:.6g}" for x in (interval.value, interval.low, interval.high)]
        return plain[0], plain[1], plain[2]
    decimals = 1 - math.floor(math.log10(half_width))
    texts = [_rounded(x, decimals) for x in (interval.value, interval.low, interval.high)]
    return texts[0], texts[1], texts[2]


def _rounded(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    return f"{rounded:.{max(0, decimals)}f}"
