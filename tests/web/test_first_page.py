"""The first page tells the truth of the ledger, and says what it does not know."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page, at_path
from sqlalchemy import func, select

from carbon.services.context import Context
from carbon.storage.energy import energy_interval
from carbon.storage.engine import create_engine, reading
from carbon.web.figures import BY_NAME


def overview(client: TestClient, query: str = "") -> Any:
    return client.get(f"/web/overview.json{query}").json()


def shown(client: TestClient, query: str = "") -> Page:
    answer = client.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def test_every_number_on_the_page_is_the_one_in_its_json(admin: TestClient) -> None:
    page, answer = shown(admin), overview(admin)
    assert len(page.numbers) > 60
    for number in page.numbers:
        assert number.value == at_path(answer, number.path), number


def test_every_number_reads_as_its_value_in_its_unit(admin: TestClient) -> None:
    sizes = {unit: size for of in BY_NAME.values() for size, unit in of.units} | {"%": 0.01}
    read = [n for n in shown(admin).numbers if n.unit]
    assert {"kWh", "kg CO₂e", "g/kWh", "W", "%"} <= {n.unit for n in read}
    for number in read:
        digits = number.text.replace("\N{NO-BREAK SPACE}", "").strip("<>")
        again = float(digits) * sizes[number.unit]
        assert again == pytest.approx(number.value, rel=0.05, abs=0.0051), number


def test_energy_today_is_what_was_sent_to_the_last_millijoule(
    day: Context, admin: TestClient
) -> None:
    with reading(day.engine) as connection:
        sent_mj = connection.scalar(select(func.sum(energy_interval.c.energy_mj)))
    assert sent_mj is not None
    today = overview(admin)["today"]
    assert today["energy_kwh"]["value"] == pytest.approx(sent_mj / 3.6e9, rel=1e-12)


def test_the_shares_sum_to_the_day_and_the_hours_to_the_shares(admin: TestClient) -> None:
    today = overview(admin)["today"]
    shares = today["shares"]
    total = sum(share["energy_kwh"] for share in shares)
    assert total == pytest.approx(today["energy_kwh"]["value"])
    assert sum(s["operational_g"] for s in shares) == pytest.approx(today["operational_g"]["value"])
    for share in shares:
        hours = [*share["measured_kwh_by_hour"], *share["modelled_kwh_by_hour"]]
        assert sum(hour or 0.0 for hour in hours) == pytest.approx(share["energy_kwh"])
    kinds = [share["kind"] for share in shares]
    assert kinds == ["workload"] * 4 + ["idle", "unattributed"]


def test_hours_to_come_are_missing_and_not_zero(admin: TestClient) -> None:
    today = overview(admin)["today"]
    for share in today["shares"]:
        assert share["measured_kwh_by_hour"][15:] == [None] * 9
        assert None not in share["measured_kwh_by_hour"][:15]
    assert len(today["hours"]) == 24
    assert today["start"] == "2026-11-23T23:00:00Z"


def test_carbon_lies_within_its_bounds_and_they_widen_those_of_the_energy(
    admin: TestClient,
) -> None:
    today = overview(admin)["today"]
    width = []
    for name in ("energy_kwh", "operational_g"):
        figure = today[name]
        assert figure["low"] < figure["value"] < figure["high"]
        width.append((figure["high"] - figure["low"]) / figure["value"])
    assert width[0] < width[1]


def test_power_now_is_the_last_minute_of_each_device(admin: TestClient) -> None:
    power = overview(admin)["power"]
    minute = (generated_day.NOW_MS - generated_day.MIDNIGHT_MS) // 60_000 - 1
    drawn = [
        sum(watts for _, watts in generated_day.draws(place, minute / 60, minute))
        for place in range(4)
    ]
    heard = [d["power_w"] for d in power["devices"] if d["power_w"] is not None]
    assert sorted(heard) == pytest.approx(sorted(drawn), rel=1e-6)
    assert power["power_w"] == pytest.approx(sum(drawn), rel=1e-6)
    assert power["measured_w"] == pytest.approx(sum(drawn[:2]), rel=1e-6)


def test_a_device_that_nobody_hears_has_no_power_and_lowers_the_coverage(
    admin: TestClient,
) -> None:
    answer = overview(admin)
    [dead] = [d for d in answer["power"]["devices"] if d["device"] == "GPU-dead"]
    assert (dead["power_w"], dead["seen"], answer["power"]["silent"]) == (None, None, 1)
    # Four of five devices, less the half-hour in which one was away.
    elapsed = 14 * 60 + 20
    expected = (4 * elapsed - 29) / (5 * elapsed)
    assert answer["today"]["coverage"] == pytest.approx(expected, abs=0.001)
    assert "silent" in shown(admin).text


def test_the_clean_window_is_the_cleanest_two_hours_ahead(admin: TestClient) -> None:
    grid = overview(admin)["intensity"]
    window = grid["clean_window"]
    ahead = [p for p in grid["points"] if p["kind"] == "forecast"]
    pairs = [(a["g_per_kwh"] + b["g_per_kwh"]) / 2 for a, b in pairwise(ahead)]
    assert window["mean_g_per_kwh"] == pytest.approx(min(pairs), abs=0.2)
    assert grid["source"] == "energy_charts"
    assert "Wed 25 Nov 11:00–13:00" in shown(admin).text


def test_scores_come_per_unit_and_say_why_where_there_is_none(admin: TestClient) -> None:
    scores = {s["workload"]: s for s in overview(admin)["sci"]["workloads"]}
    serve = scores["search/embed-api"]
    assert serve["unit"] == "request"
    assert serve["low"] < serve["sci_g_per_unit"] < serve["high"]
    assert serve["sci_g_per_unit"] == pytest.approx(serve["total_g"] / serve["count"])
    assert scores["speech/whisper-finetune"]["sci_g_per_unit"] is None
    assert "no run counted yet" in shown(admin).text


def test_jobs_say_when_and_why(admin: TestClient) -> None:
    jobs = overview(admin)["jobs"]
    assert [job["state"] for job in jobs][:3] == ["running", "waiting", "waiting"]
    text = shown(admin).text
    assert "cleanest window before the deadline" in text
    assert jobs[-2]["credited_g"] == 210.4


def test_without_a_feed_the_page_says_what_it_priced_with(tmp_path: Path) -> None:
    context = generated_day.empty_context(tmp_path)
    generated_day.fill(context, with_feed=False)
    client = browser(context, generated_day.admin_key(context))
    page = shown(client)
    assert "No live feed was reached: the hours ahead of DE are typical ones" in page.text
    assert overview(client)["intensity"]["clean_window"] is not None


def test_a_machine_of_unknown_place_is_told_once_and_how_to_mend_it(tmp_path: Path) -> None:
    context = generated_day.empty_context(tmp_path, zone=None)
    page = shown(browser(context, generated_day.admin_key(context)))
    assert page.text.count("CARBON_ZONE") == 1
    assert "world's mean of 2023" in page.text


def test_a_newcomer_sees_no_zeros_but_what_to_do(newcomer: TestClient) -> None:
    page, answer = shown(newcomer), overview(newcomer)
    assert answer["power"]["power_w"] is answer["today"]["energy_kwh"] is None
    assert answer["today"]["measured_share"] is answer["today"]["coverage"] is None
    for word in ("No reading yet", "carbon doctor", "carbon run --workload", "carbon submit"):
        assert word in page.text


def test_a_team_sees_its_own_and_hears_of_no_other(day: Context) -> None:
    client = browser(day, generated_day.team_key(day, "vision"))
    answer, page = overview(client), client.get("/").text
    shares = answer["today"]["shares"]
    assert {share["name"] for share in shares} == {"vision/train-resnet", "vision/nightly-eval"}
    for foreign in ("search", "speech", "whisper", "AMD EPYC", "GPU-dead"):
        assert foreign not in page
    assert {job["workload"].split("/")[0] for job in answer["jobs"]} == {"vision"}
    assert [d["device"] for d in answer["power"]["devices"]] == ["GPU-0a52"]
    assert answer["today"]["coverage"] is None


def test_the_zone_in_the_address_is_the_one_shown(admin: TestClient) -> None:
    answer = overview(admin, "?zone=FR")
    assert answer["intensity"]["zone"] == "FR"
    assert answer["zones"] == ["DE"]
    assert "now in FR" in shown(admin, "?zone=FR").text


def test_an_unknown_zone_is_not_found_and_near_ones_are_named(admin: TestClient) -> None:
    answer = admin.get("/?zone=Germny")
    assert answer.status_code == 404
    assert "Germany" in answer.text
    assert admin.get("/web/overview.json?zone=Germny").json()["code"] == "unknown_zone"


def test_nothing_on_the_page_is_inline_or_from_elsewhere(admin: TestClient) -> None:
    answer = admin.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for tag, attributes in Page(answer.text).tags:
        assert tag != "style"
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        if tag == "script":
            assert "src" in attributes or attributes["type"] == "application/json"
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#"))


def test_other_peoples_text_cannot_become_markup(tmp_path: Path) -> None:
    context = generated_day.empty_context(tmp_path)
    generated_day.fill(context)
    evil = "</script><script>alert(1)</script>"
    with context.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE device_model SET model = ? || id", (evil,))
        connection.exec_driver_sql("UPDATE job SET name = ?", (evil,))
    page = browser(context, generated_day.admin_key(context)).get("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_postgresql_says_the_same(day: Context, postgres_database: str, tmp_path: Path) -> None:
    settings = day.settings.model_copy(update={"data_dir": tmp_path})
    context = Context(create_engine(postgres_database), settings, day.clock)
    generated_day.fill(context)
    answers = [overview(browser(of, generated_day.admin_key(of))) for of in (day, context)]
    context.engine.dispose()
    assert answers[0] == answers[1]
