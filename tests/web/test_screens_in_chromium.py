"""Every screen in a real browser: quiet, drawn, in step with its JSON, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generated_day
import pytest
from browsing import ARTEFACTS, CHROMIUM, Service, Visit, serve
from rendered import at_path

from carbon.web.live import LiveFleet
from carbon.web.screens import SCREENS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine's PATH"),
]

RESNET = f"{generated_day.RESNET}"
PATHS = [screen.path for screen in SCREENS if screen.path != "/"] + [
    f"/workloads/{RESNET}?last=today",
    f"/compare?a={RESNET}&b={generated_day.SERVE}&last=today",
]
CHARTS = {
    "/breakdown": "#breakdown-chart",
    "/plan": "#plan-chart",
    f"/workloads/{RESNET}?last=today": "#workload-chart",
}
SERIOUS = """
() => {
  const faults = [];
  for (const control of document.querySelectorAll('input:not([type=hidden]),select,button'))
    if (!(control.labels?.length || control.textContent.trim() || control.ariaLabel))
      faults.push('no label: ' + control.outerHTML);
  for (const image of document.querySelectorAll('img:not([alt])')) faults.push(image.outerHTML);
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  if (new Set(ids).size !== ids.length) faults.push('an id stands twice: ' + ids);
  for (const one of document.querySelectorAll('[aria-labelledby]'))
    if (!document.getElementById(one.getAttribute('aria-labelledby'))) faults.push(one.outerHTML);
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  return faults;
}
"""


@pytest.fixture(scope="module")
def walker(chromium: Any, service: Service) -> Iterator[Visit]:
    """One browser that signs in once and goes from screen to screen."""
    with chromium.new_context(viewport={"width": 1360, "height": 900}) as context:
        seen = Visit(context.new_page())
        seen.watch()
        seen.sign_in(service)
        yield seen


def name_of(path: str) -> str:
    return path.partition("?")[0].strip("/").replace("/", "-")


@pytest.mark.parametrize("path", PATHS)
def test_a_screen_is_quiet_and_its_numbers_are_those_of_its_json(
    walker: Visit, service: Service, path: str
) -> None:
    walker.forget()
    walker.page.goto(service.address + path)
    if chart := CHARTS.get(path):
        walker.page.wait_for_selector(f"{chart} svg path", state="attached")
    numbers = walker.page.eval_on_selector_all(
        "data[data-path]", "all => all.map(one => [one.dataset.path, Number(one.value)])"
    )
    link = walker.page.get_attribute("a.data-link:text-is('JSON')", "href")
    answer = walker.page.evaluate("link => fetch(link).then(answer => answer.json())", link)
    near = 1e-3 if path == "/fleet" else 0.0  # the stream tells tenths of a watt
    for where, value in numbers:
        assert value == pytest.approx(at_path(answer, where), rel=near, abs=0.0), where
    assert walker.page.evaluate(SERIOUS) == []
    assert walker.trouble == []
    assert all(url.startswith((service.address, "data:")) for url in walker.requests)


def test_the_fleet_moves_by_itself_and_as_the_page_would_write_it(
    visit: Any, tmp_path: Path
) -> None:
    """What the script writes is what the service writes on the next load."""
    house = generated_day.empty_context(tmp_path)
    generated_day.fill_last_minutes(house, 5)
    running = serve(house)
    running.server.config.app.state.live = LiveFleet(look_s=0.05)
    seen = visit(running)
    seen.page.goto(f"{running.address}/fleet")
    seen.page.wait_for_selector('.live[data-state="on"]')
    generated_day.draws_on(house, "GPU-0a52", 1234.5)
    row = 'tr[data-device="GPU-0a52"] .device-power'
    seen.page.wait_for_selector(f"{row}:has-text('1.23')")
    told = [seen.page.inner_text(where) for where in (row, "#strongest", ".tiles")]
    seen.page.reload()
    seen.page.wait_for_selector(row)
    assert [seen.page.inner_text(where) for where in (row, "#strongest", ".tiles")] == told
    assert seen.trouble == []
    running.stop()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_screen(chromium: Any, service: Service, scheme: str) -> None:
    """Of any weight but what is a matter of taste; pictures are left to be looked at."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="no axe-playwright-python")
    with chromium.new_context(
        color_scheme=scheme, viewport={"width": 1360, "height": 900}
    ) as context:
        seen = Visit(context.new_page())
        seen.sign_in(service)
        faults = []
        for path in ["/", *PATHS, "/jobs/j1", "/sign-out"]:
            seen.page.goto(service.address + path)
            if chart := CHARTS.get(path):
                seen.page.wait_for_selector(f"{chart} svg path", state="attached")
            seen.page.evaluate(axe.AXE_SCRIPT)
            found = seen.page.evaluate("axe.run()")["violations"]
            faults += [(path, one["impact"], one["id"], one["nodes"][0]["html"]) for one in found]
            seen.picture(scheme, name_of(path) or "overview")
        assert faults == []


