"""`carbon wait`: the clean window, never too late, never for what tells no hour from another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from command_line import Ended
from hypothesis import given
from hypothesis import strategies as st

import carbon as product
from carbon.client import waiting as verb
from carbon.client.waiting import Window, cleanest
from carbon.clock import to_rfc3339
from carbon.errors import CarbonError, InvalidInput

Carbon = Callable[..., Ended]
HOUR = 3_600_000
NOW = 1_790_000_000_000 - 1_790_000_000_000 % HOUR


def points(values: list[float], kind: str = "forecast") -> list[dict[str, Any]]:
    return [
        {
            "start": to_rfc3339(NOW + at * HOUR),
            "end": to_rfc3339(NOW + (at + 1) * HOUR),
            "g_per_kwh": value,
            "kind": kind,
        }
        for at, value in enumerate(values)
    ]


def test_it_goes_when_the_cleanest_hours_begin() -> None:
    found = cleanest(points([300, 200, 100, 120, 400, 50]), NOW, 2 * HOUR, NOW + 5 * HOUR)
    assert (found.start_ms, found.reason) == (NOW + 2 * HOUR, "clean_window")
    assert (found.g_per_kwh, found.now_g_per_kwh) == (110, 250)


def test_a_yearly_figure_never_makes_it_wait() -> None:
    found = cleanest(points([300, 100, 300], "yearly"), NOW, HOUR, NOW + 3 * HOUR)
    assert (found.start_ms, found.reason) == (NOW, "no_forecast")


def test_typical_hours_of_a_zone_that_nobody_measures_never_make_it_wait() -> None:
    told = [{**point, "flags": ["typical_shape", "zone_unmeasured"]} for point in points([9, 1])]
    assert cleanest(told, NOW, HOUR, NOW + 2 * HOUR).reason == "no_forecast"
    told = [{**point, "flags": ["typical_shape"]} for point in points([9, 1])]
    assert cleanest(told, NOW, HOUR, NOW + 2 * HOUR).reason == "clean_window"


def test_of_equals_the_earliest_is_taken() -> None:
    found = cleanest(points([100] * 6), NOW, HOUR, NOW + 6 * HOUR)
    assert (found.start_ms, found.reason) == (NOW, "now_is_cleanest")


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 9))
def test_it_always_ends_by_the_deadline_and_is_never_dirtier_than_at_once(
    values: list[int], length_h: int, slack_h: int
) -> None:
    deadline = NOW + (length_h + slack_h) * HOUR
    found = cleanest(points([float(v) for v in values]), NOW, length_h * HOUR, deadline)
    assert NOW <= found.start_ms <= deadline - length_h * HOUR
    if found.g_per_kwh is not None and found.now_g_per_kwh is not None:
        assert found.g_per_kwh <= found.now_g_per_kwh


def test_without_a_server_it_goes_at_once(carbon: Carbon) -> None:
    told = carbon("wait", "--deadline", "6h", "--length", "1h", "--json").json
    assert told["reason"] == "no_server"
    assert told["waited_s"] < 5


def waited(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch, values: list[float], deadline_h: int
) -> Any:
    clock_of(monkeypatch, values)
    return carbon("wait", "--deadline", f"{deadline_h}h", "--length", "1h", "--json").json


def clock_of(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> list[int]:
    """A clock that always wakes 5 ms late, as real ones do; the forecast is `values`."""
    at = [NOW]

    def sleep(seconds: float) -> None:
        at[0] += round(seconds * 1000) + 5

    def foreseen(zone: str | None, length_ms: int, deadline_ms: int) -> Any:
        return cleanest(points(values), at[0], length_ms, deadline_ms)

    monkeypatch.setattr(verb, "_now_ms", lambda: at[0])
    monkeypatch.setattr(verb.time, "sleep", sleep)
    monkeypatch.setattr(verb, "_foreseen", foreseen)
    return at


def test_a_deferrable_function_runs_in_the_clean_window(monkeypatch: pytest.MonkeyPatch) -> None:
    at = clock_of(monkeypatch, [500, 400, 100, 400])

    @product.deferrable(deadline="4h", length="1h")
    def when(add: int, *, also: int) -> int:
        """Tells when it ran."""
        return at[0] + add + also

    assert when(1, also=2) == pytest.approx(NOW + 2 * HOUR + 3, abs=60_000)
    assert (when.__name__, when.__doc__) == ("when", "Tells when it ran.")


def test_a_deferrable_function_that_cannot_be_done_in_time_says_so_when_it_is_called() -> None:
    never = product.deferrable(deadline="1h", length="2h")(lambda: None)
    with pytest.raises(InvalidInput, match="does not fit"):
        never()


def test_a_window_that_has_opened_is_taken_though_another_is_as_clean(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = waited(carbon, monkeypatch, [500, 100, 400, 400, 100, 400, 400, 400], 8)
    assert told["reason"] == "clean_window"
    assert told["waited_s"] == pytest.approx(3600, abs=0.1)


def test_at_the_latest_start_it_knows_what_it_waited_for(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = waited(carbon, monkeypatch, [500, 400, 100], 3)
    assert (told["reason"], told["g_per_kwh"]) == ("clean_window", 100)
    assert told["waited_s"] == pytest.approx(7200, abs=0.1)


def test_it_says_what_it_waits_for(carbon: Carbon, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_of(monkeypatch, [500, 400, 100])
    ended = carbon("wait", "--deadline", "4h", "--length", "1h", "--json")
    start, latest = to_rfc3339(NOW + 2 * HOUR), to_rfc3339(NOW + 3 * HOUR)
    assert ended.err == f"waits until {start} (100 gCO2e/kWh, 500 now), until {latest} at most\n"
    assert ended.json["latest_start"] == latest


@pytest.mark.parametrize("trouble", [Window(NOW, "no_server"), InvalidInput("zone", "no zone")])
def test_what_was_planned_stands_where_the_server_goes_away(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch, trouble: Window | CarbonError
) -> None:
    at = clock_of(monkeypatch, [500, 400, 100])
    foreseen = verb._foreseen

    def away(zone: str | None, length_ms: int, deadline_ms: int) -> Window:
        if at[0] == NOW:
            return foreseen(zone, length_ms, deadline_ms)
        if isinstance(trouble, CarbonError):
            raise trouble
        return trouble

    monkeypatch.setattr(verb, "_foreseen", away)
    told = carbon("wait", "--deadline", "4h", "--length", "1h", "--json").json
    assert (told["reason"], told["g_per_kwh"]) == ("clean_window", 100)
    assert told["waited_s"] == pytest.approx(7200, abs=0.1)


@pytest.mark.parametrize(
    "arguments",
    [("--deadline", "1h", "--length", "2h"), ("--deadline", "soon", "--length", "1h")],
)
def test_what_cannot_be_meant_is_a_usage_error(carbon: Carbon, arguments: tuple[str, ...]) -> None:
    carbon("wait", *arguments).misused()
