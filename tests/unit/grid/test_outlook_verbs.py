"""The best window, the chart and the operator's ConfigMap, from the points of an answer."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.cli.intensity_outlook import chart, cleanest, config_map
from carbon.errors import InvalidInput, NotFound

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def points(*values: float, kind: str = "forecast", minutes: int = 60) -> list[dict[str, Any]]:
    def at(index: int) -> str:
        return (NOON + index * timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")

    return [
        {
            "start": at(i),
            "end": at(i + 1),
            "g_per_kwh": value,
            "kind": kind,
            "source": "a",
            "vintage": None,
        }
        for i, value in enumerate(values)
    ]


LEVELS = st.lists(st.floats(1, 1000), min_size=3, max_size=20)


@given(LEVELS, st.integers(1, 170))
def test_no_start_on_the_minute_is_cleaner(values: list[float], minutes: int) -> None:
    best = cleanest(points(*values), minutes)
    per_minute = [v for v in values for _ in range(60)]
    last = len(per_minute) - minutes
    lowest = min(sum(per_minute[at : at + minutes]) / minutes for at in range(last + 1))
    assert best["g_per_kwh"] == pytest.approx(lowest)
    assert best["now_g_per_kwh"] == values[0]


def test_of_equal_windows_the_first() -> None:
    assert cleanest(points(50, 50, 50), 60)["start"] == "2026-03-02T12:00:00Z"


def test_yearly_figures_are_no_forecast() -> None:
    with pytest.raises(NotFound, match="nothing is foretold"):
        cleanest(points(50, 60, kind="yearly"), 60)


def test_a_window_longer_than_the_forecast_is_told() -> None:
    with pytest.raises(InvalidInput):
        cleanest(points(50, 60), 121)


@given(LEVELS)
def test_a_chart_is_one_line_with_its_bounds(values: list[float]) -> None:
    drawn = chart(values)
    assert "\n" not in drawn
    assert drawn.endswith("g/kWh")
    assert drawn[values.index(max(values))] == "█"


def test_the_operator_s_names_are_met() -> None:
    made = config_map("DE", points(300, 200), "2026-03-02T12:00:00Z", "carbon-intensity", "ns")
    assert made["metadata"] == {"name": "carbon-intensity", "namespace": "ns"}
    assert set(made["data"]) == {
        "lastHeartbeatTime",
        "message",
        "numOfRecords",
        "forecastDateTime",
        "minForcast",
        "maxForcast",
    }
    assert all(isinstance(value, str) for value in made["data"].values())
    rows = json.loads(b64decode(made["binaryData"]["data"]))
    assert rows[0] == {
        "location": "DE",
        "timestamp": "2026-03-02T12:00:00Z",
        "duration": 60,
        "value": 300,
    }
    assert (made["data"]["minForcast"], made["data"]["maxForcast"]) == ("200", "300")
