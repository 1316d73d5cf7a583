"""What can be wrong with a meter, as the odometer sees it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class FaultKind(StrEnum):
    COUNTER_RESET = "counter_reset"  #: went backwards: driver reload, GPU reset
    COUNTER_STUCK = "counter_stuck"  #: stands still while power is drawn
    COUNTER_JUMP = "counter_jump"  #: rose by more than the device can draw
    POWER_IMPLAUSIBLE = "power_implausible"  #: more than the device can draw, or negative
    GAP = "gap"  #: nobody looked for too long
    SUSPEND = "suspend"  #: the machine slept
    METERS_DISAGREE = "meters_disagree"  #: counter and integrated power, over a minute


class Fault(Struct, frozen=True):
    """One finding; what was done about it is in `detail`, one line for people."""

    kind: FaultKind
    #: Its id, or `all`.
    device: str
    #: Monotonic time of the look that showed it, ns.
    at_ns: int
    detail: str
