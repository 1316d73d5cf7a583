"""A running service under test: clients by key, and bodies to send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from ledger import interval

from carbon.app import create_app
from carbon.auth.keys import create_key
from carbon.clock import to_rfc3339
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES, Scope
from carbon.services.context import Context

#: What the clock of `conftest` shows: 2026-03-02 12:00 UTC.
NOON_MS = 1_772_452_800_000
HOUR = 3_600_000
MINUTE = 60_000
#: Six hours of the past to write into.
T = NOON_MS - 6 * HOUR
LOOPBACK = ("127.0.0.1", 50_000)


@dataclass
class Service:
    context: Context
    app: FastAPI
    #: Without a key.
    stranger: TestClient
    admin: TestClient

    @classmethod
    @contextmanager
    def of(cls, context: Context) -> Iterator[Service]:
        app = create_app(context, background=False)
        with TestClient(app, client=LOOPBACK, raise_server_exceptions=False) as stranger:
            made = cls(context, app, stranger, stranger)
            made.admin = made.client("default", ADMIN_SCOPES)
            yield made

    def key(self, team: str, scopes: Iterable[Scope] = TEAM_SCOPES) -> tuple[str, str]:
        """(text, id)"""
        return create_key(self.context, f"of {team}", team, scopes)

    def client(self, team: str, scopes: Iterable[Scope] = TEAM_SCOPES) -> TestClient:
        """Shares the running application; only `stranger` starts and stops it."""
        return self.with_key(self.key(team, scopes)[0])

    def with_key(self, key: str) -> TestClient:
        return TestClient(
            self.app,
            client=LOOPBACK,
            raise_server_exceptions=False,
            headers={"Authorization": f"Bearer {key}"},
        )


def batch(*intervals: dict[str, Any], seq: int = 1, **others: Any) -> dict[str, Any]:
    return {"source": "s", "boot_id": "b", "seq": seq, "intervals": list(intervals), **others}


def an_hour(energy_mj: int = 3_600_000_000, **others: Any) -> dict[str, Any]:
    """1 kWh by default."""
    return interval(T, T + HOUR, energy_mj, **others)


def count(number: int, unit: str = "token", workload: str = "w", **others: Any) -> dict[str, Any]:
    return {
        "workload": workload,
        "unit": unit,
        "source": "app",
        "start_ms": T,
        "end_ms": T + HOUR,
        "count": number,
        **others,
    }


def vintage(*g_per_kwh: float, start_ms: int = T, **others: Any) -> dict[str, Any]:
    """One figure an hour, published now."""
    points = [
        {"start_ms": start_ms + n * HOUR, "end_ms": start_ms + (n + 1) * HOUR, "g_per_kwh": g}
        for n, g in enumerate(g_per_kwh)
    ]
    return {"source": "meter", "published_at": to_rfc3339(NOON_MS), "points": points, **others}


def refused(answer: Response, status: int, code: str) -> dict[str, Any]:
    """The problem document (RFC 9457) of an answer that must be one."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert problem["status"] == status
    assert "\n" not in problem["detail"]
    return problem
