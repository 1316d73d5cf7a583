"""Every screen in a real browser: quiet, drawn, in step with its JSON, on a phone, in the dark."""

from __future__ import annotations

from typing import Any

import generated_day
import pytest
from browsing import CHROMIUM, Service
from rendered import at_path

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


def name_of(path: str) -> str:
    return path.partition("?")[0].strip("/").replace("/", "-")


@pytest.mark.parametrize("path", PATHS)
def test_a_screen_is_quiet_and_its_numbers_are_those_of_its_json(
    visit: Any, service: Service, path: str
) -> None:
    seen = visit()
    seen.page.goto(service.address + path)
    if chart := CHARTS.get(path):
        seen.page.wait_for_selector(f"{chart} svg path", state="attached")
    numbers = seen.page.eval_on_selector_all(
        "data[data-path]", "all => all.map(one => [one.dataset.path, Number(one.value)])"
    )
    link = seen.page.get_attribute("a.data-link:text-is('JSON')", "href")
    answer = seen.page.evaluate("link => fetch(link).then(answer => answer.json())", link)
    assert all(at_path(answer, path) == value for path, value in numbers)
    assert seen.page.evaluate(SERIOUS) == []
    assert seen.trouble == []
    assert all(url.startswith((service.address, "data:")) for url in seen.requests)
    seen.picture("light", name_of(path))


@pytest.mark.parametrize("path", ["/breakdown", "/fleet", "/plan", f"/workloads/{RESNET}"])
def test_on_a_phone_nothing_runs_off_the_side(visit: Any, service: Service, path: str) -> None:
    seen = visit(viewport={"width": 390, "height": 844}, color_scheme="dark", is_mobile=True)
    seen.page.goto(service.address + path)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    seen.picture("phone-dark", name_of(path))


def test_a_team_is_drilled_into_and_back(visit: Any, service: Service) -> None:
    seen = visit()
    seen.page.goto(f"{service.address}/breakdown?by=team&last=today")
    seen.page.click("tbody th a:text-is('search')")
    assert "team=search" in seen.page.url
    assert "last=today" in seen.page.url
    assert seen.page.locator("tbody tr").count() == 1
    seen.page.click("tbody th a")
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
