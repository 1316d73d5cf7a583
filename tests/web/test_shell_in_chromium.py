"""What holds of every page in a real browser: the menu of a phone, when charts are drawn, paper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import generated_day
import pytest
from browsing import CHROMIUM, Service, serve

from carbon.domain.budget import Measure, Period
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.screens.budgets import set_budget
from carbon.wire.budgets import BudgetBody

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine's PATH"),
]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DRAWN = "() => [...document.querySelectorAll('.chart')].map((box) => !!box.querySelector('svg'))"


@pytest.fixture(scope="module")
def budgeted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A day with a budget for all of it."""
    house = generated_day.empty_context(tmp_path_factory.mktemp("budgeted"))
    generated_day.fill_last_minutes(house, 60)
    lead = Principal("k1", "ada", "vision", ADMIN_SCOPES)
    set_budget(house, lead, BudgetBody(Measure.ENERGY_KWH, 30.0, Period.MONTH))
    running = serve(house)
    yield running
    running.stop()
    house.engine.dispose()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_phone_s_menu_opens_with_and_without_scripts_and_leads_on(
    visit: Any, scripts: bool
) -> None:
    seen = visit(**PHONE, java_script_enabled=scripts)
    assert not seen.page.is_visible("#screens")
    seen.page.tap(".menu")
    seen.page.wait_for_selector("#screens", state="visible")
    seen.page.tap("#screens a:text-is('Breakdown')")
    seen.page.wait_for_url("**/breakdown")
    assert seen.page.inner_text("h1") == "Breakdown"
    assert not seen.page.is_visible("#screens")


def test_a_wide_window_has_the_screens_at_its_side(visit: Any) -> None:
    seen = visit()
    side, main = (seen.page.locator(where).bounding_box() for where in ("#screens", "main"))
    assert side["x"] + side["width"] <= main["x"]
    assert not seen.page.is_visible(".menu")


def test_a_chart_far_below_is_drawn_when_it_comes_near_and_for_paper(visit: Any) -> None:
    seen = visit(**PHONE)
    seen.page.wait_for_selector("#hours-chart svg", state="attached")
    assert seen.page.evaluate(DRAWN) == [True, False]
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.evaluate(DRAWN) == [True, True]
    assert seen.trouble == []


def test_a_budget_s_course_is_drawn_and_told_where_it_is_pointed_at(
    visit: Any, budgeted: Service
) -> None:
    seen = visit(budgeted)
    assert seen.page.locator("svg.small-burn path.burn-used").count() == 1
    seen.page.goto(f"{budgeted.address}/budgets")
    seen.page.wait_for_selector("[id^=burn-] svg path", state="attached")
    box = seen.page.locator(".chart")
    assert "budget" in box.inner_text()
    box.hover(position={"x": 120, "y": 150})
    told = seen.page.wait_for_selector(".tip").inner_text()
    assert "used" in told
    assert "30" in told
    assert seen.trouble == []
    seen.picture("chart", "budgets")


def test_paper_holds_the_range_and_no_controls(visit: Any, service: Service) -> None:
    seen = visit()
    seen.page.goto(f"{service.address}/breakdown?last=today")
    seen.page.emulate_media(media="print")
    assert "2026-11-24 to 2026-11-24" in seen.page.inner_text("main")
    for control in (".range", "#screens", ".data-links", "[data-save]"):
        assert not seen.page.is_visible(control)
