"""GET /v1/zones/at: a place's zone by a source that knows, and never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from grid_double import Failure, GridDouble
from grid_double.electricity_maps_shape import KEY
from grid_double.watttime_shape import PASSWORD, USER
from pydantic import SecretStr
from service import NOON_MS, Service, refused
from sqlalchemy import Engine

from carbon.clock import FakeClock
from carbon.services.context import Context
from carbon.settings import Settings

BERLIN = {"latitude": 52.52, "longitude": 13.405}
PARIS = {"latitude": 48.86, "longitude": 2.35}
SACRAMENTO = {"latitude": 38.58, "longitude": -121.49}
WASHINGTON = {"latitude": 38.9, "longitude": -77.0}
Make = Callable[..., TestClient]


@pytest.fixture
def double() -> Iterator[GridDouble]:
    with GridDouble(NOON_MS) as running:
        yield running


@pytest.fixture
def make(memory: Engine, double: GridDouble, tmp_path: Path) -> Iterator[Make]:
    """A service with such settings, asked by its administrator."""
    running = []

    def made(**settings: Any) -> TestClient:
        urls = {"electricitymaps_url": double.url, "watttime_url": double.url}
        context = Context(
            memory, Settings(data_dir=tmp_path, **urls, **settings), FakeClock(NOON_MS)
        )
        opened = Service.of(context)
        running.append(opened)
        return opened.__enter__().admin

    yield made
    for opened in running:
        opened.__exit__(None, None, None)


def test_a_key_of_electricity_maps_places_the_world(make: Make, double: GridDouble) -> None:
    admin = make(electricitymaps_key=SecretStr(KEY), electricitymaps_zones="DE")
    for place, zone in ((BERLIN, "DE"), (PARIS, "FR"), (BERLIN, "DE")):
        told = admin.get("/v1/zones/at", params=place)
        assert told.json() == {"zone": zone, "source": "electricity_maps"}
    assert len(double.requests) == 2  # the same place is asked for once


def test_watttime_places_the_zones_that_have_a_region(make: Make) -> None:
    admin = make(
        watttime_user=USER,
        watttime_password=SecretStr(PASSWORD),
        watttime_regions="US-CAL-CISO=CAISO_NORTH",
    )
    told = admin.get("/v1/zones/at", params=SACRAMENTO).json()
    assert told == {"zone": "US-CAL-CISO", "source": "watttime"}
    refused(admin.get("/v1/zones/at", params=WASHINGTON), 404, "place_unknown")


def test_without_a_source_that_knows_nothing_is_guessed(make: Make, double: GridDouble) -> None:
    refused(make().get("/v1/zones/at", params=BERLIN), 404, "place_unknown")
    assert double.requests == []


def test_a_source_that_is_away_is_not_nowhere(make: Make, double: GridDouble) -> None:
    admin = make(electricitymaps_key=SecretStr(KEY), electricitymaps_zones="DE")
    double.failure = Failure.SERVER_ERROR
    refused(admin.get("/v1/zones/at", params=BERLIN), 503, "feed_unreachable")
    double.failure = None
    assert admin.get("/v1/zones/at", params=BERLIN).json()["zone"] == "DE"


def test_no_network_means_that_nobody_is_asked(make: Make, double: GridDouble) -> None:
    admin = make(electricitymaps_key=SecretStr(KEY), electricitymaps_zones="DE", feeds=False)
    refused(admin.get("/v1/zones/at", params=BERLIN), 404, "place_unknown")
    assert double.requests == []


@pytest.mark.parametrize(
    "place",
    [
        {"latitude": 91, "longitude": 0},
        {"latitude": 0, "longitude": -181},
        {"latitude": "nan", "longitude": 0},
        {"latitude": "north", "longitude": 0},
        {"latitude": 52.52},
        {},
    ],
)
def test_a_place_that_is_none_is_refused(admin: TestClient, place: dict[str, Any]) -> None:
    refused(admin.get("/v1/zones/at", params=place), 422, "invalid_parameter")


def test_nobody_without_a_key_is_told(service: Service) -> None:
    refused(service.stranger.get("/v1/zones/at", params=BERLIN), 401, "key_missing")
