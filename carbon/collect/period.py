"""The open period: what each subject drew from each device so far."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from carbon.collect.subjects import IDLE, Subject
from carbon.domain.energy import Method
from carbon.wire.energy import EnergyInterval


class _Segment(Struct):
    """A stretch without a hole, known by one method."""

    device: str
    method: Method
    start_ms: int
    end_ms: int
    shares: dict[Subject, int]

    def intervals(self) -> list[EnergyInterval]:
        # A device that drew nothing was still seen: the reading stands, with nobody's name.
        shares = {who: mj for who, mj in self.shares.items() if mj} or {IDLE: 0}
        return [
            EnergyInterval(
                device=self.device,
                start_ms=self.start_ms,
                end_ms=self.end_ms,
                energy_mj=energy_mj,
                method=self.method.label,
                workload=who.workload,
                run=who.run,
                subject=who.stated,
            )
            for who, energy_mj in shares.items()
        ]


class Period(Struct):
    _segments: list[_Segment] = field(default_factory=list)
    _open: dict[str, _Segment] = field(default_factory=dict)
    #: Energy of steps shorter than a millisecond; it goes with the device's next step.
    _short: dict[str, dict[Subject, int]] = field(default_factory=dict)

    def add(
        self, device: str, method: Method, start_ms: int, end_ms: int, shares: Mapping[Subject, int]
    ) -> None:
        """Steps of one device come in order. A hole or another method begins a new interval."""
        if end_ms <= start_ms:
            _merge(self._short.setdefault(device, {}), shares)
            return
        segment = self._open.get(device)
        if segment is None or segment.method is not method or segment.end_ms != start_ms:
            segment = _Segment(device, method, start_ms, start_ms, {})
            self._open[device] = segment
            self._segments.append(segment)
        segment.end_ms = end_ms
        _merge(segment.shares, shares)
        _merge(segment.shares, self._short.pop(device, {}))

    def intervals(self) -> list[EnergyInterval]:
        return [interval for segment in self._segments for interval in segment.intervals()]

    def clear(self) -> None:
        self._segments.clear()
        self._open.clear()


def _merge(into: dict[Subject, int], shares: Mapping[Subject, int]) -> None:
    for who, energy_mj in shares.items():
        into[who] = into.get(who, 0) + energy_mj
