"""Whole arrays of a counter's history come to the very rows that its readings do one by one."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from itertools import pairwise

import numpy as np
from hypothesis import event, example, given
from hypothesis import strategies as st

from carbon.domain.units import BUCKET_MS
from carbon.imports.condense import Condenser, plain_run
from carbon.imports.harvest import Reader
from carbon.imports.mapping import MappingFile, MetricMapping, Placed, Rule
from carbon.imports.series import Readings, Series
from carbon.imports.tracks import Track
from carbon.wire.energy import EnergyInterval

START_MS = 5_900_000 * BUCKET_MS + 123
LABELS = {"__name__": "m", "gpu": "g", "node": "n"}
SOURCE = ("prometheus/own.psu", "n", "g")
#: ms since the reading before, and W since then; below 0 the counter falls to a part of itself.
Step = tuple[int, float]


def mapping_of(unit: str, **limits: float) -> MetricMapping:
    rule = Rule("psu", "m", "energy", unit, "{gpu}", max_w=1000.0, **limits)
    return MetricMapping(MappingFile(rule=[rule]), [])


def readings_of(first: float, steps: Iterable[Step], mj_per_unit: float) -> list[tuple[int, float]]:
    at_ms, value = START_MS, first
    readings = [(at_ms, value)]
    for ms, watts in steps:
        at_ms += ms
        value = value + watts * ms / mj_per_unit if watts >= 0 else value * -watts
        readings.append((at_ms, value))
    return readings


class History:
    """Windows of one counter, read as `carbon import prometheus` reads them, or one by one."""

    def __init__(self, mapping: MetricMapping, by_arrays: bool) -> None:
        self.reader, self.by_arrays = Reader(mapping, "prometheus"), by_arrays
        placed = mapping.place(LABELS)
        assert isinstance(placed, Placed)
        self.placed, self.key = placed, self.reader.key(placed)
        self.tracks: dict[str, Track] = {}
        self.condenser = Condenser()
        self.rows: list[EnergyInterval] = []
        self.troubles: list[tuple[str, int]] = []
        self.windows_by_arrays = 0

    def take(self, window: list[tuple[int, float]]) -> None:
        samples = Readings(
            np.array([at_ms for at_ms, _ in window], np.int64),
            np.array([value for _, value in window], np.float64),
        )
        if self.by_arrays and self._take_arrays(samples):
            self.windows_by_arrays += 1
            return
        harvest = self.reader.read([Series(LABELS, samples)], self.tracks, 1 << 50)
        for intervals in harvest.intervals.values():
            self.rows += self.condenser.add(SOURCE, intervals)
        self.troubles += [(one.code, one.count) for one in harvest.troubles.values()]

    def _take_arrays(self, samples: Readings) -> bool:
        at_ms, values = samples.at_ms, samples.values
        who = (self.placed.subject, self.placed.workload)
        first = Track(int(at_ms[0]), float(values[0]), "n", [who], int(at_ms[0]))
        track = deepcopy(self.tracks.get(self.key, first))
        run = plain_run(self.placed.rule, track, at_ms, values, who)
        if run is None:
            return False
        self.tracks[self.key] = track
        self.rows += self.condenser.join_run(SOURCE, run)
        return True

    def end(self) -> None:
        for _, left in self.condenser.close_all():
            self.rows += left


STEPS = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 40_000), st.sampled_from([15_000, 300_000, 300_001, 900_000])),
        st.one_of(
            st.floats(0.5, 900.0),
            st.just(0.0),  # stands still
            st.sampled_from([2_000.0, -0.99, -0.3, -0.001]),
        ),
    ),
    min_size=1,
    max_size=40,
)
RISING = st.lists(
    st.tuples(st.integers(1, 250_000), st.floats(0.5, 900.0)), min_size=1, max_size=60
)


def both(
    unit: str, limits: dict[str, float], first: float, steps: list[Step], cuts: set[int]
) -> tuple[History, History]:
    mapping = mapping_of(unit, **limits)
    readings = readings_of(first, steps, mapping_scale(unit))
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(readings)), len(readings)]
    made = History(mapping, by_arrays=True), History(mapping, by_arrays=False)
    for one in made:
        for lo, hi in pairwise(edges):
            one.take(readings[lo:hi])
        one.end()
    return made


def mapping_scale(unit: str) -> float:
    return Rule("psu", "m", "energy", unit).scale


@given(
    st.sampled_from(["mJ", "uJ", "J", "Wh", "kWh"]),
    st.sampled_from([{}, {"min_w": 1.0}, {"gap_s": 60.0}]),
    st.one_of(st.floats(0, 1e7), st.sampled_from([9.2e15, 1e16, 4.6e18, 9.2e18 - 1e9])),
    st.one_of(STEPS, RISING),
    st.sets(st.integers(1, 60), max_size=4),
)
@example("J", {}, 1e16, [(30_000, 300.0), (30_000, 300.0)], set())
@example("uJ", {}, 9.2e18 - 1e9, [(1_000, 900.0)] * 4, set())
@example("mJ", {}, 0.0, [(BUCKET_MS - 123, 100.0), (BUCKET_MS, 100.0)], {1, 2})
def test_arrays_come_to_the_rows_of_readings_one_by_one(
    unit: str, limits: dict[str, float], first: float, steps: list[Step], cuts: set[int]
) -> None:
    arrays, plain = both(unit, limits, first, steps, cuts)
    event(f"windows by arrays: {min(arrays.windows_by_arrays, 2)}")
    assert arrays.rows == plain.rows
    assert arrays.tracks == plain.tracks
    assert arrays.troubles == plain.troubles


@given(RISING, st.sets(st.integers(1, 60), max_size=4))
def test_a_counter_that_only_rises_is_read_by_arrays_and_lasts_to_the_mj(
    steps: list[Step], cuts: set[int]
) -> None:
    arrays, _ = both("mJ", {}, 0.0, steps, cuts)
    readings = readings_of(0.0, steps, 1.0)
    assert arrays.windows_by_arrays >= 1
    assert arrays.troubles == []
    assert sum(row.energy_mj for row in arrays.rows) == round(readings[-1][1])
    at_ms = readings[0][0]
    for row in arrays.rows:  # without a break, and none across a mark
        assert row.start_ms == at_ms
        assert row.start_ms // BUCKET_MS == (row.end_ms - 1) // BUCKET_MS
        at_ms = row.end_ms
