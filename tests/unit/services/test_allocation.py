"""Idle time by policy, and components that nobody meters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import ADMIN, NOON_MS, TEAM, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.domain.reports import IdlePolicy
from carbon.errors import InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.reports.reports import issue_report
from carbon.services.sci.components import list_components, record_component
from carbon.services.sci.idle_time import idle_shares
from carbon.storage.quarters import Quarter
from carbon.wire.components import ComponentBody, ComponentKind
from carbon.wire.reports import ReportBody, Statement

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """w 3 kWh and v 1 kWh on gpu-0 beside 1 kWh of its idling; gpu-1 idles 1 kWh for nobody."""
    made = Ledger(new_context(memory))
    made.intensity(T, [100.0])
    idle = {"workload": None, "subject": "idle"}
    made.send(
        [
            interval(T, T + HOUR, 3 * KWH),
            interval(T, T + HOUR, KWH, workload="v"),
            {**interval(T, T + HOUR, KWH), **idle},
            {**interval(T, T + HOUR, KWH, "gpu-1"), **idle},
        ]
    )
    count = {"workload": "w", "unit": "token", "source": "app", "count": 1_000}
    made.count([{**count, "start_ms": T, "end_ms": T + HOUR}])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("policy", "kwh_of_w"),
    [
        (IdlePolicy.RESERVER, 3.0),
        (IdlePolicy.PROPORTIONAL, 3.75),
        (IdlePolicy.OVERHEAD, 4.5),
    ],
)
def test_idle_goes_by_policy_and_the_report_says_which(
    ledger: Ledger, policy: IdlePolicy, kwh_of_w: float
) -> None:
    answers = [ledger.sci(name, unit="device_hour", idle=policy) for name in ("w", "v")]
    assert answers[0].energy_mj == pytest.approx(kwh_of_w * KWH)
    shared = {IdlePolicy.RESERVER: 0, IdlePolicy.PROPORTIONAL: 1, IdlePolicy.OVERHEAD: 2}[policy]
    assert sum(answer.energy_mj for answer in answers) == (4 + shared) * KWH
    body = ReportBody(to_rfc3339(T), to_rfc3339(T + HOUR), workload="w", unit="token", idle=policy)
    report = issue_report(ledger.context, ADMIN, body)
    statement = msgspec.json.decode(report.statement, type=Statement)
    assert statement.lines[0].answer.energy_mj == answers[0].energy_mj
    assert statement.policies["idle_unreserved"]


quarters = st.lists(
    st.builds(
        Quarter,
        start_ms=st.sampled_from([0, 900_000]),
        device_id=st.integers(1, 2),
        subject_id=st.integers(1, 3),
        workload_id=st.integers(0, 3),
        method=st.just(1),
        rating_id=st.just(1),
        energy_mj=st.integers(0, 10**9),
        operational_ng=st.integers(0, 10**9),
        covered_ms=st.integers(0, 900_000),
        reserved_ms=st.integers(0, 900_000),
    ),
    max_size=12,
)


@given(quarters, st.sampled_from([IdlePolicy.PROPORTIONAL, IdlePolicy.OVERHEAD]))
@settings(max_examples=50)
def test_shares_of_idle_time_never_exceed_it(found: list[Quarter], policy: IdlePolicy) -> None:
    """And where somebody drew in the pool of each idle quarter, they sum to it exactly."""
    given_mj = sum(row.energy_mj for w in (1, 2, 3) for row in idle_shares(found, {1}, w, policy))
    idle = [q for q in found if q.subject_id == 1 and q.workload_id == 0]
    assert given_mj <= sum(q.energy_mj for q in idle)

    def pool(q: Quarter) -> object:
        return q.start_ms if policy is IdlePolicy.OVERHEAD else (q.start_ms, q.device_id)

    drew = {pool(q) for q in found if q.workload_id and q.energy_mj}
    assert given_mj == sum(q.energy_mj for q in idle if pool(q) in drew)


def component(**others: Any) -> ComponentBody:
    told: dict[str, Any] = {
        "workload": "w",
        "name": "hosted model",
        "kind": ComponentKind.EXTERNAL_API,
        "unit": "token",
        "source": "https://example.org/model-card",
        "g_per_unit": 0.5,
        "low": 0.2,
        "high": 2.0,
    }
    return ComponentBody(**(told | others))


def test_a_hosted_model_is_modelled_and_told_apart(ledger: Ledger) -> None:
    before = ledger.sci(unit="token")
    record_component(ledger.context, ADMIN, component())
    after = ledger.sci(unit="token")
    assert after.measured_g == before.measured_g
    assert after.estimated_g == pytest.approx(before.estimated_g + 500)
    assert after.energy_mj == before.energy_mj
    assert "modelled_components" in after.flags
    assert after.low is not None
    assert after.high is not None
    assert before.low is not None
    assert before.high is not None
    assert after.low < before.low + 0.35
    assert after.high > before.high + 1.0
    record_component(ledger.context, ADMIN, component(retired=True))
    assert ledger.sci(unit="token") == before


def test_traffic_in_kwh_is_priced_by_its_zone(ledger: Ledger) -> None:
    told = {"kind": ComponentKind.NETWORK, "g_per_unit": None, "kwh_per_unit": 0.001}
    record_component(ledger.context, ADMIN, component(**told, low=0.0005, high=0.002))
    answer = ledger.sci(unit="token", start_ms=T, end_ms=T + HOUR)
    assert answer.energy_mj == 4 * KWH
    assert answer.estimated_g == pytest.approx(100)
    assert answer.methods == pytest.approx({"counter": 0.75, "modelled": 0.25})


def test_a_workload_that_only_calls_others_has_a_score(ledger: Ledger) -> None:
    count = {"workload": "agent", "unit": "task", "source": "app", "count": 10}
    ledger.count([{**count, "start_ms": T, "end_ms": T + HOUR}])
    record_component(ledger.context, ADMIN, component(workload="agent", unit="task"))
    window = {"start_ms": T, "end_ms": T + HOUR}
    answer = ledger.sci("agent", unit="task", **window)
    assert (answer.count, answer.count_set_aside) == (10, 0)
    assert answer.sci_g_per_unit == pytest.approx(0.5)
    assert answer.measured_g == 0


def test_parts_with_components_sum_to_the_total(ledger: Ledger) -> None:
    record_component(ledger.context, ADMIN, component())
    body = ReportBody(to_rfc3339(T), to_rfc3339(T + HOUR), workload="w", unit="token")
    report = issue_report(ledger.context, ADMIN, body)
    (line,) = msgspec.json.decode(report.statement, type=Statement).lines
    assert sum(o.operational_ng for o in line.operational) / 1e9 == line.answer.operational_g
    [part] = [o for o in line.operational if o.kind == "external_api"]
    assert (part.method, part.device) == ("modelled", "component/hosted model")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kwh_per_unit": 1.0}, "stated_twice"),
        ({"g_per_unit": None}, "missing_figure"),
        ({"low": 0.9}, "bounds"),
        ({"g_per_unit": 0.0, "low": 0.0}, "bounds"),
        ({"unit": "parsec"}, "unknown_unit"),
    ],
)
def test_what_cannot_be_a_component_is_refused(
    ledger: Ledger, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        record_component(ledger.context, ADMIN, component(**change))
    assert refused.value.code == code


def test_another_teams_components_are_not_told(ledger: Ledger) -> None:
    record_component(ledger.context, ADMIN, component())
    with pytest.raises(NotFound):
        list_components(ledger.context, TEAM, "default/w")
