"""Reports, restatements, factors and the audit chain, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from ledger import ADMIN, NOON_MS, TEAM, Ledger, interval
from sqlalchemy import Engine, delete, update

from carbon.clock import to_rfc3339
from carbon.domain.factors import factor_for_device
from carbon.errors import Conflicting, InvalidInput, NotFound
from carbon.services.audit import audit_page, verify_audit
from carbon.services.context import Context
from carbon.services.reports.explanation import explain_report
from carbon.services.reports.reports import issue_report, list_reports, read_report, statement_of
from carbon.services.reports.restatement import affected_by, restate_report
from carbon.services.sci.factors import list_factors, proposed_factor, record_factor
from carbon.storage.engine import writing
from carbon.storage.factors import factor as factor_table
from carbon.storage.keys import audit as audit_table
from carbon.storage.report_tables import report_table as kept_table
from carbon.storage.reports import report as report_table
from carbon.wire.factors import FactorBody
from carbon.wire.reports import ReportBody, RestateBody, Statement

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
WINDOW = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
BODY = ReportBody(**WINDOW, workload="w", title="March", recipients=["lead"])
H100 = factor_for_device("gpu", "NVIDIA H100 80GB HBM3")


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """1 kWh on an H100 at 100 g/kWh, for a thousand tokens."""
    made = Ledger(new_context(engine))
    made.intensity(T, [100.0])
    devices = [{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}]
    made.send([interval(T, T + HOUR, 3_600_000_000)], devices=devices)
    count = {"workload": "w", "unit": "token", "source": "app", "count": 1_000}
    made.count([{**count, "start_ms": T, "end_ms": T + HOUR}])
    yield made
    made.close()


def said(report: Any) -> Statement:
    return msgspec.json.decode(report.statement, type=Statement)


def revise(ledger: Ledger, value: float, supersedes: str = H100.id, **others: Any) -> Any:
    body = FactorBody(
        value=value,
        low=value / 2,
        high=value * 4,
        source="https://example.org/study",
        vintage="2026",
        licence="CC-BY-4.0",
        tier=H100.tier,
        life_cycle_stages=list(H100.life_cycle_stages),
        supersedes=supersedes,
        **others,
    )
    return proposed_factor(ledger.context, body, None, None)


def record(ledger: Ledger, value: float, supersedes: str = H100.id) -> str:
    proposed, _ = revise(ledger, value, supersedes)
    record_factor(ledger.context, ADMIN, proposed)
    return str(proposed.id)


def test_a_report_is_read_as_it_was_issued_whatever_happens_after(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    ledger.send([interval(T, T + HOUR, 7, device="gpu-9")])
    record(ledger, 273.0)
    read = read_report(ledger.context, ADMIN, issued.id)
    assert bytes(read.statement) == bytes(issued.statement)
    assert read.statement_hash == issued.statement_hash


def test_the_same_inputs_give_the_same_bytes(ledger: Ledger) -> None:
    one = issue_report(ledger.context, ADMIN, BODY)
    ledger.context.clock.sleep(60)
    two = issue_report(ledger.context, ADMIN, BODY)
    assert one.id != two.id
    assert bytes(one.statement) == bytes(two.statement)
    assert said(one).input_hash == said(two).input_hash


def test_components_sum_to_the_total_exactly(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, 1_234_567, device="gpu-1", method="modelled")])
    (line,) = said(issue_report(ledger.context, ADMIN, BODY)).lines
    answer = line.answer
    assert sum(part.energy_mj for part in line.operational) == answer.energy_mj
    operational_ng = sum(part.operational_ng for part in line.operational)
    embodied_ng = sum(part.embodied_ng for part in line.embodied)
    assert operational_ng / 1e9 == answer.operational_g
    assert embodied_ng / 1e9 == answer.embodied_g
    assert (operational_ng + embodied_ng) / 1e9 == answer.total_g
    for part in line.embodied:
        exact = part.total_g * 1e9 * part.reserved_ms / part.lifespan_ms
        assert part.embodied_ng == pytest.approx(exact, abs=1)


def test_a_report_carries_both_intervals_and_its_policies(ledger: Ledger) -> None:
    statement = said(issue_report(ledger.context, ADMIN, BODY))
    (line,) = statement.lines
    answer, drawn = line.answer, line.simulated
    assert answer.sci_g_per_unit is not None
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < answer.sci_g_per_unit < answer.high
    assert answer.low == pytest.approx(drawn.first_order_low, rel=0.05)
    assert answer.high == pytest.approx(drawn.first_order_high, rel=0.1)
    assert drawn.draws == 10_000
    assert {"operational", "embodied", "idle_reserved"} <= statement.policies.keys()


def test_all_own_units_are_reported_where_none_is_named(ledger: Ledger) -> None:
    row = {"workload": "w", "unit": "image", "source": "x", "start_ms": T, "end_ms": T + 1}
    ledger.count([{**row, "count": 2}])
    statement = said(issue_report(ledger.context, ADMIN, BODY))
    assert [line.answer.unit for line in statement.lines] == ["token", "image"]
    only = msgspec.structs.replace(BODY, unit="image")
    assert [ln.answer.unit for ln in said(issue_report(ledger.context, ADMIN, only)).lines] == [
        "image"
    ]


def test_little_coverage_marks_a_report_and_does_not_refuse_it(ledger: Ledger) -> None:
    seen = (T + HOUR, T + HOUR + 600_000), (T + 2 * HOUR - 1_000, T + 2 * HOUR)
    ledger.send([interval(*span, 5_000, run="r") for span in seen])
    body = ReportBody(to_rfc3339(T + HOUR), to_rfc3339(T + 2 * HOUR), workload="w", unit="run")
    statement = said(issue_report(ledger.context, ADMIN, body))
    assert "coverage_below_floor" in statement.marks


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"start": WINDOW["end"], "end": WINDOW["start"]}, "end_before_start"),
        ({"start": "yesterday"}, "invalid_time"),
        ({"workload": None}, "no_workload"),
        ({"unit": "parsec"}, "unknown_unit"),
        ({"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}, "no_data"),
    ],
)
def test_a_report_that_could_not_be_signed_is_refused(
    ledger: Ledger, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        issue_report(ledger.context, ADMIN, msgspec.structs.replace(BODY, **change))
    assert caught.value.code == code
    assert list_reports(ledger.context, ADMIN, 10, None).reports == []


def test_another_team_learns_nothing_of_a_report(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    with pytest.raises(NotFound):
        read_report(ledger.context, TEAM, issued.id)
    with pytest.raises(NotFound):
        explain_report(ledger.context, TEAM, issued.id)
    assert list_reports(ledger.context, TEAM, 10, None).reports == []
    with pytest.raises(NotFound):
        issue_report(ledger.context, TEAM, msgspec.structs.replace(BODY, workload="default/w"))


def test_reports_are_listed_newest_first_by_pages(ledger: Ledger) -> None:
    ids = []
    for _ in range(5):
        ids.append(issue_report(ledger.context, ADMIN, BODY).id)
        ledger.context.clock.sleep(1)
    seen: list[str] = []
    after = None
    while True:
        page = list_reports(ledger.context, ADMIN, 2, after)
        seen += [report.id for report in page.reports]
        if page.next is None:
            break
        after = page.next
    assert seen == ids[::-1]


def test_a_number_is_walked_to_its_rows_readings_and_factors(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    walked = explain_report(ledger.context, ADMIN, issued.id)
    assert walked.unchanged
    assert sum(row.operational_ng for row in walked.rows) == pytest.approx(100e9, rel=1e-9)
    assert sum(row.energy_mj for row in walked.rows) == 3_600_000_000
    assert {row.g_per_kwh for row in walked.rows} == {100.0}
    assert sum(one.energy_mj for one in walked.readings) == walked.rows[0].energy_mj
    terms = {term.symbol: term.value for term in walked.terms}
    assert terms["SCI"] == pytest.approx((terms["O"] + terms["M"]) / terms["R"])
    assert H100.id in walked.embodied_formulas[0]
    ledger.send([interval(T, T + HOUR, 5, device="gpu-7")])
    assert not explain_report(ledger.context, ADMIN, issued.id).unchanged


def test_an_explanation_is_paged_without_gap_or_repeat(ledger: Ledger) -> None:
    ledger.send([interval(T - 24 * HOUR, T, 288_000)])
    body = msgspec.structs.replace(BODY, start=to_rfc3339(T - 24 * HOUR))
    issued = issue_report(ledger.context, ADMIN, body)
    starts: list[str] = []
    after = None
    while True:
        page = explain_report(ledger.context, ADMIN, issued.id, after=after)
        starts += [row.start for row in page.rows]
        if page.next is None:
            break
        after = page.next
    assert len(starts) == len(set(starts)) == 300
    with pytest.raises(InvalidInput):
        explain_report(ledger.context, ADMIN, issued.id, after="x")
    with pytest.raises(InvalidInput):
        explain_report(ledger.context, ADMIN, issued.id, unit="image")


def test_a_restatement_is_tried_first_and_stands_beside_the_report(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    ledger.send([interval(T, T + HOUR, 360_000_000, device="gpu-5")])
    tried = restate_report(ledger.context, ADMIN, issued.id, RestateBody())
    assert (tried.dry_run, tried.changed, tried.notice, tried.restated) == (True, True, True, None)
    (line,) = tried.lines
    assert "readings" in line.causes
    by_name = {figure.figure: figure for figure in line.figures}
    assert by_name["operational_g"].as_reported == pytest.approx(100)
    assert by_name["operational_g"].restated == pytest.approx(110)
    assert by_name["operational_g"].change == pytest.approx(0.1)
    assert len(list_reports(ledger.context, ADMIN, 10, None).reports) == 1

    done = restate_report(ledger.context, ADMIN, issued.id, RestateBody(True, "a late meter"))
    assert done.restated is not None
    assert done.restated.restates == issued.id
    assert done.restated.restatement is not None
    assert done.restated.restatement.recipients == ["lead"]
    old = read_report(ledger.context, ADMIN, issued.id)
    assert (old.superseded_by, old.notice) == (done.restated.id, "a late meter")
    assert bytes(old.statement) == bytes(issued.statement)
    with pytest.raises(Conflicting) as caught:
        restate_report(ledger.context, ADMIN, issued.id, RestateBody(True, "again"))
    assert caught.value.code == "already_restated"


def test_a_restatement_needs_a_change_and_a_reason(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    with pytest.raises(Conflicting) as same:
        restate_report(ledger.context, ADMIN, issued.id, RestateBody(True, "why not"))
    assert same.value.code == "nothing_to_restate"
    record(ledger, 273.0)
    with pytest.raises(InvalidInput) as unreasoned:
        restate_report(ledger.context, ADMIN, issued.id, RestateBody(True, "  "))
    assert unreasoned.value.code == "missing_reason"


def test_a_small_change_restates_without_a_notice(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    ledger.send([interval(T, T + HOUR, 36_000_000, device="gpu-5")])
    body = msgspec.structs.replace(BODY, materiality=0.5)
    lax = issue_report(ledger.context, ADMIN, body)
    assert restate_report(ledger.context, ADMIN, issued.id, RestateBody()).changed
    record(ledger, 200.0)
    tried = restate_report(ledger.context, ADMIN, lax.id, RestateBody())
    assert (tried.changed, tried.notice) == (True, False)


def test_a_superseding_factor_enters_the_score_and_says_so(ledger: Ledger) -> None:
    before = ledger.sci()
    made = record(ledger, 328.0)
    after = ledger.sci()
    assert after.embodied_g == pytest.approx(2 * before.embodied_g, rel=1e-6)
    assert after.operational_g == before.operational_g
    assert made in {factor.id for factor in after.factors}
    assert H100.id not in {factor.id for factor in after.factors}
    assert after.input_hash != before.input_hash


def test_a_factor_revision_names_the_reports_that_it_would_change(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    _, book = revise(ledger, 164.0 * 50)
    (affected,) = affected_by(ledger.context, ADMIN, book)
    assert (affected.report, affected.notice) == (issued.id, True)
    assert ledger.sci().factors[0].id == H100.id  # a proposal records nothing
    _, same = revise(ledger, 1.0, supersedes="lifespan/default", unit=None, kind=None)
    assert len(affected_by(ledger.context, ADMIN, same)) == 1


def test_a_revision_of_the_gpu_factor_moves_embodied_as_published(ledger: Ledger) -> None:
    """164 to 273 kg was a real revision: of the GPU's part +66 %."""
    issued = issue_report(ledger.context, ADMIN, BODY)
    record(ledger, 273.0)
    (line,) = restate_report(ledger.context, ADMIN, issued.id, RestateBody()).lines
    assert line.causes == ["factors"]
    by_name = {figure.figure: figure.change for figure in line.figures}
    assert by_name["embodied_g"] == pytest.approx(273 / 164 - 1, rel=1e-6)
    assert by_name["operational_g"] == 0


