"""CPU and DRAM of a host by policy: what each subject drew, or by who held the GPUs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import ADMIN, NOON_MS, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.domain.reports import HostPolicy, IdlePolicy
from carbon.services.context import Context
from carbon.services.reports.audit_pack import audit_pack
from carbon.services.reports.reports import issue_report
from carbon.services.sci.host_parts import host_shares
from carbon.storage.host_devices import HostDevices
from carbon.storage.quarters import Quarter
from carbon.wire.reports import ReportBody, Statement

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000
CARDS = [{"device": f"gpu-{n}", "kind": "gpu", "model": "H100"} for n in range(4)]
PARTS = [{"device": "cpu-0", "kind": "cpu", "model": "24 cores"}]


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """w holds three GPUs of node1 and v one. Of its CPU w draws 1 kWh, v 2 kWh, a daemon of
    nobody 1 kWh, and 4 kWh it idles. On node2, without GPUs, w draws 1 kWh of the CPU."""
    made = Ledger(new_context(memory))
    made.intensity(T, [100.0])
    nobody: dict[str, Any] = {"workload": None, "subject": "unattributed"}
    idle: dict[str, Any] = {"workload": None, "subject": "idle"}
    made.send(
        [
            *(
                interval(T, T + HOUR, KWH, f"gpu-{n}", workload="v" if n == 3 else "w")
                for n in range(4)
            ),
            interval(T, T + HOUR, KWH, "cpu-0"),
            interval(T, T + HOUR, 2 * KWH, "cpu-0", workload="v"),
            {**interval(T, T + HOUR, KWH, "cpu-0"), **nobody},
            {**interval(T, T + HOUR, 4 * KWH, "cpu-0"), **idle},
        ],
        host="node1",
        devices=[*CARDS, *PARTS],
    )
    alone = [{"device": "cpu-1", "kind": "cpu", "model": "24 cores"}]
    made.send([interval(T, T + HOUR, KWH, "cpu-1")], host="node2", devices=alone)
    yield made
    made.close()


def kwh(ledger: Ledger, workload: str, **asked: Any) -> float:
    return ledger.sci(workload, unit="device_hour", **asked).energy_mj / KWH


def test_by_default_each_carries_what_it_drew(ledger: Ledger) -> None:
    assert (kwh(ledger, "w"), kwh(ledger, "v")) == (5.0, 3.0)


def test_by_reservation_all_of_the_hosts_parts_go_to_who_held_its_gpus(ledger: Ledger) -> None:
    """8 kWh of node1's CPU: three quarters to w, a quarter to v; node2's stays with w."""
    policy = HostPolicy.RESERVATION
    assert (kwh(ledger, "w", host_parts=policy), kwh(ledger, "v", host_parts=policy)) == (10.0, 3.0)


@pytest.mark.parametrize("idle", list(IdlePolicy))
def test_idle_parts_that_a_holder_has_already_are_given_once(
    ledger: Ledger, idle: IdlePolicy
) -> None:
    asked = {"host_parts": HostPolicy.RESERVATION, "idle": idle}
    assert kwh(ledger, "w", **asked) + kwh(ledger, "v", **asked) == 13.0


def test_edges_that_are_no_quarter_hours_go_by_energy(ledger: Ledger) -> None:
    asked = {"start_ms": T + 1_000, "end_ms": T + HOUR - 1_000}
    both = [
        kwh(ledger, "w", host_parts=policy, **asked) + kwh(ledger, "v", host_parts=policy, **asked)
        for policy in HostPolicy
    ]
    assert both[0] < both[1] < 13.0


def test_a_report_says_the_policy_and_its_audit_table_sums_to_it(ledger: Ledger) -> None:
    body = ReportBody(
        to_rfc3339(T),
        to_rfc3339(T + HOUR),
        workload="v",
        unit="device_hour",
        host_parts=HostPolicy.RESERVATION,
    )
    report = issue_report(ledger.context, ADMIN, body)
    statement = msgspec.json.decode(report.statement, type=Statement)
    assert "held its GPUs" in statement.policies["host_parts"]
    by_device: dict[str, int] = {}
    table = audit_pack(ledger.context, ADMIN, report.id).table.decode()
    for row in csv.DictReader(io.StringIO(table)):
        by_device[row["device"]] = by_device.get(row["device"], 0) + int(row["energy_mj"])
    assert by_device == {part.device: part.energy_mj for part in statement.lines[0].operational}


quarters = st.lists(
    st.builds(
        Quarter,
        start_ms=st.sampled_from([0, 900_000]),
        device_id=st.integers(1, 4),
        subject_id=st.integers(1, 3),
        workload_id=st.integers(0, 3),
        method=st.just(1),
        rating_id=st.just(1),
        energy_mj=st.integers(0, 10**9),
        operational_ng=st.integers(0, 10**9),
        covered_ms=st.integers(0, 900_000),
        reserved_ms=st.integers(0, 900_000),
    ),
    max_size=14,
)
#: GPUs 1 and 3, CPUs 2 and 4, in pairs.
BESIDE = HostDevices({1: 1, 2: 1, 3: 2, 4: 2}, frozenset({1, 3}), frozenset({2, 4}))


@given(quarters)
@settings(max_examples=50)
def test_holders_get_all_of_it_and_nothing_is_made_or_lost(found: list[Quarter]) -> None:
    rows = [row for w in (1, 2, 3) for row in host_shares(found, BESIDE, w)]
    held = {
        (q.start_ms, BESIDE.host_of[q.device_id])
        for q in found
        if q.device_id in BESIDE.gpus and q.workload_id and q.reserved_ms
    }
    nobodys = [
        q
        for q in found
        if q.device_id in BESIDE.parts
        and not q.workload_id
        and (q.start_ms, BESIDE.host_of[q.device_id]) in held
    ]
    assert sum(row.energy_mj for row in rows) == sum(q.energy_mj for q in nobodys)
    assert sum(row.operational_ng for row in rows) == sum(q.operational_ng for q in nobodys)
    assert all(row.device_id in BESIDE.parts for row in rows)
