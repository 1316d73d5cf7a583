"""Columns give what the rules of energy give for each device alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import (
    MeterKind,
    MeterView,
    Method,
    Reading,
    clip,
    counting_meter,
    settle,
)
from carbon.domain.units import watts
from carbon.services.fleet.power_columns import (
    POWER_WINDOW_MS,
    SILENT_AFTER_MS,
    Draw,
    Owners,
    Roster,
    draw_of,
)
from carbon.storage.interval_columns import columns_of
from carbon.storage.names import MeterRef
from carbon.storage.recent import KnownDevice

NOW_MS = 1_000_000
#: Device → meters: two devices of one meter, one of two, one that is never read.
METERS = {
    1: [MeterRef(11, MeterKind.AGENT)],
    2: [MeterRef(12, MeterKind.IMPORTER)],
    3: [MeterRef(13, MeterKind.AGENT), MeterRef(14, MeterKind.IMPORTER)],
    4: [],
}
ROSTER = Roster([KnownDevice(d, f"GPU-{d}", "gpu", "", "host", 0) for d in METERS], METERS)
MINE = 7
CLAIMS = {
    1: [Claim(1, MINE, 0, 10 * NOW_MS, 0)],
    2: [Claim(2, MINE, NOW_MS - 70_000, 10 * NOW_MS, 0)],
}
Row = tuple[int, int, int, int, int, int]


def rows_of_meters() -> st.SearchStrategy[list[Row]]:
    row = st.builds(
        lambda ago, meter, subject, span, energy, method: (
            NOW_MS - ago * 1_000,
            meter,
            subject,
            span * 1_000,
            energy,
            int(method),
        ),
        st.integers(0, 175),
        st.sampled_from([11, 12, 13, 14, 99]),
        st.integers(1, 3),
        st.sampled_from([5, 10, 10, 10, 30]),
        st.integers(0, 9_000_000),
        st.sampled_from([Method.COUNTER, Method.COUNTER, Method.MODELLED]),
    )
    return st.lists(row, max_size=40, unique_by=lambda r: r[:4])


def alone(device: int, rows: Sequence[Row], owners: Owners | None) -> tuple[float, float, int, int]:
    """The same by the rules: (power, measured, method, last end)."""
    by_meter: dict[int, list[Reading]] = {}
    for end, meter, subject, span, energy, method in rows:
        read = Reading(meter, subject, end - span, end, energy, Method(method))
        by_meter.setdefault(meter, []).append(read)
    own = [ref for ref in METERS[device] if ref.meter in by_meter]
    last = max((r.end_ms for ref in own for r in by_meter[ref.meter]), default=0)
    if last < NOW_MS - SILENT_AFTER_MS:
        return math.nan, 0.0, 0, last
    views = []
    for ref in own:
        parts = [clip(r, last - POWER_WINDOW_MS, last) for r in settle(by_meter[ref.meter])]
        if kept := tuple(p for p in parts if p):
            views.append(MeterView(ref.meter, ref.kind, kept))
    view = counting_meter(views, POWER_WINDOW_MS)
    drawn = [r for r in view.readings if owners is None or owners.owns(r.subject, r.start_ms)]
    return (
        watts(sum(r.energy_mj for r in drawn), view.covered_ms),
        watts(sum(r.energy_mj for r in drawn if r.method.is_measured), view.covered_ms),
        int(view.main_method),
        last,
    )


def told(draw: Draw, place: int) -> tuple[float, float, int, int]:
    return (
        float(draw.power_w[place]),
        float(draw.measured_w[place]),
        int(draw.method[place]),
        int(draw.seen_ms[place]),
    )


@given(rows_of_meters())
def test_columns_draw_what_the_rules_draw(rows: list[Row]) -> None:
    draw = draw_of(ROSTER, columns_of(rows), NOW_MS)
    for place, known in enumerate(ROSTER.devices):
        expected = alone(known.device, rows, None)
        assert told(draw, place) == pytest.approx(expected, nan_ok=True, rel=1e-12)


#: Every ten seconds, so that no period is cut and a claim's beginning falls on a mark.
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from([11, 12, 13]), st.integers(1, 3)),
        unique=True,
        max_size=30,
    )
)
def test_a_team_sees_what_its_workloads_draw(periods: list[tuple[int, int, int]]) -> None:
    owners = Owners(CLAIMS, frozenset({MINE}))
    rows = [
        (NOW_MS - ago * 10_000, meter, subject, 10_000, 1_000_000 * subject, int(Method.COUNTER))
        for ago, meter, subject in periods
    ]
    draw = draw_of(ROSTER, columns_of(rows), NOW_MS, owners)
    whole = draw_of(ROSTER, columns_of(rows), NOW_MS)
    for place, known in enumerate(ROSTER.devices):
        expected = alone(known.device, rows, owners)
        assert told(draw, place) == pytest.approx(expected, nan_ok=True, rel=1e-12)
    heard = whole.is_heard
    assert (draw.power_w[heard] <= whole.power_w[heard]).all()


def test_a_claim_that_begins_meanwhile_owns_what_begins_after_it() -> None:
    owners = Owners(CLAIMS, frozenset({MINE}))
    rows = [(NOW_MS - ago * 10_000, 11, 2, 10_000, 1, 1) for ago in range(10)]
    flags = owners.flags(columns_of(rows))
    assert flags.tolist() == [
        workload_of(CLAIMS[2], NOW_MS - ago * 10_000 - 10_000) == MINE for ago in range(10)
    ]
    assert 0 < flags.sum() < 10


def test_nothing_read_is_nothing_known() -> None:
    draw = draw_of(ROSTER, columns_of([]), NOW_MS, Owners({}, frozenset()))
    assert np.isnan(draw.power_w).all()
    assert not draw.seen_ms.any()