def test_factors_are_superseded_once_and_never_edited(ledger: Ledger) -> None:
    made = record(ledger, 200.0)
    with pytest.raises(Conflicting) as again:
        revise(ledger, 300.0)
    assert again.value.code == "already_superseded"
    newer = record(ledger, 300.0, supersedes=made)
    shown = {factor.id: factor for factor in list_factors(ledger.context).factors}
    assert shown[H100.id].superseded_by == [made]
    assert shown[made].superseded_by == [newer]
    assert shown[made].value == 200.0
    assert ledger.sci().factors[0].id == newer


def test_the_chain_is_proven_and_holds_no_names(ledger: Ledger) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    made = record(ledger, 200.0)
    proof = verify_audit(ledger.context)
    assert (proof.intact, proof.entries, proof.faults) == (True, 2, [])
    page = audit_page(ledger.context, 0, 10)
    assert [entry.subject for entry in page.entries] == [issued.id, made]
    assert "default" not in msgspec.json.encode(page).decode()
    assert verify_audit(ledger.context, proof.head).intact
    assert not verify_audit(ledger.context, "00" * 32).intact


Tampering = Callable[[Any, Any], Any]
SOMEBODY_ELSE = "k9"


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda r: update(report_table).values(statement="{}"), "report_changed"),
        (lambda r: update(report_table).values(title="April"), "report_changed"),
        (lambda r: update(report_table).values(issued_ms=1), "report_changed"),
        (lambda r: update(report_table).values(actor=SOMEBODY_ELSE), "report_changed"),
        (lambda r: update(report_table).values(request="{}"), "report_changed"),
        (lambda r: update(factor_table).values(value=1.0), "factor_changed"),
        (lambda r: update(factor_table).values(note="better"), "factor_changed"),
        (lambda r: delete(factor_table), "factor_missing"),
        (lambda r: update(audit_table).values(actor=SOMEBODY_ELSE), "entry_changed"),
        (lambda r: update(audit_table).values(at_ms=1), "entry_changed"),
        (lambda r: delete(audit_table).where(audit_table.c.subject == r), "report_not_in_chain"),
        (lambda r: delete(audit_table).where(audit_table.c.subject == r), "broken_link"),
    ],
)
def test_any_changed_row_is_found(ledger: Ledger, tamper: Tampering, code: str) -> None:
    issued = issue_report(ledger.context, ADMIN, BODY)
    record(ledger, 200.0)
    with writing(ledger.context.engine) as connection:
        connection.execute(tamper(issued.id))
    proof = verify_audit(ledger.context)
    assert not proof.intact
    assert code in {fault.code for fault in proof.faults}


def test_a_report_that_is_gone_is_found(ledger: Ledger) -> None:
    issue_report(ledger.context, ADMIN, BODY)
    with writing(ledger.context.engine) as connection:
        connection.execute(delete(kept_table))
        connection.execute(delete(report_table))
    codes = {fault.code for fault in verify_audit(ledger.context).faults}
    assert codes == {"report_missing", "report_table_changed"}


def test_a_log_cut_short_is_found_by_a_hash_noted_before(ledger: Ledger) -> None:
    issue_report(ledger.context, ADMIN, BODY)
    made = record(ledger, 200.0)
    noted = verify_audit(ledger.context).head
    with writing(ledger.context.engine) as connection:
        connection.execute(delete(audit_table).where(audit_table.c.subject == made))
        connection.execute(delete(factor_table))
    assert verify_audit(ledger.context).intact
    (fault,) = verify_audit(ledger.context, noted).faults
    assert fault.code == "head_missing"


def test_what_a_request_resolved_to_is_asked_again_by_a_restatement(ledger: Ledger) -> None:
    request = msgspec.structs.replace(BODY, workload=None, workloads=["default/w"])
    assert statement_of(ledger.context, ADMIN, request).lines[0].answer.workload == "default/w"
