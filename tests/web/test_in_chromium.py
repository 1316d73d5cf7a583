"""The first page in a real browser: drawn, quiet, live, in both themes and on a phone.

Screenshots are left in `artefacts/`, to be looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import generated_day
import pytest
from browsing import CHROMIUM, Service, Visit, serve
from rendered import at_path

from carbon.clock import FakeClock

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine's PATH"),
]


def bars_and_lines(seen: Visit) -> tuple[int, int]:
    count = "id => document.querySelectorAll(`#${id} svg path`).length"
    return seen.page.evaluate(count, "hours-chart"), seen.page.evaluate(count, "intensity-chart")


def test_both_charts_are_drawn_without_a_word_on_the_console_or_a_request_elsewhere(
    visit: Any, service: Service
) -> None:
    seen = visit()
    seen.charts_are_drawn()
    bars, lines = bars_and_lines(seen)
    assert bars > 15 * 5  # fifteen hours of at least five parts
    assert lines > 4
    assert seen.page.query_selector_all("#hours-chart svg pattern")  # modelled is hatched
    assert seen.trouble == []
    assert all(url.startswith((service.address, "data:")) for url in seen.requests)
    seen.picture("light")


def test_numbers_in_the_document_are_those_of_the_json(visit: Any) -> None:
    seen = visit()
    answer = seen.page.evaluate("fetch('/web/overview.json').then(answer => answer.json())")
    numbers = seen.page.eval_on_selector_all(
        "data[data-path]", "all => all.map(one => [one.dataset.path, Number(one.value)])"
    )
    assert len(numbers) > 60
    for path, value in numbers:  # sums of the stream are added in another order
        assert value == pytest.approx(at_path(answer, path), rel=1e-12), path


def test_pointing_at_a_bar_tells_its_parts(visit: Any) -> None:
    seen = visit()
    seen.charts_are_drawn()
    seen.page.hover("#hours-chart", position={"x": 250, "y": 200})
    tip = seen.page.wait_for_selector(".tip").inner_text()
    assert "search/embed-api · measured" in tip
    assert "kWh" in tip
    assert seen.trouble == []
    seen.picture("tip")


def test_dark_follows_the_system_and_changes_at_once(visit: Any) -> None:
    seen = visit(color_scheme="dark")
    seen.charts_are_drawn()
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = seen.page.evaluate(ground)
    seen.picture("dark")
    seen.page.emulate_media(color_scheme="light")
    assert seen.page.evaluate(ground) != dark
    assert seen.trouble == []


def test_on_a_phone_nothing_runs_off_the_side(visit: Any) -> None:
    seen = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    seen.charts_are_drawn()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert min(bars_and_lines(seen)) > 4
    seen.picture("phone")


def test_the_keyboard_reaches_tables_and_the_way_out(visit: Any) -> None:
    seen = visit()
    reached = []
    for _ in range(60):
        seen.page.keyboard.press("Tab")
        reached.append(seen.page.evaluate("document.activeElement.innerText?.slice(0, 24)"))
    assert reached[0] == "Skip to the figures"
    assert {"Sign out", "Table", "JSON"} <= set(reached)


def test_the_table_twin_opens_and_stays_open_through_an_update(
    visit: Any, service: Service
) -> None:
    seen = visit()
    seen.page.click("#hours-twin summary")
    clock = service.context.clock
    assert isinstance(clock, FakeClock)
    clock.advance(60)
    try:
        seen.comes_back_to_front()
        seen.page.wait_for_selector("text=As of 14:23")
    finally:
        clock.advance(-60)
    assert seen.page.evaluate("document.querySelector('#hours-twin').open")
    assert seen.trouble == []


def test_without_scripts_the_tables_are_still_there(visit: Any) -> None:
    seen = visit(java_script_enabled=False)
    assert "needs JavaScript" in seen.page.inner_text("main")
    seen.page.click("#hours-twin summary")
    assert seen.page.is_visible("#hours-twin table")


def test_a_newcomers_page_is_whole(visit: Any, tmp_path: Path) -> None:
    newcomer = serve(generated_day.empty_context(tmp_path, zone=None))
    seen = visit(newcomer)
    seen.charts_are_drawn()
    assert seen.page.is_hidden("#hours-chart")
    assert seen.trouble == []
    seen.picture("newcomer")
    newcomer.stop()


def test_signing_out_elsewhere_leads_an_open_page_to_sign_in_and_back(
    visit: Any, service: Service
) -> None:
    seen = visit()
    seen.page.goto(f"{service.address}/?zone=FR")
    seen.page.context.clear_cookies()
    seen.comes_back_to_front()
    seen.page.wait_for_url(f"{service.address}/sign-in?next=*")
    seen.page.fill("#key", generated_day.admin_key(service.context))
    seen.page.click("button[type=submit]")
    seen.page.wait_for_url(f"{service.address}/?zone=FR")


def test_a_page_left_open_does_not_keep_the_service_from_stopping_and_says_it_is_stale(
    visit: Any, tmp_path: Path
) -> None:
    short_lived = serve(generated_day.empty_context(tmp_path))
    seen = visit(short_lived)
    seen.charts_are_drawn()
    short_lived.stop()
    assert not short_lived.thread.is_alive()
    seen.comes_back_to_front()
    seen.page.wait_for_selector("#stale:not([hidden])")
