"""Periods that are closed and signed, and teams that are erased, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from ledger import ADMIN, NOON_MS, TEAM, Ledger, interval
from sqlalchemy import Engine, select, update

from carbon.clock import to_rfc3339
from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.services.audit import verify_audit
from carbon.services.context import Context
from carbon.services.fleet.hosts import HostTimes, record_host
from carbon.services.reports.erasure import erase_team
from carbon.services.reports.periods import close_period, list_periods
from carbon.services.reports.reports import issue_report, list_reports, read_report
from carbon.storage.closed_periods import closed_period
from carbon.storage.engine import reading, writing
from carbon.storage.report_tables import all_report_tables
from carbon.storage.schema import metadata
from carbon.wire.hosts import HostBody
from carbon.wire.periods import PeriodBody
from carbon.wire.reports import ReportBody

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000
WINDOW = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
BODY = PeriodBody(**WINDOW, signed_by="Ana")


def filled(context: Context) -> Iterator[Ledger]:
    made = Ledger(context)
    made.intensity(T, [100.0, 200.0])
    made.send([interval(T, T + HOUR, KWH, workload="secretive")], TEAM, host="h1")
    yield made
    made.close()


@pytest.fixture
def every(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """On every store."""
    yield from filled(new_context(engine))


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    yield from filled(new_context(memory))


def issue(ledger: Ledger, **others: Any) -> str:
    body = ReportBody(**WINDOW, workload="secretive", unit="device_hour", title="Secretive March")
    return issue_report(ledger.context, TEAM, body).id


def refused(call: Callable[[], Any], kind: type[CarbonError], code: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert error.value.code == code


def test_a_period_is_closed_with_its_reports_and_signed(every: Ledger) -> None:
    report = issue(every)
    closed = close_period(every.context, TEAM, BODY)
    assert [one.id for one in closed.reports] == [report]
    assert closed.reports[0].change == 0
    assert closed.signed_by == "Ana"
    assert closed.completeness.is_complete
    assert closed.completeness.silent_hosts == []
    assert list_periods(every.context, TEAM).periods == [closed]
    assert list_periods(every.context, replace(TEAM, team="red")).periods == []
    assert verify_audit(every.context).intact
    refused(lambda: close_period(every.context, TEAM, BODY), Conflicting, "period_closed")
    refused(lambda: issue(every), Conflicting, "period_closed")


def test_what_is_missing_or_moved_is_named_before_anybody_signs(ledger: Ledger) -> None:
    refused(lambda: close_period(ledger.context, TEAM, BODY), Conflicting, "no_report")
    issue(ledger)
    ledger.send([interval(T, T + HOUR, KWH, "gpu-1", workload="other")], TEAM)
    refused(lambda: close_period(ledger.context, TEAM, BODY), Conflicting, "period_incomplete")
    ledger.send([interval(T, T + HOUR, KWH, "gpu-2", workload="secretive")], TEAM)
    accepting = PeriodBody(**WINDOW, signed_by="Ana", accept_incomplete=True, statement="late host")
    closed = close_period(ledger.context, TEAM, accepting)
    assert closed.completeness.not_reported == ["blue/other"]
    assert closed.material_changes == [closed.reports[0].id]


def test_a_silence_without_reason_is_not_accepted(ledger: Ledger) -> None:
    issue(ledger)
    in_service = HostTimes(valid_from_ms=T, commissioned_ms=T)
    record_host(ledger.context, HostBody("h2", zone="DE"), in_service)
    silent = PeriodBody(**WINDOW, signed_by="Ana", accept_incomplete=True)
    refused(lambda: close_period(ledger.context, TEAM, silent), Conflicting, "period_incomplete")


def test_a_period_that_cannot_be_closed_is_refused(ledger: Ledger) -> None:
    late = PeriodBody(WINDOW["start"], to_rfc3339(NOON_MS + HOUR), "Ana")
    turned = PeriodBody(WINDOW["end"], WINDOW["start"], "Ana")
    close = lambda body: close_period(ledger.context, TEAM, body)  # noqa: E731
    refused(lambda: close(late), InvalidInput, "period_not_over")
    refused(lambda: close(turned), InvalidInput, "end_before_start")
    refused(lambda: close(PeriodBody("x", "y", "Ana")), InvalidInput, "invalid_time")


def test_a_changed_signature_is_found(ledger: Ledger) -> None:
    issue(ledger)
    closed = close_period(ledger.context, TEAM, BODY)
    with writing(ledger.context.engine) as connection:
        c = closed_period.c
        text = connection.scalar(select(c.body).where(c.id == closed.id)) or ""
        forged = text.replace("Ana", "Bob")
        connection.execute(update(closed_period).where(c.id == closed.id).values(body=forged))
    [fault] = verify_audit(ledger.context).faults
    assert fault.code == "period_changed"


def test_an_erased_team_leaves_no_name_and_the_chain_still_verifies(every: Ledger) -> None:
    every.send([interval(T, T + HOUR, KWH, "gpu-1", workload="secretive", run="secretive-1")], TEAM)
    report = issue(every)
    close_period(every.context, TEAM, BODY)
    energy_mj = every.sci("blue/secretive", unit="device_hour").energy_mj
    erased = erase_team(every.context, "blue", "k1")
    assert report in erased.documents
    proof = verify_audit(every.context)
    assert proof.intact, proof.faults
    with reading(every.context.engine) as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                assert "secretive" not in repr(tuple(row)).lower(), table.name
                assert "blue" not in repr(tuple(row)), table.name
        assert not list(all_report_tables(connection))  # compressed: no name shows in them
    refused(lambda: read_report(every.context, ADMIN, report), NotFound, "report_erased")
    assert [one.title for one in list_reports(every.context, ADMIN, 10, None).reports] == [""]
    [name] = [n for n in _workloads(every) if n.startswith(f"{erased.team}/")]
    assert every.sci(name, unit="device_hour").energy_mj == energy_mj


def _workloads(ledger: Ledger) -> list[str]:
    from carbon.services.sci.workloads import list_workloads

    return [one.name for one in list_workloads(ledger.context, ADMIN)]


def test_only_a_known_team_that_is_not_the_deployments_goes(ledger: Ledger) -> None:
    erase = lambda name: erase_team(ledger.context, name, "k1")  # noqa: E731
    refused(lambda: erase("nobody"), NotFound, "unknown_team")
    refused(lambda: erase(ledger.context.settings.team), Conflicting, "own_team")
