"""Turns looks at one device into energy over periods of the caller's choice.

What looks have shown lies in order as steps; closing a period takes the steps before its
end and cuts the one that the end falls into. All arithmetic is in integers, so that the
periods sum to the counter's rise exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from carbon.collect.faults import Fault
from carbon.collect.ladder import GAP_NS, NS_PER_S, Ladder, Step
from carbon.collect.source import Device, Sample
from carbon.domain.energy import Method, energy_until

#: A worse method than the rest of a period names it from this share of the covered time on.
RELEVANT_ONE_IN: Final = 100


class Closed(Struct, frozen=True):
    """Energy of one device over [start, end), monotonic ns."""

    energy_mj: int
    method: Method
    start_ns: int
    end_ns: int
    #: Time within that looks stand behind; less than the whole where a step is not known.
    covered_ns: int


class Odometer:
    """One for each device. Looks come in order of time; a late one is passed over."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._ladder = Ladder(device)
        self._steps: deque[Step] = deque()
        self._closed_ns: int | None = None
        self._known_ns = 0
        #: Energy handed out ahead of the looks that have to show it; negative where looks
        #: showed more than has been booked.
        self._owed_mj = 0
        self._mean_mw: int | None = None

    def observe(self, sample: Sample) -> Sequence[Fault]:
        before = self._ladder.last
        step, faults = self._ladder.observe(sample)
        if step is not None:
            self._book(step)
        elif self._ladder.last is not before:
            # Nothing will ever settle what was held over a step that stays unknown.
            self._owed_mj = 0
        return faults

    def close(self, at_ns: int) -> Closed | None:
        """The energy since the last close, up to `at_ns`; None where nothing is known of it.

        Call until it answers None: time without looks (over 2 s) ends a period early, the
        counter's rise across it comes as a period of its own with method `bridged`, and what
        follows is a third. Periods are handed out in order, never overlap, and leave out only
        time of which nothing is known.

        The boundary is interpolated between the two looks around it. Where the second is not
        there yet, the last power is held, for 2 s at most; the looks that follow settle the
        difference, so the sum over periods stays the counter's. The method is the worst that
        covers at least a hundredth of the covered time.
        """
        self._hold_until(at_ns)
        steps = self._take(at_ns)
        if not steps:
            return None
        start_ns = self._start_of(steps[0])
        self._closed_ns = steps[-1].end_ns
        return Closed(
            energy_mj=sum(step.energy_mj for step in steps),
            method=_worst_relevant(steps),
            start_ns=start_ns,
            end_ns=steps[-1].end_ns,
            covered_ns=sum(step.end_ns - step.start_ns for step in steps),
        )

    @property
    def unclosed_mj(self) -> int:
        """What looks have shown less what has been closed; negative where a boundary was held
        ahead of the look that shows it."""
        shown_mj = sum(step.energy_mj for step in self._steps) - self._owed_mj
        return shown_mj - self._ladder.stood_in_mj

    def _book(self, step: Step) -> None:
        """Books a step after what is booked already; never below zero, the rest stays owed."""
        due_mj = step.energy_mj - self._owed_mj
        start_ns = max(step.start_ns, self._known_ns)
        if start_ns >= step.end_ns:
            self._owed_mj = -due_mj
            return
        # Below zero where the counter showed less than what stood in for it: no power is held then.
        self._mean_mw = max(0, step.energy_mj) * NS_PER_S // (step.end_ns - step.start_ns)
        booked_mj = max(0, due_mj)
        self._owed_mj = booked_mj - due_mj
        if start_ns != step.start_ns or booked_mj != step.energy_mj:
            step = replace(step, start_ns=start_ns, energy_mj=booked_mj)
        self._append(step)

    def _append(self, step: Step) -> None:
        self._steps.append(step)
        self._known_ns = step.end_ns

    def _hold_until(self, at_ns: int) -> None:
        last = self._ladder.last
        if last is None or not max(last.at_ns, self._known_ns) < at_ns <= last.at_ns + GAP_NS:
            return
        power_mw = last.power_mw if last.power_mw is not None else self._mean_mw
        if power_mw is None:
            return
        start_ns = max(last.at_ns, self._known_ns)
        held_mj = power_mw * (at_ns - start_ns) // NS_PER_S
        self._owed_mj += held_mj
        self._append(Step(start_ns, at_ns, held_mj, self._ladder.rung))

    def _take(self, at_ns: int) -> list[Step]:
        """The steps of one period that end by `at_ns`, the last one cut there if need be."""
        taken: list[Step] = []
        while self._steps and self._steps[0].start_ns < at_ns:
            step = self._steps[0]
            if taken and _interrupts(taken[-1], step):
                break
            if step.end_ns <= at_ns:
                taken.append(self._steps.popleft())
            else:
                taken.append(self._cut_first(at_ns))
        return taken

    def _cut_first(self, at_ns: int) -> Step:
        step = self._steps[0]
        part_mj = energy_until(step.energy_mj, step.start_ns, step.end_ns, at_ns)
        self._steps[0] = replace(step, start_ns=at_ns, energy_mj=step.energy_mj - part_mj)
        return replace(step, end_ns=at_ns, energy_mj=part_mj)

    def _start_of(self, first: Step) -> int:
        """Where a period begins: at the end of the last one, unless an outage lies between."""
        if self._closed_ns is None or first.method is Method.BRIDGED:
            return first.start_ns
        unknown_ns = first.start_ns - self._closed_ns
        return first.start_ns if unknown_ns > GAP_NS else self._closed_ns


def _interrupts(before: Step, step: Step) -> bool:
    bridged = Method.BRIDGED in (before.method, step.method)
    return bridged or step.start_ns - before.end_ns > GAP_NS


def _worst_relevant(steps: Sequence[Step]) -> Method:
    spans: dict[Method, int] = {}
    for step in steps:
        spans[step.method] = spans.get(step.method, 0) + step.end_ns - step.start_ns
    covered_ns = sum(spans.values())
    return max(m for m, span_ns in spans.items() if RELEVANT_ONE_IN * span_ns >= covered_ns)
