"""Embodied carbon stops at the end of a device's expected life, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ledger import ADMIN, NOON_MS, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.domain.factors import LIFESPAN
from carbon.services.context import Context
from carbon.services.fleet.hosts import HostTimes, record_host
from carbon.services.reports.explanation import explain_report
from carbon.services.reports.reports import issue_report
from carbon.wire.hosts import HostBody
from carbon.wire.reports import ReportBody

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """Two hours of an H100 on node1."""
    made = Ledger(new_context(memory))
    made.intensity(T, [100.0, 100.0])
    card = [{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}]
    made.send([interval(T, T + 2 * HOUR, KWH)], host="node1", devices=card)
    yield made
    made.close()


def commissioned(ledger: Ledger, at_ms: int) -> None:
    record_host(ledger.context, HostBody("node1"), HostTimes(commissioned_ms=at_ms))


def asked(ledger: Ledger) -> tuple[float, bool]:
    answer = ledger.sci(unit="device_hour", start_ms=T, end_ms=T + 2 * HOUR)
    return answer.embodied_g, "fully_depreciated" in answer.flags


def test_a_device_in_its_life_is_charged_by_reserved_time(ledger: Ledger) -> None:
    whole, flagged = asked(ledger)
    assert whole == pytest.approx(164_000 * 2 / 35_040)
    commissioned(ledger, T - LIFESPAN.duration_ms + 2 * HOUR)
    assert (asked(ledger), flagged) == ((whole, False), False)


def test_past_its_expected_life_it_is_charged_nothing_and_flagged(ledger: Ledger) -> None:
    commissioned(ledger, T - LIFESPAN.duration_ms)
    assert asked(ledger) == (0.0, True)


def test_a_window_over_the_end_is_charged_up_to_it(ledger: Ledger) -> None:
    whole, _ = asked(ledger)
    before = ledger.sci(unit="device_hour", start_ms=T, end_ms=T + 2 * HOUR).input_hash
    commissioned(ledger, T - LIFESPAN.duration_ms + HOUR // 2)
    charged, flagged = asked(ledger)
    assert (charged, flagged) == (pytest.approx(whole / 4), True)
    after = ledger.sci(unit="device_hour", start_ms=T, end_ms=T + 2 * HOUR).input_hash
    assert after != before  # other inputs, another hash


def test_a_report_explains_what_was_paid_for(ledger: Ledger) -> None:
    commissioned(ledger, T - LIFESPAN.duration_ms + HOUR)
    body = ReportBody(to_rfc3339(T), to_rfc3339(T + 2 * HOUR), workload="w", unit="device_hour")
    report = issue_report(ledger.context, ADMIN, body)
    told = explain_report(ledger.context, ADMIN, report.id)
    assert [part.past_life for part in told.embodied] == [False, True]
    assert "older than its expected life" in told.embodied_formulas[1]
