"""Files of the pages: complete, unchanged, cached for ever, small enough, and all words there."""

from __future__ import annotations

import gzip
import hashlib
import re
import tomllib

import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient

from carbon.bundled import bundled
from carbon.domain.energy import Method
from carbon.domain.intensity import PointKind
from carbon.domain.jobs import JobState, PlacementReason
from carbon.services.context import Context
from carbon.web.assets import assets
from carbon.web.catalogue import catalogue

WEB = bundled("dashboards") / "web"


@pytest.fixture
def stranger(first_start: Context) -> TestClient:
    return browser(first_start)


def test_files_are_named_by_content_and_cached_for_ever(stranger: TestClient) -> None:
    answer = stranger.get(assets().url("styles/page.css"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == (WEB / "styles" / "page.css").read_bytes()


def test_a_client_without_gzip_gets_the_plain_file(stranger: TestClient) -> None:
    url = assets().url("scripts/charts.js")
    answer = stranger.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == (WEB / "scripts" / "charts.js").read_bytes()


@pytest.mark.parametrize(
    "path", ["../strings/en.json", "%2e%2e/templates/base.html", "vendor/VENDORED.toml", "none.js"]
)
def test_nothing_else_of_the_disk_is_served(stranger: TestClient, path: str) -> None:
    assert stranger.get(f"/static/{assets().version}/{path}").status_code == 404


def test_an_old_name_does_not_get_new_content(stranger: TestClient) -> None:
    assert stranger.get("/static/0000000000000000/styles/page.css").status_code == 404


def test_a_first_load_stays_under_400_kb(stranger: TestClient) -> None:
    sent = sum(len(asset.compressed) for asset in assets().by_path.values())
    page = len(gzip.compress(stranger.get("/sign-in").content))
    assert sent + page < 400_000


def test_vendored_files_are_unchanged_and_carry_their_licence() -> None:
    vendor = WEB / "vendor"
    for package in tomllib.loads((vendor / "VENDORED.toml").read_text())["package"]:
        for name, digest in package["sha256"].items():
            assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
        assert (vendor / package["name"] / "LICENSE").is_file()
        listed = {vendor / name for name in package["sha256"]}
        on_disk = {p for p in (vendor / package["name"]).rglob("*") if p.is_file()}
        assert on_disk == listed


def said_in(text: str) -> set[str]:
    return set(re.findall(r"""\bsay\(\s*["']([a-z_.]+)["']""", text))


def test_every_word_of_the_templates_is_in_the_catalogue() -> None:
    for path in (WEB / "templates").glob("*.html"):
        for key in said_in(path.read_text("utf-8")):
            # A key that ends in a dot is filled up by the template.
            known = [k for k in catalogue() if k == key or (key[-1] == "." and k.startswith(key))]
            assert known, f"{path.name}: {key}"


def test_no_text_stands_in_a_template_itself() -> None:
    for path in (WEB / "templates").glob("*.html"):
        text = re.sub(r"\{[%#].*?[%#]\}|\{\{.*?\}\}|<code>.*?</code>|<[^>]*>", "", path.read_text())
        assert not re.search(r"[A-Za-z]{2,}", text), path.name


@pytest.mark.parametrize(
    ("group", "codes"),
    [
        ("job_state", JobState),
        ("job_reason", PlacementReason),
        ("kind", PointKind),
        ("chart", PointKind),
        ("method", [method.label for method in Method]),
    ],
)
def test_every_code_of_the_domain_has_words(group: str, codes: list[str]) -> None:
    assert {f"{group}.{code}" for code in codes} <= set(catalogue())


def test_the_strings_of_the_scripts_are_in_the_catalogue() -> None:
    for script in (WEB / "scripts").glob("*.js"):
        for key in re.findall(r"\bstrings\.([a-z]+)", script.read_text()):
            assert f"chart.{key}" in catalogue(), script.name
