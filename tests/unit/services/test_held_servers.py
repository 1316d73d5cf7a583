"""The server around a host's GPUs, and lifespans of single devices, hosts, models and kinds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from ledger import ADMIN, NOON_MS, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.domain.factor import Factor, FactorKind, Tier, Unit
from carbon.errors import InvalidInput
from carbon.exports.audit_pack import write
from carbon.services.context import Context
from carbon.services.fleet.hosts import HostTimes, record_host
from carbon.services.reports.audit_pack import audit_pack
from carbon.services.reports.explanation import explain_report
from carbon.services.reports.reports import issue_report
from carbon.services.sci.factors import record_factor
from carbon.wire.hosts import HostBody
from carbon.wire.reports import ReportBody, Statement

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000
GPU = {"kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}
DEVICES = [
    *({"device": f"gpu-{n}", **GPU} for n in range(2)),
    {"device": "cpu-0", "kind": "cpu", "model": "AMD EPYC with 64 cores"},
    {"device": "dram-0", "kind": "dram", "model": "384 GB"},
]
OWN_G = 2 * 164_000 / 35_040  # of two H100 over an hour
SERVER_G = 5_700_000 / 35_040


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """An hour of two H100 on node1, with its CPU and memory."""
    made = Ledger(new_context(memory))
    made.intensity(T, [100.0])
    drawn = [interval(T, T + HOUR, KWH, one["device"]) for one in DEVICES]
    made.send(drawn, host="node1", devices=DEVICES)
    yield made
    made.close()


def state(ledger: Ledger, server: str = "AWS p5.48xlarge", gpus: int | None = None) -> None:
    record_host(ledger.context, HostBody("node1", server=server, gpus=gpus), HostTimes())


def embodied_g(ledger: Ledger) -> float:
    return ledger.sci(unit="device_hour", start_ms=T, end_ms=T + HOUR).embodied_g


def stated(ledger: Ledger) -> tuple[str, Statement]:
    body = ReportBody(to_rfc3339(T), to_rfc3339(T + HOUR), workload="w", unit="device_hour")
    report = issue_report(ledger.context, ADMIN, body)
    return report.id, msgspec.json.decode(report.statement, type=Statement)


def test_gpus_share_their_server_and_its_parts_have_none_of_their_own(ledger: Ledger) -> None:
    without = embodied_g(ledger)
    assert without > OWN_G  # CPU and memory count for themselves
    state(ledger)
    answer = ledger.sci(unit="device_hour", start_ms=T, end_ms=T + HOUR)
    assert answer.embodied_g == pytest.approx(OWN_G + SERVER_G)
    assert "parts_in_server" in answer.flags
    assert "embodied/server/p5.48xlarge@boavizta" in [factor.id for factor in answer.factors]


@pytest.mark.parametrize(("gpus", "share"), [(8, 2 / 8), (1, 1)])
def test_gpus_that_nobody_meters_carry_their_share_too(
    ledger: Ledger, gpus: int | None, share: float
) -> None:
    state(ledger, gpus=gpus)
    assert embodied_g(ledger) == pytest.approx(OWN_G + SERVER_G * share)


def test_a_host_without_gpus_is_carried_by_its_cpus(ledger: Ledger) -> None:
    parts = [interval(T, T + HOUR, KWH, "cpu-9", workload="w2")]
    devices = [{"device": "cpu-9", "kind": "cpu", "model": "AMD EPYC with 64 cores"}]
    ledger.send(parts, host="node2", devices=devices)
    record_host(ledger.context, HostBody("node2", server="Dell R740"), HostTimes())
    answer = ledger.sci("w2", unit="device_hour", start_ms=T, end_ms=T + HOUR)
    assert answer.embodied_g == pytest.approx(967_900 / 35_040)


def test_a_server_that_is_metered_itself_is_charged_once(ledger: Ledger) -> None:
    devices = [{"device": "srv", "kind": "server", "model": "Dell R740"}]
    ledger.send([interval(T, T + HOUR, KWH, "srv")], host="node1", devices=devices)
    before = embodied_g(ledger)
    state(ledger)
    assert embodied_g(ledger) == before


def test_an_unknown_server_gets_the_flagged_generic_factor(ledger: Ledger) -> None:
    state(ledger, server="something we built")
    answer = ledger.sci(unit="device_hour", start_ms=T, end_ms=T + HOUR)
    assert answer.embodied_g == pytest.approx(OWN_G + 1_000_000 / 35_040)
    assert any("generic_factor" in factor.flags for factor in answer.factors)


def test_a_report_says_whether_servers_are_in_it_and_its_pack_verifies(
    ledger: Ledger, tmp_path: Path
) -> None:
    _, statement = stated(ledger)
    assert "server_not_stated" in statement.marks
    state(ledger, gpus=8)
    report, statement = stated(ledger)
    assert "server_not_stated" not in statement.marks
    shares = [part for part in statement.lines[0].embodied if part.kind == "server"]
    assert [(part.device, part.shared_by) for part in shares] == [("gpu-0", 8), ("gpu-1", 8)]
    told = explain_report(ledger.context, ADMIN, report).embodied_formulas
    assert sum("/ 8 devices of the server" in formula for formula in told) == 2
    with zipfile.ZipFile(BytesIO(write(audit_pack(ledger.context, ADMIN, report)))) as pack:
        pack.extractall(tmp_path)
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_shares_a_server_is_part_of_what_is_hashed(ledger: Ledger) -> None:
    def hashed() -> str:
        return ledger.sci(unit="device_hour", start_ms=T, end_ms=T + HOUR).input_hash

    state(ledger)
    before = hashed()
    state(ledger, gpus=8)
    assert hashed() != before


def lifespan(id_: str, subject: str, name: str, years: float) -> Factor:
    return Factor(
        id=f"lifespan/{id_}",
        kind=FactorKind.LIFESPAN,
        subject=subject,
        name=name,
        value=years,
        unit=Unit.YEAR,
        low=years - 1,
        high=years + 1,
        source="our asset register",
        licence="own",
        vintage="2026",
        tier=Tier.MEASURED,
        recorded_ms=1,
    )


def test_the_closest_lifespan_holds(ledger: Ledger) -> None:
    def gpus_g(*years: float) -> float:
        return sum(164_000 / 8_760 / one for one in years)

    parts_g = embodied_g(ledger) - OWN_G
    steps = [
        (lifespan("kind", "gpu", "", 5), gpus_g(5, 5)),
        (lifespan("model", "gpu", "NVIDIA H100", 6), gpus_g(6, 6)),
        (lifespan("another", "gpu", "NVIDIA A100", 2), gpus_g(6, 6)),
        (lifespan("one", "device", "gpu-1", 3), gpus_g(6, 3)),
    ]
    for made, expected in steps:
        record_factor(ledger.context, ADMIN, made)
        assert embodied_g(ledger) - parts_g == pytest.approx(expected), made.id


def test_a_hosts_lifespan_holds_for_all_that_is_in_it(ledger: Ledger) -> None:
    before = embodied_g(ledger)
    record_factor(ledger.context, ADMIN, lifespan("host", "host", "node1", 8))
    assert embodied_g(ledger) == pytest.approx(before / 2)
    record_factor(ledger.context, ADMIN, lifespan("other", "host", "node2", 1))
    assert embodied_g(ledger) == pytest.approx(before / 2)


@pytest.mark.parametrize(
    ("subject", "name", "code"),
    [("toaster", "", "unknown_subject"), ("host", "", "name_missing")],
)
def test_a_lifespan_of_nothing_is_refused(
    ledger: Ledger, subject: str, name: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        record_factor(ledger.context, ADMIN, lifespan("x", subject, name, 4))
    assert refused.value.code == code
