"""`carbon name` as a user types it; what it asks of the server, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from command_line import Ended

import carbon.client

Carbon = Callable[..., Ended]
DAY = ("--start", "2026-11-03T00:00:00Z", "--end", "2026-11-04T00:00:00Z")


class FakeClient:
    """Keeps what was asked."""

    asked: list[dict[str, Any]]

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None: ...

    def correct(self, **members: Any) -> dict[str, Any]:
        FakeClient.asked.append(members)
        counts = []
        if members["kind"] == "units":
            counts = [{"workload": "v/w", "unit": "image", "before": 9, "after": members["count"]}]
        number = None if members["dry_run"] else 7
        return {"correction": number, "moves": [], "reports": [], "counts": counts}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    FakeClient.asked = []
    monkeypatch.setattr(carbon.client, "Client", FakeClient, raising=False)
    return FakeClient.asked


def test_a_count_is_replaced_over_a_time(carbon: Carbon, asked: list[Any]) -> None:
    ended = carbon("name", "count", "v/w", "image", "5", *DAY, "--reason", "twice")
    assert (ended.code, "v/w: 9 image -> 5" in ended.out) == (0, True)
    assert "correction 7" in ended.out
    (one,) = asked
    assert (one["kind"], one["count"], one["dry_run"]) == ("units", 5, False)
    assert (one["start"], one["end"]) == (DAY[1], DAY[3])


def test_a_dry_run_says_that_nothing_was_stored(carbon: Carbon, asked: list[Any]) -> None:
    ended = carbon("name", "count", "w", "image", "5", *DAY, "--reason", "x", "--dry-run")
    assert "nothing was stored" in ended.out
    assert asked[0]["dry_run"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("count", "w", "image", "-5", *DAY, "--reason", "x"),
        ("count", "w", "image", "5", "--reason", "x"),
        ("count", "w", "image", "5", *DAY),
        ("claim", "user:ana", "w"),
    ],
)
def test_what_is_missing_is_a_usage_error(
    carbon: Carbon, asked: list[Any], arguments: tuple[str, ...]
) -> None:
    assert carbon("name", *arguments).code == 2
    assert asked == []
