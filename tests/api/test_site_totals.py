"""A site hands over sums of quarter-hours and nothing else; sites are combined from them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from fastapi.testclient import TestClient
from job_house import fresh_engine
from ledger import interval
from service import HOUR, MINUTE, Service, T, batch, count, refused, vintage
from sqlalchemy import Engine

import carbon.client
from carbon.client.sites import combined_arm
from carbon.clock import to_rfc3339
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.errors import InvalidInput
from carbon.services.context import Context

QUARTER = 15 * MINUTE
#: What stands in a site's ledger and may not leave it.
SECRETS = (
    "GPU-secret-uuid",
    "host-secret",
    "run-secret",
    "default/",
    "search-secret",
    "user-secret",
)


def send_site(admin: TestClient, seed: int = 1, workload: str = "search-secret") -> None:
    """Two hours: in each odd quarter the treatment, a tenth less; finer than what may leave."""
    rng = random.Random(seed)
    sent: list[dict[str, Any]] = []
    counts = []
    for n in range(8):
        start, name = T + n * QUARTER, f"{workload}{'-int8' if n % 2 else ''}"
        for minute in range(15):
            at, drawn = start + minute * MINUTE, 1e7 * (0.9 if n % 2 else 1.0)
            energy_mj = round(drawn * (1 + rng.gauss(0, 0.01)))
            sent.append(interval(at, at + MINUTE, energy_mj, "GPU-secret-uuid", workload=name,
                                 run=f"run-secret-{n}"))  # fmt: skip
        counts.append({**count(1000, start_ms=start, end_ms=start + QUARTER), "workload": name})
    answers = [
        admin.post("/v1/energy", json=batch(*sent, zone="DE", host="host-secret")),
        admin.post("/v1/units", json={"units": counts}),
        admin.post("/v1/intensity/DE", json=vintage(*[300.0] * 6)),
    ]
    assert all(answer.status_code < 300 for answer in answers), [a.text for a in answers]


def asked(admin: TestClient, workload: str, **changed: Any) -> Any:
    query = {"start": to_rfc3339(T), "end": to_rfc3339(T + 2 * HOUR), "site": "north", **changed}
    return admin.get(f"/v1/workloads/{workload}/totals", params=query)


def test_totals_sum_to_the_score_and_hold_nothing_finer_or_of_anybody(admin: TestClient) -> None:
    send_site(admin)
    answer = asked(admin, "search-secret")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [name for name in SECRETS if name in answer.text] == []
    assert set(told) == {"blocks", "unit", "stated"}
    assert set(told["stated"]) == {"boundary", "factors", "methods", "zones", "hardware", "pue"}
    for block in told["blocks"]:
        assert set(block) == {"start", "end", "site", "totals"}
        assert set(block["totals"]) <= {"energy_mj", "operational_g", "embodied_g", "count"}
        assert block["start"][14:] in ("00:00Z", "15:00Z", "30:00Z", "45:00Z")
    assert len(told["blocks"]) == 4  # its own quarter-hours
    whole = admin.get(
        "/v1/workloads/search-secret/sci",
        params={"start": to_rfc3339(T), "end": to_rfc3339(T + 2 * HOUR)},
    ).json()
    sums = [sum(b["totals"][name] for b in told["blocks"]) for name in ("energy_mj", "count")]
    assert sums == [whole["energy_mj"], whole["count"]]
    operational_g = sum(block["totals"]["operational_g"] for block in told["blocks"])
    assert operational_g == pytest.approx(whole["operational_g"], rel=1e-9)


def test_what_is_finer_longer_or_another_s_is_refused(
    service: Service, admin: TestClient, team: TestClient
) -> None:
    send_site(admin)
    fine = asked(admin, "search-secret", end=to_rfc3339(T + MINUTE))
    refused(fine, 422, "not_quarter_hours")
    refused(asked(admin, "search-secret", end=to_rfc3339(T)), 422, "not_quarter_hours")
    long = asked(admin, "search-secret", end=to_rfc3339(T + 501 * QUARTER))
    refused(long, 422, "too_many_quarters")
    before = asked(admin, "search-secret", start=to_rfc3339(T - HOUR), end=to_rfc3339(T))
    refused(before, 422, "no_data")
    refused(asked(team, "default/search-secret"), 404, "unknown_workload")
    refused(asked(service.stranger, "search-secret"), 401, "key_missing")


# Two sites, and a central ledger that knows neither


@pytest.fixture
def ledger(
    new_context: Callable[[Engine], Context], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AbstractContextManager[Service]]:
    """An empty ledger to which the command line speaks; one at a time."""
    real = carbon.client.Client

    @contextmanager
    def spoken_to() -> Iterator[Service]:
        with Service.of(new_context(fresh_engine())) as service:
            key, _ = service.key("default", ADMIN_SCOPES)
            transport = service.admin._transport
            monkeypatch.setattr(
                carbon.client, "Client", lambda: real("http://testserver", key, transport=transport)
            )
            yield service

    return spoken_to


def test_an_experiment_over_sites_is_made_of_files_of_sums(
    ledger: Callable[[], AbstractContextManager[Service]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    files = {}
    with ledger() as site:
        send_site(site.admin)
        for arm, workload in (("baseline", "search-secret"), ("treatment", "search-secret-int8")):
            for name in ("north", "south"):
                files[arm, name] = tmp_path / f"{arm}-{name}.json"
                ended = call(
                    capfd, "export", "totals", workload, "--site", name, "--start", to_rfc3339(T),
                    "--end", to_rfc3339(T + 2 * HOUR), "--out", str(files[arm, name]),
                )  # fmt: skip
                assert ended.code == 0, ended.err
    options = [o for (arm, _), path in files.items() for o in (f"--{arm}", str(path))]
    with ledger():
        told = call(
            capfd, "experiment", "combine", "--workload", "both", "--technique", "quantisation",
            *options, "--parameter", "from_precision=fp32", "--parameter", "to_precision=int8",
            "--parameter", "batch_size=64", "--gate", "verdict=saves", "--json",
        ).json  # fmt: skip
    assert (told["verdict"], told["passed"]) == ("saves", True)
    assert told["deltas"]["energy"]["relative"] == pytest.approx(-0.1, abs=0.02)
    assert {block["site"] for block in told["baseline"]["blocks"]} == {"north", "south"}
    recorded = json.dumps(told)
    assert not any(name in recorded for name in SECRETS if name != "default/")


def test_a_file_that_is_no_site_s_totals_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prose.json").write_text('{"prompt": "x"}')
    wrong = call(
        capfd, "experiment", "combine", "--workload", "w", "--technique", "deployment",
        "--baseline", str(tmp_path / "prose.json"), "--treatment", str(tmp_path / "none.json"),
    )  # fmt: skip
    assert "no totals of a site" in wrong.failed(2)


def part(site: str, **changed: Any) -> dict[str, Any]:
    stated = {"boundary": {"included": ["gpu"]}, "factors": ["f"], "methods": ["counter"],
              "zones": ["DE"], "hardware": ["gpu H100"], "pue": 1.2, **changed}  # fmt: skip
    return {"blocks": [{"site": site}], "unit": "token", "stated": stated}


def test_an_arm_has_what_any_of_its_sites_has() -> None:
    made = combined_arm([part("a"), part("b", zones=["FR"], pue=None), part("c", pue=[1.1, None])])
    assert made["stated"]["zones"] == ["DE", "FR"]
    assert made["stated"]["pue"] == [None, 1.1, 1.2]
    assert [block["site"] for block in made["blocks"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "other", [part("a"), part("b", boundary={}), {**part("b"), "unit": "request"}]
)
def test_sites_that_cannot_be_one_arm_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="sites"):
        combined_arm([part("a"), other])
