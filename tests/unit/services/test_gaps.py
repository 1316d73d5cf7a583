"""Bridged gaps are bounded by their cleanest and dirtiest time; unread time is filled apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from ledger import ADMIN, NOON_MS, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.domain.reports import GapPolicy
from carbon.services.context import Context
from carbon.services.reports.reports import issue_report
from carbon.wire.reports import ReportBody, Statement

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(memory))
    made.intensity(T, [100.0, 400.0, 100.0])
    yield made
    made.close()


def test_a_bridged_gap_may_have_drawn_at_its_cleanest_or_at_its_dirtiest(ledger: Ledger) -> None:
    ledger.send([interval(T, T + 2 * HOUR, 2 * KWH, method="bridged")])
    answer = ledger.sci(unit="device_hour")
    assert answer.operational_g == pytest.approx(500)
    assert answer.low is not None
    assert answer.high is not None
    # 200 g if all of it fell into the clean hour, 800 g if into the other; 2 device-hours.
    assert answer.low * 2 - answer.embodied_g < 260
    assert answer.high * 2 - answer.embodied_g > 780


def test_a_gap_at_one_intensity_is_as_sure_as_its_counter(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, KWH, method="bridged")])
    ledger.send([interval(T, T + HOUR, KWH, device="gpu-1", workload="other")])
    bridged, counted = ledger.sci(unit="device_hour"), ledger.sci("other", unit="device_hour")
    assert (bridged.low, bridged.high) == pytest.approx((counted.low, counted.high), rel=0.05)


def half_read(ledger: Ledger) -> None:
    """A run of 3 hours whose second hour nobody read, with a thousand tokens an hour."""
    ledger.send([interval(T, T + HOUR, KWH, run="r")])
    ledger.send([interval(T + 2 * HOUR, T + 3 * HOUR, KWH, run="r")])
    for hour in range(3):
        at = T + hour * HOUR
        row = {"workload": "w", "unit": "token", "source": "app", "count": 1_000}
        ledger.count([{**row, "start_ms": at, "end_ms": at + HOUR}])


def test_an_unread_hour_is_filled_from_the_profile_as_estimated(ledger: Ledger) -> None:
    half_read(ledger)
    shown, filled = ledger.sci(unit="token"), ledger.sci(unit="token", fill_gaps=True)
    assert (shown.count, shown.count_set_aside) == (2_000, 1_000)
    assert (filled.count, filled.count_set_aside) == (3_000, 0)
    assert filled.measured_g == shown.measured_g == pytest.approx(200)
    assert filled.estimated_g == pytest.approx(400)
    assert filled.energy_mj == pytest.approx(3 * KWH)
    assert filled.methods == pytest.approx({"counter": 2 / 3, "estimated": 1 / 3})
    assert filled.embodied_g == pytest.approx(shown.embodied_g * 1.5)
    assert filled.coverage == shown.coverage == pytest.approx(2 / 3)
    assert "gaps_filled" in filled.flags
    assert filled.low is not None
    assert filled.high is not None
    assert filled.low < (filled.sci_g_per_unit or 0) < filled.high


B = HOUR // 12


def read_but_for(ledger: Ledger, missing: set[int], power: int = KWH // 12) -> None:
    """An hour's run in twelve intervals, each drawing a thousandth more than the one before."""
    ledger.send(
        [
            interval(T + n * B, T + (n + 1) * B, power + n * power // 1_000, run="r")
            for n in range(12)
            if n not in missing
        ]
    )


@pytest.mark.parametrize("missing", [{4}, {5, 6}, {2, 9}])
def test_a_short_gap_is_filled_along_a_line(ledger: Ledger, missing: set[int]) -> None:
    read_but_for(ledger, missing)
    shown, filled = ledger.sci(unit="run"), ledger.sci(unit="run", fill_gaps=True)
    whole_mj = sum(KWH // 12 + n * (KWH // 12) // 1_000 for n in range(12))
    assert filled.energy_mj == pytest.approx(whole_mj, rel=1e-9)
    assert filled.measured_g == shown.measured_g
    assert filled.estimated_g > 0
    assert {"gaps_filled", "gaps_interpolated"} <= set(filled.flags)
    assert filled.methods["estimated"] == pytest.approx(len(missing) / 12, rel=0.01)


@pytest.mark.parametrize("missing", [{4, 5, 6}, {3, 4, 5, 6, 7, 8}])
def test_a_longer_gap_is_not(ledger: Ledger, missing: set[int]) -> None:
    read_but_for(ledger, missing)
    filled = ledger.sci(unit="run", fill_gaps=True)
    assert "gaps_filled" in filled.flags
    assert "gaps_interpolated" not in filled.flags
    assert filled.energy_mj == pytest.approx(KWH, rel=0.01)


def test_a_steep_line_is_less_sure(ledger: Ledger) -> None:
    read_but_for(ledger, {5})
    even = ledger.sci(unit="run", fill_gaps=True)
    for n, mj in ((4, KWH // 120), (6, KWH // 4)):
        at = T + n * B
        ledger.send([interval(at, at + B, mj, "gpu-1", workload="v", run="v")])
    steep = ledger.sci("v", unit="run", fill_gaps=True)
    assert even.high is not None
    assert steep.high is not None
    assert even.sci_g_per_unit is not None
    assert steep.sci_g_per_unit is not None
    assert steep.high / steep.sci_g_per_unit > even.high / even.sci_g_per_unit
    assert steep.energy_mj == pytest.approx((KWH // 120 + KWH // 4) * 1.5)


def test_what_was_wholly_read_is_not_changed_by_filling(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, KWH, run="r")])
    assert ledger.sci(fill_gaps=True) == ledger.sci()


def test_an_uneven_profile_fills_less_surely(ledger: Ledger) -> None:
    half_read(ledger)
    even = ledger.sci(unit="token", fill_gaps=True)
    quarter = HOUR // 4
    for n in range(4):
        at = T + n * quarter
        part = interval(
            at, at + quarter, KWH // 4 * (1, 0, 2, 1)[n], "gpu-1", workload="v", run="v"
        )
        ledger.send([part])
    at = T + 2 * HOUR
    ledger.send([interval(at, at + HOUR, KWH, "gpu-1", workload="v", run="v")])
    uneven = ledger.sci("v", unit="device_hour", fill_gaps=True)
    assert even.high is not None
    assert uneven.high is not None
    assert even.sci_g_per_unit is not None
    assert uneven.sci_g_per_unit is not None
    assert uneven.high / uneven.sci_g_per_unit > even.high / even.sci_g_per_unit


@pytest.mark.parametrize(("gaps", "estimated_g"), [("fill", 400.0), ("show", 0.0)])
def test_a_report_says_which_way_its_gaps_went(
    ledger: Ledger, gaps: str, estimated_g: float
) -> None:
    half_read(ledger)
    body = ReportBody(to_rfc3339(T), to_rfc3339(T + 3 * HOUR), workload="w", unit="token")
    report = issue_report(
        ledger.context, ADMIN, msgspec.structs.replace(body, gaps=GapPolicy(gaps))
    )
    statement = msgspec.json.decode(report.statement, type=Statement)
    (line,) = statement.lines
    assert line.answer.estimated_g == pytest.approx(estimated_g)
    assert sum(o.operational_ng for o in line.operational) / 1e9 == line.answer.operational_g
    assert ("not filled" in statement.policies["gaps"]) is (gaps == "show")
