"""Names, constants and evidence read as people write them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carbon.domain.recommendations as findings
from carbon.bundled import bundled
from carbon.domain.energy import Method
from carbon.web.catalogue import catalogue
from carbon.web.overview_page import notices
from carbon.web.wording import (
    evidence_words,
    measured_share,
    plain,
    sentence,
    short_model,
    skew,
    sourced,
    weekday,
)


@pytest.mark.parametrize(
    ("given_", "told"),
    [("operational", "Operational"), ("SCI per unit", "SCI per unit"), ("", "")],
)
def test_a_heading_begins_with_a_capital_and_keeps_the_rest(given_: str, told: str) -> None:
    assert sentence(given_) == told


def test_a_model_is_named_without_its_maker() -> None:
    assert short_model("NVIDIA H100 80GB HBM3") == "H100 80GB HBM3"
    assert short_model("AMD EPYC 9354") == "AMD EPYC 9354"
    assert short_model(None) == ""


def test_a_whole_constant_has_no_decimals() -> None:
    assert (plain(4.0), plain(0.0123), plain(180.6)) == ("4", "0.0123", "181")


def test_a_clock_that_agrees_is_neither_ahead_nor_behind() -> None:
    assert {skew(0.0), skew(-0.04), skew(0.049)} == {"0\N{NO-BREAK SPACE}s"}
    assert skew(-2.34) == "\N{MINUS SIGN}2.3\N{NO-BREAK SPACE}s"
    assert skew(61) == "+61.0\N{NO-BREAK SPACE}s"


def test_a_source_is_a_link_with_a_short_name_and_other_text_is_text() -> None:
    told = str(sourced("https://arxiv.org/abs/2509.1, doubled by <b>"))
    assert 'href="https://arxiv.org/abs/2509.1"' in told
    assert ">arxiv.org/…/2509.1</a>, doubled by &lt;b&gt;" in told


@given(st.text(max_size=60))
def test_no_source_can_bring_markup_of_its_own(text: str) -> None:
    left = str(sourced(f'{text}"><script>')).replace("</a>", "")
    assert "<script" not in left
    assert left.count("<") == left.count('<a href="')


@given(st.dictionaries(st.sampled_from([m.label for m in Method]), st.floats(0, 1), max_size=4))
def test_the_measured_share_leaves_out_what_no_sensor_backs(methods: dict[str, float]) -> None:
    unmeasured = ("modelled", "estimated", "imported")
    only = {name: share for name, share in methods.items() if name not in unmeasured}
    assert measured_share(methods) == pytest.approx(min(1.0, sum(only.values())))


def test_evidence_is_told_with_its_units_and_what_is_new_by_its_name() -> None:
    told = evidence_words({"places": 4, "idle_hours": 650.2, "busy_share": 0.18, "new_one": "x"})
    assert told == "on 4 devices, 650 idle device-hours, busy 18 % of the time, new one x"


def test_every_evidence_that_a_finding_names_has_words() -> None:
    text = Path(findings.__file__).read_text("utf-8")
    for name in ("places", "parked_w", "idle_floor_w", "highest_w", "cleaner_zone", "runs"):
        assert f'"{name}"' in text
        assert f"evidence.{name}" in catalogue()


def test_days_are_named_where_people_are() -> None:
    sunday_2330_utc = 1_772_407_800_000
    assert weekday(sunday_2330_utc, "UTC") == "Sun"
    assert weekday(sunday_2330_utc, "Europe/Berlin") == "Mon"


def test_a_forecast_of_our_own_is_told_once_and_in_words() -> None:
    intensity = SimpleNamespace(zone="DE", source="own", flags=["own_forecast", "learned"])
    [told] = notices(SimpleNamespace(intensity=intensity))  # type: ignore[arg-type]
    assert "our own forecast" in told
    assert "DE" in told


def test_script_and_page_shorten_a_model_alike() -> None:
    """Else a live row would change its name at the first reading."""
    script = (bundled("dashboards") / "web" / "scripts" / "fleet.js").read_text("utf-8")
    [maker] = re.findall(r"model\.replace\(/\^(\w+ )/", script)
    assert short_model(f"{maker}L4") == "L4"
