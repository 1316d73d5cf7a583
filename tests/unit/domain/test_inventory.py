"""Market-based figures: matched by zone and time, and with no way into an SCI score."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from carbon.domain.energy import Method
from carbon.domain.factor import FactorKind
from carbon.domain.intensity import Signal
from carbon.domain.inventory import Contract, ContractKind, HourOfZone, MarketMass, inventory_of
from carbon.domain.sci import Charge, score
from carbon.errors import InvalidInput

HOUR = 3_600_000
KWH = 3_600_000_000


def hours(*kwh: float, zone: str = "DE", g_per_kwh: float = 400) -> list[HourOfZone]:
    return [
        HourOfZone(zone, n * HOUR, round(k * KWH), round(k * g_per_kwh * 1e9))
        for n, k in enumerate(kwh)
    ]


def contract(kwh: float, first: int = 0, last: int = 4, **others: Any) -> Contract:
    told = {"kind": ContractKind.PPA, "zone": "DE", "g_per_kwh": 0.0, "is_carbon_free": True}
    told |= {"id": "c", "source": "registry", **others}
    return Contract(start_ms=first * HOUR, end_ms=last * HOUR, energy_mj=round(kwh * KWH), **told)


def test_without_contracts_market_is_location_and_says_so() -> None:
    [zone] = inventory_of(hours(1, 2, 3, 4), [])
    assert zone.location_g == zone.market.grams == pytest.approx(4_000)
    assert zone.market.grid_share == 1
    assert zone.cfe_score == 0


def test_a_contract_covers_its_zone_and_time_alone() -> None:
    other_zone, other_time = contract(5, zone="GB"), contract(5, 8, 9)
    [zone] = inventory_of(hours(1, 1, 1, 1), [other_zone, other_time])
    assert zone.market.contracted_share == 0
    [half] = inventory_of(hours(1, 1, 1, 1), [contract(9, 0, 2)])
    assert half.market.contracted_share == pytest.approx(0.5)
    assert half.market.grams == pytest.approx(800)


def test_uncovered_energy_takes_the_residual_mix() -> None:
    mix = contract(0, kind=ContractKind.RESIDUAL, g_per_kwh=700, is_carbon_free=False)
    [zone] = inventory_of(hours(1, 1, 1, 1), [contract(1), mix])
    assert zone.market.grams == pytest.approx(3 * 700)
    assert zone.location_g == pytest.approx(1_600)
    assert (zone.market.contracted_share, zone.market.residual_share) == pytest.approx((0.25, 0.75))


def test_the_hourly_score_caps_excess_hour_by_hour() -> None:
    """4 kWh bought for 4 hours; three are used in one hour: a year's score would say 100 %."""
    [zone] = inventory_of(hours(0.5, 3, 0.25, 0.25), [contract(4)])
    assert zone.market.contracted_share == pytest.approx(1)
    assert zone.cfe_score == pytest.approx((0.5 + 1 + 0.25 + 0.25) / 4)


def test_of_what_no_contract_met_the_grids_carbon_free_share_counts() -> None:
    [zone] = inventory_of(hours(0.5, 3, 0.25, 0.25), [contract(4)], {"DE": 0.5, "FR": 0.9})
    assert zone.cfe_score == pytest.approx((2 + (4 - 2) * 0.5) / 4)
    [other] = inventory_of(hours(1, 1, zone="GB"), [], {"DE": 0.5})
    assert other.cfe_score == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"first": 4, "last": 4}, "end_before_start"),
        ({"g_per_kwh": -1.0}, "out_of_range"),
        ({"g_per_kwh": 20.0}, "not_carbon_free"),
        ({"kwh": -1.0}, "negative_value"),
        ({"kwh": 0.0}, "contract_energy"),
        ({"kind": ContractKind.RESIDUAL}, "contract_energy"),
    ],
)
def test_what_cannot_be_a_contract_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        contract(**{"kwh": 1.0, **change})
    assert refused.value.code == code


def test_a_market_mass_cannot_be_scored() -> None:
    with pytest.raises(TypeError, match="location-based"):
        score([MarketMass(1.0, 1, 0, 0)], [], 1)  # type: ignore[list-item]


def test_nothing_that_a_charge_is_made_of_knows_a_market() -> None:
    told = get_type_hints(Charge)
    assert "market" not in " ".join([*told, *Signal, *FactorKind]).lower()
    assert MarketMass not in told.values()
    assert {"energy_mj", "operational_ng"} <= told.keys()
    assert Method.COUNTER.is_measured


@pytest.mark.slow
def test_the_type_checker_refuses_a_market_mass_as_a_charge(tmp_path: Path) -> None:
    program = tmp_path / "mixed.py"
    program.write_text(
        "from carbon.domain.inventory import MarketMass\n"
        "from carbon.domain.sci import score\n"
        "score([MarketMass(1.0, 1.0, 0.0, 0.0)], [], 1)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'has incompatible type "MarketMass"; expected "Charge"' in done.stdout
