"""How a page is sent."""

from __future__ import annotations

import gzip

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient

from carbon.services.context import Context


def test_a_large_page_is_compressed_for_who_takes_it(admin: TestClient) -> None:
    plain = admin.get("/feeds", headers={"Accept-Encoding": "identity"})
    packed = admin.get("/feeds", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.text.count("<main") == plain.text.count("<main") == 1
    assert len(gzip.compress(plain.content)) < len(plain.content)


def test_a_small_page_is_sent_as_it_is(first_start: Context) -> None:
    stranger = browser(first_start)
    assert "content-encoding" not in stranger.get("/sign-out").headers


def test_a_long_table_shows_its_first_lines_and_all_to_who_asks(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.web.screens._SHOWN_AT_ONCE", 2)
    for path in ("/breakdown?last=today", "/workloads?last=today"):
        some = admin.get(path).text
        assert "and 3 more" in some
        every = admin.get(f"{path}&all=1").text
        assert "more ·" not in every
        assert str(generated_day.WHISPER) in every
