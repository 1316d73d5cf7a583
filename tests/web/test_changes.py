"""Marks on a workload's course: where a factor or its boundary changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import generated_day
import pytest
from dashboard_client import browser
from rendered import Page

from carbon.clock import to_rfc3339
from carbon.domain.units import MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.screens.changes import Changed
from carbon.storage.engine import reading, writing
from carbon.storage.factors import factor_book, insert_factor
from carbon.storage.identities import Identities
from carbon.storage.names import boundary
from carbon.web.chart_specs import change_told

RESNET = generated_day.RESNET
VIEW = f"/web/workload.json?workload={RESNET}&last=today"


@pytest.fixture
def house(tmp_path: Path) -> Context:
    context = generated_day.empty_context(tmp_path)
    generated_day.fill_last_minutes(context, 130)
    return context


def stated(context: Context, version: int, hours_ago: float) -> None:
    with writing(context.engine) as connection:
        id_ = Identities(connection, generated_day.NOW_MS, {}).workload(RESNET)
        row = {"workload_id": id_, "version": version, "included": "[]", "excluded": "[]"}
        at_ms = generated_day.NOW_MS - round(hours_ago * MS_PER_HOUR)
        connection.execute(boundary.insert().values(**row, recorded_ms=at_ms))


def changes(context: Context) -> list[Any]:
    client = browser(context, generated_day.admin_key(context))
    found: list[Any] = client.get(VIEW).json()["changes"]
    return found


def test_a_boundary_s_later_versions_are_marked_and_its_first_is_not(house: Context) -> None:
    stated(house, 1, 1.5)
    assert changes(house) == []
    stated(house, 2, 1.0)
    [change] = changes(house)
    assert (change["kind"], change["about"]) == ("boundary", "2")
    assert change["at"] == to_rfc3339(generated_day.NOW_MS - MS_PER_HOUR)


def test_what_changed_before_the_range_is_not_marked_in_it(house: Context) -> None:
    stated(house, 2, 20.0)
    assert changes(house) == []


def test_the_page_numbers_its_marks_and_says_each_below_the_chart(house: Context) -> None:
    stated(house, 2, 1.5)
    stated(house, 3, 0.5)
    client = browser(house, generated_day.admin_key(house))
    page = client.get(f"/workloads/{RESNET}?last=today").text
    assert "boundary, version 2" in page
    assert "boundary, version 3" in page
    [spec] = _page_data(page)["charts"]
    assert [mark["number"] for mark in spec["marks"]] == [1, 2]
    first, second = (mark["at"] for mark in spec["marks"])
    assert 0 <= first < second < len(spec["times"])


def test_a_factor_that_holds_from_a_moment_on_is_marked_there(house: Context) -> None:
    used = browser(house, generated_day.admin_key(house)).get(VIEW).json()["answers"][0]["factors"]
    old = next(f for f in used if f["kind"] == "embodied")
    recorded = _supersede(house, old["id"])
    found = changes(house)
    assert [(c["kind"], c["about"]) for c in found] == [("factor", recorded)]
    assert found[0]["value"].startswith("200 ")


def _supersede(context: Context, old: str) -> str:
    """A factor in place of another from an hour ago on."""
    with reading(context.engine) as connection:
        known = factor_book(connection).find(old)
    made = replace(
        known,
        id=f"{old}-measured",
        value=200.0,
        low=min(known.low, 200.0),
        high=max(known.high, 200.0),
        supersedes=old,
        valid_from_ms=generated_day.NOW_MS - MS_PER_HOUR,
        recorded_ms=generated_day.NOW_MS,
    )
    with writing(context.engine) as connection:
        insert_factor(connection, made)
    return made.id


def _page_data(html: str) -> Any:
    start = html.index('id="page-data">') + len('id="page-data">')
    return json.loads(html[start : html.index("</script>", start)])


def test_a_change_is_told_with_its_value() -> None:
    told = change_told(Changed(0, "factor", "embodied/gpu/x", "200 kgCO2e"))
    assert "embodied/gpu/x" in told
    assert "200 kgCO2e" in told


def test_two_workloads_of_one_unit_are_drawn_together(house: Context) -> None:
    client = browser(house, generated_day.admin_key(house))
    same = client.get(f"/compare?a={RESNET}&b={RESNET}&last=today").text
    [spec] = _page_data(same)["charts"]
    assert [one["name"] for one in spec["series"]] == [str(RESNET)] * 2
    assert spec["series"][0]["values"] == spec["series"][1]["values"]
    page = Page(same)
    assert "SCI per image, both" in page.text
    other = client.get(f"/compare?a={RESNET}&b={generated_day.SERVE}&last=today").text
    assert _page_data(other)["charts"] == []
