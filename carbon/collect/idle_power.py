"""Power of a device at zero load, learned from its quietest second of the last day."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct, field

from carbon.collect.modelled import IDLE_ONE_IN
from carbon.collect.source import Device

HOUR_MS: Final = 3_600_000
REMEMBERED_HOURS: Final = 24


class _Quietest(Struct, frozen=True, order=True):
    utilisation: float
    power_mw: float
    hour: int


def modelled_idle_mw(device: Device) -> float:
    """What the power model itself takes for a CPU at zero load: a part of its rated power."""
    return (device.power_limit_mw or 0) / IDLE_ONE_IN


class IdlePower(Struct):
    """One for each device.

    The idle power is taken from the second with the least load; the load it still had is
    taken off in proportion, so that a machine never seen idle has a low estimate (its energy
    goes to those who use it) and not a high one.
    """

    _hours: deque[_Quietest] = field(default_factory=deque)

    def observe(self, at_ms: int, power_mw: float, utilisation: float) -> None:
        """`utilisation` 0..1 over the second that drew `power_mw` on average."""
        seen = _Quietest(min(1.0, max(0.0, utilisation)), power_mw, at_ms // HOUR_MS)
        if not self._hours or self._hours[-1].hour != seen.hour:
            self._hours.append(seen)
        elif seen < self._hours[-1]:
            self._hours[-1] = seen
        while self._hours[0].hour <= seen.hour - REMEMBERED_HOURS:
            self._hours.popleft()

    @property
    def power_mw(self) -> float | None:
        """None before anything was observed."""
        if not self._hours:
            return None
        quietest = min(self._hours)
        return quietest.power_mw * (1.0 - quietest.utilisation)

    @property
    def quietest(self) -> list[_Quietest]:
        """Hour by hour, as it may be kept and be the start of another one."""
        return list(self._hours)


class IdleBook:
    """What was learned of each device; kept over restarts, since an agent that starts on a busy
    machine has no quiet second to learn from."""

    def __init__(self, kept: str | None = None) -> None:
        """`kept` is of `encoded`; what cannot be read was never learned."""
        self._learned: dict[str, IdlePower] = {}
        with suppress(msgspec.DecodeError):
            hours = msgspec.json.decode(kept or "{}", type=dict[str, list[_Quietest]])
            self._learned = {uuid: IdlePower(deque(own)) for uuid, own in hours.items() if own}

    def of(self, uuid: str) -> IdlePower:
        return self._learned.setdefault(uuid, IdlePower())

    def encoded(self) -> str:
        hours = {uuid: idle.quietest for uuid, idle in self._learned.items()}
        return msgspec.json.encode(hours).decode()
