"""From two looks at a device to the energy between them, by the best means both looks offer.

The rungs: difference of the energy counter, integrated instant power, integrated averaged
power, modelled power. The rung is chosen anew at every step, so that a source which stops
giving a field costs accuracy and not energy.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from carbon.collect.faults import Fault, FaultKind
from carbon.collect.source import Device, Sample
from carbon.domain.energy import Method

NS_PER_S: Final = 1_000_000_000
#: Longest time between two looks that is still one step. A boundary is held no further.
GAP_NS: Final = 2 * NS_PER_S
#: A counter that has not moved for this long, while `STUCK_MJ` were drawn, is stuck.
STUCK_NS: Final = 2 * NS_PER_S
STUCK_MJ: Final = 1_000
#: A counter moves in steps; one look may see the energy of this much more time than its own.
COUNTER_UPDATE_NS: Final = 100_000_000
#: Where a device's limit is not known: 10 kW, more than any single device draws.
UNKNOWN_LIMIT_MW: Final = 10_000_000
#: The cross-check compares over this long, and only steps short enough for power to be followed.
CHECK_NS: Final = 60 * NS_PER_S
CHECK_STEP_NS: Final = NS_PER_S // 4


class Step(Struct, frozen=True):
    """Energy over [start, end). Negative where it settles what power had stood in for."""

    start_ns: int
    end_ns: int
    energy_mj: int
    method: Method


class _Epoch(Struct):
    """A run of counter readings that may be subtracted from one another."""

    at_ns: int
    counter_mj: int
    #: When this value was first seen, and the power integrated since.
    changed_ns: int
    drawn_mj: int = 0
    #: Energy booked by power since the reading, because later looks had no counter.
    stood_in_mj: int = 0

    def move_to(self, at_ns: int, counter_mj: int) -> None:
        if counter_mj != self.counter_mj:
            self.changed_ns, self.drawn_mj = at_ns, 0
        self.at_ns, self.counter_mj, self.stood_in_mj = at_ns, counter_mj, 0


class _CrossCheck(Struct):
    """Counter against integrated power over the same steps."""

    span_ns: int = 0
    counter_mj: int = 0
    power_mj: int = 0

    def add(self, span_ns: int, counter_mj: int, power_mj: int) -> str | None:
        """A line when a full minute disagrees by more than 5 %."""
        self.span_ns += span_ns
        self.counter_mj += counter_mj
        self.power_mj += power_mj
        if self.span_ns < CHECK_NS:
            return None
        counted, drawn = self.counter_mj, self.power_mj
        self.span_ns = self.counter_mj = self.power_mj = 0
        if 20 * abs(counted - drawn) <= max(counted, drawn):
            return None
        return f"over a minute the counter rose by {counted} mJ and power came to {drawn} mJ"


class Ladder(Struct):
    """Feeds on looks in order of time; one for each device."""

    device: Device
    last: Sample | None = None
    _epoch: _Epoch | None = None
    _stuck_at_mj: int | None = None
    _remainder: int = 0
    _power_refused: bool = False
    _check: _CrossCheck = field(default_factory=_CrossCheck)

    @property
    def rung(self) -> Method:
        """What the time after the last look would be known by if looks go on alike."""
        if self._epoch is not None:
            return Method.COUNTER
        return _power_method(self.last, self.last) if self.last else Method.INTEGRATED

    @property
    def stood_in_mj(self) -> int:
        """Booked by power since the counter was last read: its next rise holds that once more."""
        return self._epoch.stood_in_mj if self._epoch is not None else 0

    def observe(self, sample: Sample) -> tuple[Step | None, list[Fault]]:
        """The step that ends with this look, if anything is known of it.

        A look that is not later than the last one, or that shows nothing, is not a look.
        """
        if self.last is not None and sample.at_ns <= self.last.at_ns:
            return None, []
        sample, faults = self._believable(sample)
        if sample.counter_mj is None and sample.power_mw is None:
            return None, faults
        last, self.last = self.last, sample
        if last is None:
            self._begin_epoch(sample)
            return None, faults
        walk = self._across_gap if sample.at_ns - last.at_ns > GAP_NS else self._walk
        step, found = walk(last, sample)
        return step, faults + found

    def _believable(self, sample: Sample) -> tuple[Sample, list[Fault]]:
        power_mw = sample.power_mw
        if power_mw is None:
            return sample, []
        if 0 <= 2 * power_mw <= 3 * self._limit_mw:
            self._power_refused = False
            return sample, []
        faults = [] if self._power_refused else [self._implausible(sample)]
        self._power_refused = True
        return replace(sample, power_mw=None), faults

    def _implausible(self, sample: Sample) -> Fault:
        detail = f"{sample.power_mw} mW where the limit is {self._limit_mw} mW: not counted"
        return self._fault(FaultKind.POWER_IMPLAUSIBLE, sample, detail)

    @property
    def _limit_mw(self) -> int:
        return self.device.power_limit_mw or UNKNOWN_LIMIT_MW

    def _walk(self, last: Sample, sample: Sample) -> tuple[Step | None, list[Fault]]:
        by_power = self._integrate(last, sample)
        epoch = self._epoch
        if epoch is not None and sample.at_ns - epoch.at_ns > GAP_NS:
            epoch = self._epoch = None
        if epoch is not None and by_power is not None:
            epoch.drawn_mj += by_power.energy_mj
        if epoch is None or sample.counter_mj is None:
            return self._stand_in(sample, by_power), []
        objection = self._objection(epoch, sample, sample.counter_mj)
        if objection is not None:
            return self._refuse(epoch, sample, by_power, objection), [objection]
        return self._count(epoch, sample, sample.counter_mj, by_power)

    def _count(
        self, epoch: _Epoch, sample: Sample, counter_mj: int, by_power: Step | None
    ) -> tuple[Step, list[Fault]]:
        rise_mj = counter_mj - epoch.counter_mj
        step = Step(epoch.at_ns, sample.at_ns, rise_mj - epoch.stood_in_mj, Method.COUNTER)
        epoch.move_to(sample.at_ns, counter_mj)
        span_ns = step.end_ns - step.start_ns
        if by_power is None or by_power.start_ns != step.start_ns or span_ns > CHECK_STEP_NS:
            return step, []
        line = self._check.add(span_ns, rise_mj, by_power.energy_mj)
        return step, [self._fault(FaultKind.METERS_DISAGREE, sample, line)] if line else []

    def _stand_in(self, sample: Sample, by_power: Step | None) -> Step | None:
        """Power in the place of a counter that this look, or the one before, does not have."""
        if self._epoch is None:
            self._begin_epoch(sample)
        elif by_power is not None:
            self._epoch.stood_in_mj += by_power.energy_mj
        return by_power

    def _refuse(
        self, epoch: _Epoch, sample: Sample, by_power: Step | None, objection: Fault
    ) -> Step | None:
        """Ends the epoch; the step's energy comes from power where there is any.

        The time that a stuck counter kept to itself is made good with this step.
        """
        self._epoch = None
        if objection.kind is not FaultKind.COUNTER_STUCK:
            self._begin_epoch(sample)
            return by_power
        self._stuck_at_mj = sample.counter_mj
        if by_power is None:
            return None
        return replace(by_power, energy_mj=epoch.drawn_mj - epoch.stood_in_mj)

    def _begin_epoch(self, sample: Sample) -> None:
        if sample.counter_mj is None or sample.counter_mj == self._stuck_at_mj:
            return
        self._stuck_at_mj = None
        self._epoch = _Epoch(sample.at_ns, sample.counter_mj, changed_ns=sample.at_ns)

    def _across_gap(self, last: Sample, sample: Sample) -> tuple[Step | None, list[Fault]]:
        """A counter's rise bridges the time without looks; without one, nothing is known of it."""
        seconds = (sample.at_ns - last.at_ns) / NS_PER_S
        faults = [self._fault(FaultKind.GAP, sample, f"no look for {seconds:.1f} s")]
        epoch, self._epoch = self._epoch, None
        self._begin_epoch(sample)
        if epoch is None or sample.counter_mj is None or self._epoch is None:
            return None, faults
        objection = self._objection(epoch, sample, sample.counter_mj)
        if objection is not None:
            return None, [*faults, objection]
        rise_mj = sample.counter_mj - epoch.counter_mj - epoch.stood_in_mj
        return Step(last.at_ns, sample.at_ns, rise_mj, Method.BRIDGED), faults

    def _objection(self, epoch: _Epoch, sample: Sample, counter_mj: int) -> Fault | None:
        """Why the counter is not believed, if it is not."""
        rise_mj = counter_mj - epoch.counter_mj
        still_ns = sample.at_ns - epoch.changed_ns
        if rise_mj < 0:
            detail = f"counter fell from {epoch.counter_mj} to {counter_mj} mJ: new epoch"
            return self._fault(FaultKind.COUNTER_RESET, sample, detail)
        if 2 * rise_mj * NS_PER_S > 3 * self._limit_mw * (still_ns + COUNTER_UPDATE_NS):
            detail = f"counter rose by {rise_mj} mJ in {still_ns / NS_PER_S:.3f} s: not counted"
            return self._fault(FaultKind.COUNTER_JUMP, sample, detail)
        if rise_mj == 0 and still_ns >= STUCK_NS and epoch.drawn_mj >= STUCK_MJ:
            detail = f"counter stands at {counter_mj} mJ while {epoch.drawn_mj} mJ were drawn"
            return self._fault(FaultKind.COUNTER_STUCK, sample, detail)
        return None

    def _integrate(self, last: Sample, sample: Sample) -> Step | None:
        """Trapezoid over the two looks, in integers: mW x ns with the remainder carried on."""
        before, after = last.power_mw, sample.power_mw
        if before is None or sample.power_is_modelled:
            # A modelled figure is the mean since the look before, so it holds for all the step.
            before = after
        if after is None:
            after = before
        if before is None or after is None:
            return None
        doubled = (before + after) * (sample.at_ns - last.at_ns) + self._remainder
        energy_mj, self._remainder = divmod(doubled, 2 * NS_PER_S)
        return Step(last.at_ns, sample.at_ns, energy_mj, _power_method(last, sample))

    def _fault(self, kind: FaultKind, sample: Sample, detail: str) -> Fault:
        return Fault(kind, self.device.uuid, sample.at_ns, detail)


def _power_method(last: Sample, sample: Sample) -> Method:
    """The worse of the two looks' kinds of power."""
    return max(_power_kind(last), _power_kind(sample))


def _power_kind(sample: Sample) -> Method:
    if sample.power_mw is None:
        return Method.INTEGRATED
    if sample.power_is_modelled:
        return Method.MODELLED
    return Method.AVERAGED if sample.power_is_averaged else Method.INTEGRATED
