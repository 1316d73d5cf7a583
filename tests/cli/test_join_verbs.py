"""`carbon agent --join` as a person walks it, without a server: each trouble is one line."""

from __future__ import annotations

from collections.abc import Callable

from command_line import Ended

Carbon = Callable[..., Ended]


def test_a_token_needs_a_server_to_go_to(carbon: Carbon) -> None:
    told = carbon("agent", "--join", "cj_x", "--once").failed(2)
    assert "--url or CARBON_URL" in told


def test_tokens_are_asked_of_a_server(carbon: Carbon) -> None:
    for words in (("host", "token"), ("host", "token", "list"), ("host", "token", "revoke", "x")):
        assert "carbon up" in carbon(*words).failed(1)
