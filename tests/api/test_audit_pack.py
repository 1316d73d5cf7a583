"""GET /v1/reports/{id}/audit-pack: what an auditor checks without us."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from ledger import interval
from service import HOUR, MINUTE, Service, T, an_hour, batch, count, refused, vintage

from carbon.clock import to_rfc3339
from carbon.domain.tenancy import TEAM_SCOPES
from carbon.storage.engine import writing
from carbon.storage.report_tables import report_table


@pytest.fixture
def admin(service: Service) -> TestClient:
    """An hour on an H100 and a CPU, priced by the hour."""
    made = service.admin
    made.post("/v1/intensity/DE", json=vintage(100.0, 300.0, 200.0))
    devices = [{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}]
    run = [interval(T + 2 * HOUR, T + 3 * HOUR, 10**9, run="r")]
    made.post("/v1/energy", json=batch(an_hour(), *run, devices=devices))
    later = interval(T + HOUR, T + 2 * HOUR, 7, "cpu-0", method="modelled")
    made.post("/v1/energy", json=batch(later, seq=2))
    made.post("/v1/units", json={"units": [count(1_000), count(5, "image")]})
    return made


def issued(admin: TestClient, start_ms: int = T, end_ms: int = T + 3 * HOUR) -> str:
    window = {"start": to_rfc3339(start_ms), "end": to_rfc3339(end_ms)}
    answer = admin.post("/v1/reports", json={**window, "workload": "w", "title": "March"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def unpacked(admin: TestClient, report: str, folder: Path) -> Path:
    answer = admin.get(f"/v1/reports/{report}/audit-pack")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        archive.extractall(folder)
    return folder


def verified(folder: Path) -> tuple[int, str]:
    """The pack's own verifier, isolated from everything that is installed here."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_packs_own_verifier_finds_it_sound(admin: TestClient, tmp_path: Path) -> None:
    windows = {
        "whole hours": (T, T + 3 * HOUR),
        "odd edges": (T + 7 * MINUTE, T + 2 * HOUR + 11 * MINUTE),
        "inside a bucket": (T + MINUTE, T + 2 * MINUTE),
    }
    for name, window in windows.items():
        folder = unpacked(admin, issued(admin, *window), tmp_path / name)
        assert verified(folder) == (0, "sound: hashes, log, table, factors, arithmetic\n"), name


CHANGES = [
    ("quarter_hours.csv", ",900000000,", ",900000001,", "does not sum to the part"),
    ("statement.json", "default/w", "default/v", "not the statement of the record"),
    ("report_record.json", "March", "April", "not what its hash covers"),
    ("chain.jsonl", "report.issued", "report.mislaid", "not what its hash covers"),
    ("factors.json", '"value": 164.0', '"value": 1.0', "not the footprint that was charged"),
]


def test_what_was_changed_in_a_pack_is_named(admin: TestClient, tmp_path: Path) -> None:
    folder = unpacked(admin, issued(admin), tmp_path)
    for file, old, new, fault in CHANGES:
        text = (folder / file).read_text("utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), "utf-8")
        code, said = verified(folder)
        assert code == 1
        assert fault in said
        (folder / file).write_text(text, "utf-8")


SOUND = (0, "sound: hashes, log, table, factors, arithmetic\n")


def test_a_pack_verifies_for_ever_and_says_what_superseded_it(
    admin: TestClient, tmp_path: Path
) -> None:
    report = issued(admin)
    before = unpacked(admin, report, tmp_path / "before") / "quarter_hours.csv"
    admin.post("/v1/energy", json=batch(an_hour(10**9, device="gpu-9"), seq=3))
    body = {"commit": True, "reason": "late readings of gpu-9"}
    later = admin.post(f"/v1/reports/{report}/restate", json=body).json()["restated"]["id"]
    old = unpacked(admin, report, tmp_path / "old")
    assert verified(old) == SOUND
    assert (old / "quarter_hours.csv").read_bytes() == before.read_bytes()
    assert json.loads((old / "manifest.json").read_text())["superseded_by"] == later
    new = unpacked(admin, later, tmp_path / "new")
    assert verified(new) == SOUND
    assert "gpu-9" in (new / "quarter_hours.csv").read_text()


def test_a_kept_table_is_in_the_chain(admin: TestClient, service: Service) -> None:
    report = issued(admin)
    assert admin.get("/v1/audit/verify").json()["intact"]
    with writing(service.context.engine) as connection:
        changed = report_table.update().values(content=zlib.compress(b"other"))
        connection.execute(changed.where(report_table.c.report_id == report))
    proof = admin.get("/v1/audit/verify").json()
    assert [fault["code"] for fault in proof["faults"]] == ["report_table_changed"]
    with writing(service.context.engine) as connection:
        connection.execute(report_table.update().values(content=b"not even compressed"))
    assert not admin.get("/v1/audit/verify").json()["intact"]


def test_what_was_issued_before_tables_were_kept_gets_one_of_today(
    admin: TestClient, service: Service, tmp_path: Path
) -> None:
    report = issued(admin)
    with writing(service.context.engine) as connection:
        connection.execute(report_table.delete())
    folder = unpacked(admin, report, tmp_path / "same")
    assert "not the table that was kept" not in verified(folder)[1]
    admin.post("/v1/energy", json=batch(an_hour(10**9, device="gpu-9"), seq=3))
    code, said = verified(unpacked(admin, report, tmp_path / "moved"))
    assert code == 1
    assert "it was read later" in said


def test_a_fleet_over_a_year_has_a_row_a_day(
    admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.services.reports.table.MOST_QUARTERS", 1)
    folder = unpacked(admin, issued(admin, T + 7 * MINUTE), tmp_path)
    assert verified(folder) == SOUND
    rows = (folder / "quarter_hours.csv").read_text().splitlines()
    assert len(rows) < 1 + 3 * 12


def test_the_record_is_salted(admin: TestClient, tmp_path: Path) -> None:
    folder = unpacked(admin, issued(admin), tmp_path)
    assert len(json.loads((folder / "manifest.json").read_text())["salt"]) == 64


def test_a_pack_needs_the_audit_scope(admin: TestClient, service: Service) -> None:
    team = service.client("default", TEAM_SCOPES)
    refused(team.get(f"/v1/reports/{issued(admin)}/audit-pack"), 403, "scope_missing")


def test_a_reports_rows_as_parquet_are_those_of_its_csv(admin: TestClient) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    url = f"/v1/reports/{issued(admin)}/export?format="
    table = parquet.read_table(BytesIO(admin.get(f"{url}parquet").content))
    lines = admin.get(f"{url}csv").text.splitlines()
    assert table.column_names == lines[0].split(",")
    assert table.num_rows == len(lines) - 1
    assert table.column("g_co2e").type == "double"


def test_a_device_past_its_life_is_sound_too(admin: TestClient, tmp_path: Path) -> None:
    admin.post("/v1/hosts", json={"name": "n", "commissioned": to_rfc3339(T - 2_000 * 24 * HOUR)})
    old = interval(T, T + HOUR, 10**9, "gpu-9")
    admin.post("/v1/energy", json=batch(old, seq=3, host="n"))
    report = issued(admin)
    parts = admin.get(f"/v1/reports/{report}").json()["statement"]["lines"][0]["embodied"]
    assert [part["past_life"] for part in parts if part["device"] == "gpu-9"] == [True]
    folder = unpacked(admin, report, tmp_path)
    assert verified(folder) == (0, "sound: hashes, log, table, factors, arithmetic\n")
