"""`carbon factors estimate`, without a server: the worked figures of their sources."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from command_line import Ended

Carbon = Callable[..., Ended]


@pytest.mark.parametrize(
    ("arguments", "kg"),
    [
        (("cpu", "--cores", "12"), 14.9318),
        (("dram", "--gb", "32", "--modules", "12"), 534.5953072625698),
        (("ssd", "--gb", "400"), 23.731304347826086),
        (("gpu", "--die-mm2", "814", "--vram-gb", "80", "--vram-dies", "6"), 575.0875462950546),
        (("server", "--vcpus", "4", "--memory-gb", "16"), 1300.0),
    ],
)
def test_a_footprint_is_that_of_its_source(
    carbon: Carbon, arguments: tuple[str, ...], kg: float
) -> None:
    told = carbon("factors", "estimate", *arguments, "--json").json
    assert told["embodied_kg"] == pytest.approx(kg, rel=1e-9)
    assert (told["tier"], bool(told["source"])) == ("parametric", True)
    assert "parametric" in carbon("factors", "estimate", *arguments).out


def test_energy_from_power_and_load(carbon: Carbon) -> None:
    chip = ("--tdp-w", "100", "--seconds", "360", "--share", "0.25")
    told = carbon("factors", "estimate", "cpu-energy", *chip, "--load", "50", "--json").json
    assert (told["energy_kwh"], told["method"]) == (pytest.approx(0.001875), "modelled")
    carbon("factors", "estimate", "cpu-energy", *chip, "--load", "101").misused()


def test_a_request_to_a_hosted_model(carbon: Carbon) -> None:
    model = ("--active", "12.9", "--total", "46.7", "--output-tokens", "200", "--pue", "1.26")
    told = carbon("factors", "estimate", "llm-request", *model, "--json").json
    assert told["energy_kwh"] == pytest.approx(1.26 * told["it_kwh"])
    assert told["embodied_g"] > 0
    carbon("factors", "estimate", "llm-request", *model, "--pue", "0.9").misused()