@pytest.mark.slow
def test_every_screen_is_printed_and_fits_a_phone(chromium: Any, service: Service) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
    with chromium.new_context(**phone) as context:
        seen = Visit(context.new_page())
        seen.sign_in(service)
        too_wide = []
        for path in ["/", *PATHS]:
            seen.page.goto(service.address + path)
            if seen.page.evaluate("document.documentElement.scrollWidth") > 390:
                too_wide.append(path)
            seen.picture("phone", name_of(path) or "overview")
            ARTEFACTS.mkdir(exist_ok=True)
            seen.page.pdf(path=ARTEFACTS / f"{name_of(path) or 'overview'}.pdf", format="A4")
        assert too_wide == []


@pytest.mark.parametrize("path", ["/breakdown", f"/workloads/{RESNET}"])
def test_on_a_phone_nothing_runs_off_the_side(visit: Any, service: Service, path: str) -> None:
    seen = visit(viewport={"width": 390, "height": 844}, color_scheme="dark", is_mobile=True)
    seen.page.goto(service.address + path)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    seen.picture("phone-dark", name_of(path))


def test_a_team_is_drilled_into_and_back(visit: Any, service: Service) -> None:
    seen = visit()
    seen.page.goto(f"{service.address}/breakdown?by=team&last=today")
    seen.page.click(".wide tbody th a:text-is('search')")
    assert "team=search" in seen.page.url
    assert "last=today" in seen.page.url
    assert seen.page.locator(".wide tbody tr").count() == 1
    seen.page.click(".wide tbody th a")
    seen.page.wait_for_url("**/workloads/search/*")
    assert seen.page.inner_text("h1") == str(generated_day.SERVE)


def test_a_chart_is_saved_as_a_file(visit: Any, service: Service) -> None:
    seen = visit()
    seen.page.goto(f"{service.address}/breakdown?last=today")
    seen.page.wait_for_selector("#breakdown-chart svg path", state="attached")
    for kind, magic in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with seen.page.expect_download() as saved:
            seen.page.click(f"[data-save={kind}]")
        assert saved.value.suggested_filename == f"breakdown-chart.{kind}"
        assert saved.value.path().read_bytes().startswith(magic)
    assert seen.trouble == []


def test_without_scripts_a_screen_has_its_tables(visit: Any, service: Service) -> None:
    seen = visit(java_script_enabled=False)
    seen.page.goto(f"{service.address}/breakdown?last=today")
    assert seen.page.locator("tbody tr").count() > 3


def test_a_session_that_ended_leads_back_to_the_same_view(visit: Any, service: Service) -> None:
    seen = visit()
    view = f"{service.address}/breakdown?by=zone&last=30d"
    seen.page.context.clear_cookies()
    seen.page.goto(view)
    seen.page.fill("#key", generated_day.admin_key(service.context))
    seen.page.click("button[type=submit]")
    seen.page.wait_for_url(view)
