"""`carbon report`, `factors`, `audit` and `export` against a running service."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Ended
from job_house import fresh_engine
from service import HOUR, Service, T, an_hour, batch, count, vintage
from sqlalchemy import Engine, update

import carbon.client
from carbon.clock import SystemClock, from_rfc3339, to_rfc3339
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.context import Context
from carbon.storage.engine import writing
from carbon.storage.reports import report as report_table

WINDOW = ("--start", to_rfc3339(T), "--end", to_rfc3339(T + HOUR))
H100 = "embodied/gpu/h100@nvidia-pcf-2025"
#: How an error of `carbon report issue` reads.
WORDS_OF = {
    "missing_window": "state --start and --end",
    "invalid_choice": "--period",
    "nothing_to_report": "no workload drew anything",
}
STUDY = ("--source", "a study", "--vintage", "2026", "--licence", "CC-BY-4.0")


@pytest.fixture
def service(
    new_context: Callable[[Engine], Context], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """1 kWh at 200 g/kWh on an H100, for a thousand tokens; the command line talks to it."""
    engine = fresh_engine()
    with Service.of(new_context(engine)) as made:
        made.admin.post("/v1/intensity/DE", json=vintage(200.0))
        devices = [{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}]
        made.admin.post("/v1/energy", json=batch(an_hour(), devices=devices))
        made.admin.post("/v1/units", json={"units": [count(1_000)]})
        key, _ = made.key("default", ADMIN_SCOPES)
        real, transport = carbon.client.Client, made.admin._transport
        monkeypatch.setattr(
            carbon.client,
            "Client",
            lambda **_: real("http://testserver", key, transport=transport),
        )
        yield made
    engine.dispose()


Carbon = Callable[..., Ended]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def test_a_report_of_all_that_drew_energy_names_no_workload(
    service: Service, carbon: Carbon
) -> None:
    whole = carbon("report", "issue", *WINDOW, "--json").json
    assert {one["answer"]["workload"] for one in whole["statement"]["lines"]} == {"default/w"}


def test_last_quarter_is_the_civil_one_before_this(service: Service, carbon: Carbon) -> None:
    """Nothing was read in it, which the answer says of its window."""
    told = carbon("report", "issue", "w", "--period", "last-quarter").err
    start, end = re.findall(r"\d{4}-\d\d-01T00:00:00Z", told)
    days = (from_rfc3339(end) - from_rfc3339(start)) / (24 * HOUR)
    assert 90 <= days <= 92
    assert 0 <= SystemClock().now_ms() - from_rfc3339(end) < 93 * 24 * HOUR


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("w",), "missing_window"),
        (("w", "--start", "2026-01-01T00:00:00Z"), "missing_window"),
        (("w", "--period", "last-week"), "invalid_choice"),
        (("w", *WINDOW, "--period", "last-year"), "invalid_choice"),
        (("--start", "2001-01-01T00:00:00Z", "--end", "2001-02-01T00:00:00Z"), "nothing_to_report"),
    ],
)
def test_a_report_of_no_window_is_one_line(
    service: Service, carbon: Carbon, words: tuple[str, ...], code: str
) -> None:
    ended = carbon("report", "issue", *words)
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 1
    assert WORDS_OF[code] in ended.err


def test_a_report_is_issued_shown_explained_and_listed(service: Service, carbon: Carbon) -> None:
    issued = carbon("report", "issue", "w", *WINDOW, "--title", "March", "--json").json
    assert issued["statement"]["lines"][0]["answer"]["count"] == 1_000
    told = carbon("report", "show", issued["id"])
    assert (told.code, issued["statement_hash"] in told.out) == (0, True)
    assert carbon("report", "show", issued["id"], "--json").json == issued
    explained = carbon("report", "explain", issued["id"])
    assert "SCI = (O + M) / R" in explained.out
    assert H100 in explained.out
    assert "gives the same inputs today" in explained.out
    assert issued["id"] in carbon("report", "list").out
    assert "unknown_report" not in carbon("report", "show", "rep_0").failed(1)


def test_a_restatement_is_shown_before_it_is_committed(service: Service, carbon: Carbon) -> None:
    issued = carbon("report", "issue", "w", *WINDOW, "--json").json
    assert "says the same today" in carbon("report", "restate", issued["id"]).out
    late = an_hour(360_000_000, device="gpu-5")
    service.admin.post("/v1/energy", json=batch(late, seq=2))
    tried = carbon("report", "restate", issued["id"])
    assert "readings" in tried.out
    assert "recipients are to be told" in tried.out
    carbon("report", "restate", issued["id"], "--commit").failed(2)
    arguments = ("--commit", "--reason", "late readings", "--json")
    done = carbon("report", "restate", issued["id"], *arguments).json
    assert done["restated"]["restates"] == issued["id"]
    assert done["restated"]["id"] in carbon("report", "show", issued["id"]).out


def test_factors_are_listed_shown_superseded_and_added(service: Service, carbon: Carbon) -> None:
    assert H100 in carbon("factors", "list", "--kind", "embodied", "--subject", "gpu").out
    assert "embodied/gpu/h100@boavizta" in carbon("factors", "show", H100).out
    carbon("report", "issue", "w", *WINDOW)
    revised = ("--value", 2730, "--low", 150, "--high", 5750, *STUDY, "--tier", "supplier")
    tried = carbon("factors", "supersede", H100, *revised, "--dry-run")
    assert "would be recorded" in tried.out
    assert "rep_" in tried.out
    made = carbon("factors", "supersede", H100, *revised, "--json").json
    assert made["factor"]["supersedes"] == H100
    assert "under another id" in carbon("factors", "supersede", H100, *revised).failed(1)
    added = ("add", "--kind", "pue", "--subject", "my-room", "--unit", "1", "--tier", "measured")
    values = ("--value", 1.2, "--low", 1.1, "--high", 1.3)
    assert carbon("factors", *added, *values, *STUDY, "--json").json["recorded"]


def test_the_log_is_proven_and_a_changed_row_ends_with_1(service: Service, carbon: Carbon) -> None:
    carbon("report", "issue", "w", *WINDOW)
    proof = carbon("audit", "verify", "--json").json
    assert (proof["intact"], proof["entries"]) == (True, 1)
    assert proof["head"] in carbon("audit", "verify", "--head", proof["head"]).out
    with writing(service.context.engine) as connection:
        connection.execute(update(report_table).values(statement="{}"))
    broken = carbon("audit", "verify")
    assert broken.code == 1
    assert "report_changed" in broken.out


@pytest.mark.parametrize(
    "format", ["gsf", "sci-reporting", "csv", "json", "html", "model-card", "ai-act"]
)
def test_a_report_is_handed_out_in_each_format(
    service: Service, carbon: Carbon, tmp_path: Path, format: str
) -> None:
    issued = carbon("report", "issue", "w", *WINDOW, "--json").json
    who = ("--contact-name", "Ana", "--contact-email", "ana@example.org")
    printed = carbon("export", "report", issued["id"], "--format", format, *who)
    assert printed.code == 0, printed.err
    assert issued["id"] in printed.out
    file = tmp_path / "out"
    written = ("--format", format, "--out", file, *who, "--json")
    assert carbon("export", "report", issued["id"], *written).json["file"] == str(file)
    assert file.read_text("utf-8") == printed.out


def test_an_unknown_format_is_refused(service: Service, carbon: Carbon) -> None:
    issued = carbon("report", "issue", "w", *WINDOW, "--json").json
    carbon("export", "report", issued["id"], "--format", "docx").failed(2)


@pytest.mark.usefixtures("service")
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to print with")
def test_a_report_is_printed_as_pdf(carbon: Carbon, tmp_path: Path) -> None:
    issued = carbon("report", "issue", "w", *WINDOW, "--json").json
    out = tmp_path / "march.pdf"
    told = carbon("export", "report", issued["id"], "--format", "pdf", "--out", str(out))
    assert (told.code, told.err) == (0, "")
    assert out.read_bytes().startswith(b"%PDF-")


@pytest.mark.usefixtures("service")
def test_without_a_browser_the_error_names_the_mend(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = carbon("report", "issue", "w", *WINDOW, "--json").json
    monkeypatch.setenv("PATH", "")
    assert "export html" in carbon("export", "report", issued["id"], "--format", "pdf").failed(1)
