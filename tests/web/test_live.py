"""The stream behind live pages: what it tells whom, how it ends, and what it costs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import generated_day
import httpx2
import pytest
from browsing import Service, serve

from carbon.auth.keys import key_id_of, revoke_key
from carbon.auth.sessions import SESSION_COOKIE
from carbon.errors import TooBusy
from carbon.services.context import Context
from carbon.services.fleet.fleet_watch import Change, FleetWatch
from carbon.services.fleet.live_power import live_power
from carbon.storage.engine import reading, writing
from carbon.web.live import LiveFleet

GPU = "GPU-0a52"
STREAM = "/web/live.events"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Context]:
    """The generated day's machine as it is at its end, with a clock of its own."""
    context = generated_day.empty_context(tmp_path)
    with writing(context.engine) as connection:
        generated_day.Day(connection).write_last_minutes(5)
    yield context
    context.engine.dispose()


def told(change: Change) -> dict[str, float | None]:
    return {device: power_w for device, power_w, *_ in change.devices}


def test_a_first_look_tells_all_and_the_next_what_changed(house: Context) -> None:
    watch = FleetWatch(house)
    first = watch.look([None])[None]
    assert len(told(first)) == 5
    assert told(watch.look([None])[None]) == {}
    generated_day.draws_on(house, GPU, 700.0)
    later = watch.look([None])[None]
    assert told(later) == {GPU: 700.0}
    assert later.top[0].device == GPU


def test_a_look_sums_to_what_the_page_says(house: Context) -> None:
    watch = FleetWatch(house)
    watch.look([None])
    for watts in (300.0, 10.0, 512.5):
        generated_day.draws_on(house, GPU, watts, 20)
        change = watch.look([None])[None]
        with reading(house.engine) as connection:
            page = live_power(connection, house.clock.now_ms(), None)
        assert change.power_w == pytest.approx(page.power_w)
        assert change.measured_w == pytest.approx(page.measured_w)
        assert (change.heard, change.silent) == (page.heard, page.silent)
        assert [d.device for d in change.top] == [
            d.device for d in page.devices[:10] if d.power_w is not None
        ]


def test_a_device_that_falls_silent_is_told_as_silent_and_not_as_0(house: Context) -> None:
    watch = FleetWatch(house)
    before = watch.look([None])[None]
    for _ in range(7):
        generated_day.draws_on(house, GPU, 500.0, 20)
        watch.look([None])
    generated_day.draws_on(house, GPU, 500.0, 20)
    after = watch.look([None])[None]
    assert before.heard == 4
    assert (after.heard, after.silent) == (1, 4)
    assert "cpu-0" not in [device.device for device in after.top]


def test_a_team_is_told_of_its_own_devices_alone(house: Context) -> None:
    watch = FleetWatch(house)
    changes = watch.look([None, "vision", "search"])
    assert set(told(changes["vision"])) == {GPU}
    assert set(told(changes["search"])) == {"GPU-0a51", "cpu-0", "dram-0"}
    whole = changes[None].power_w
    assert whole is not None
    assert sum(changes[t].power_w or 0.0 for t in ("vision", "search")) < whole
    generated_day.draws_on(house, GPU, 700.0, 20)
    assert told(watch.look(["search"])["search"]) == {}


@contextmanager
def stream_of(service: Service, **sent: Any) -> Iterator[Iterator[tuple[str, Any]]]:
    with (
        httpx2.Client(base_url=service.address, timeout=30.0) as client,
        client.stream("GET", STREAM, **sent) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield events_in(answer.iter_lines())


def events_in(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def bearer(context: Context, make: Callable[[Context], str] = generated_day.admin_key) -> Any:
    return {"headers": {"Authorization": f"Bearer {make(context)}"}}


def power_in(events: Iterator[tuple[str, Any]]) -> Any:
    return next(data for name, data in events if name == "power")


@pytest.fixture
def live(house: Context) -> Iterator[Service]:
    running = serve(house)
    running.server.config.app.state.live = LiveFleet(look_s=0.05)
    yield running
    running.stop()


def test_viewers_are_told_within_a_look_what_a_device_draws(live: Service) -> None:
    with stream_of(live, **bearer(live.context)) as events:
        assert next(events)[0] == "hello"
        assert len(power_in(events)["devices"]) == 5
        generated_day.draws_on(live.context, GPU, 700.0)
        while not (change := power_in(events))["devices"]:
            pass
        assert [line[:2] for line in change["devices"]] == [[GPU, 700.0]]


def test_two_viewers_of_a_team_are_sent_the_same_bytes(live: Service) -> None:
    team = bearer(live.context, lambda context: generated_day.team_key(context, "search"))
    with stream_of(live, **team) as one, stream_of(live, **team) as other:
        first, second = power_in(one), power_in(other)
        assert {line[0] for line in first["devices"]} == {"GPU-0a51", "cpu-0", "dram-0"}
        while second["at_ms"] > first["at_ms"]:
            first = power_in(one)
        assert second.keys() == first.keys()


def test_a_stranger_has_no_stream(live: Service) -> None:
    assert httpx2.get(live.address + STREAM).status_code == 401


def test_a_stream_ends_with_its_session(live: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon.web.live._REFRESH_S", 0.0)
    key = generated_day.admin_key(live.context)
    with stream_of(live, headers={"Authorization": f"Bearer {key}"}) as events:
        names = {next(events)[0] for _ in range(5)}
        assert names == {"hello", "power", "refresh"}
        revoke_key(live.context, key_id_of(key))
        assert len(list(events)) < 10_000  # it ends


def test_streams_end_when_the_service_does(house: Context) -> None:
    running = serve(house)
    ended = threading.Event()

    def look() -> None:
        with stream_of(running, **bearer(house)) as events:
            for _ in events:
                ready.set()
        ended.set()

    ready = threading.Event()
    threading.Thread(target=look, daemon=True).start()
    assert ready.wait(30)
    running.stop()
    assert ended.wait(30)
    assert not running.thread.is_alive()


def test_too_many_viewers_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon.web.live._MOST_VIEWERS", 0)
    with pytest.raises(TooBusy):
        LiveFleet().check_room()


def test_a_viewer_that_falls_behind_connects_anew() -> None:
    from carbon.web.live import _Viewer

    viewer = _Viewer(None)
    for number in range(5):
        viewer.tell(str(number).encode())
    viewer.tell(b"one too many")
    assert viewer.events.get_nowait() is None
    assert viewer.events.empty()


def test_the_cookie_of_a_page_opens_its_stream(live: Service) -> None:
    key = generated_day.admin_key(live.context)
    own = {"Sec-Fetch-Site": "same-origin"}
    with httpx2.Client(base_url=live.address, headers=own) as client:
        client.post("/sign-in", data={"key": key})
        cookie = client.cookies[SESSION_COOKIE]
    with stream_of(live, cookies={SESSION_COOKIE: cookie}) as events:
        assert power_in(events)["heard"] == 4
