"""`POST /v1/sci/calculate` over HTTP: the cases that its fields can state, and how many a core
answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from carbon.bench.figure import Figure, at_least, not_taken
from carbon.bench.sci.cases import ABSENT, EXACT, agrees
from carbon.bench.sci.golden import BY_ID, read_cases
from carbon.bench.sci.golden.stated import Case, answering
from carbon.bench.serving import Service, service
from carbon.domain.sci import Calculation, ComponentScore
from carbon.domain.statement import Component, FunctionalUnit

_PATH: Final = "/v1/sci/calculate"
_STATED: Final = "cases that POST /v1/sci/calculate gives"
_BODY: Final = msgspec.json.encode(
    {
        "components": [
            {
                "name": "gpu",
                "energy_kwh": 1.2,
                "intensity_g_per_kwh": 300,
                "pue": 1.1,
                "embodied": {
                    "total_g": 164_000,
                    "reserved_s": 3_600,
                    "lifespan_s": 126_144_000,
                    "share": 1,
                },
            }
        ],
        "functional_unit": {"name": "token", "count": 1_000},
    }
)


def figures(data: Path | None, quick: bool) -> list[Figure]:
    with service() as running, running.client() as client:
        return [_cases(client, data), _rate(running, client, 1_000 if quick else 8_000)]


def _cases(client: httpx2.Client, data: Path | None) -> Figure:
    cases = read_cases(data)
    if not cases:
        return not_taken(_STATED, "cases", ABSENT)
    asked = Asked(client)
    token = answering.set(asked)
    try:
        right = sum(asked.is_right(case) for id_, case in cases.items() if id_ in BY_ID)
    finally:
        answering.reset(token)
    note = "the others, such as power curves, go through functions of their own"
    return at_least(_STATED, right, "cases", asked.cases, note)


class Asked:
    """The arithmetic of cases, done by a server."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._calls = 0
        #: Of those tried, how many could be stated in the call's fields.
        self.cases = 0

    def is_right(self, case: Case) -> bool:
        before = self._calls
        right = agrees(case, "expected", EXACT)
        is_stated = self._calls > before
        self.cases += is_stated
        return right and is_stated

    def __call__(self, components: Sequence[Component], unit: FunctionalUnit) -> Calculation:
        self._calls += 1
        body = msgspec.json.encode(
            {"components": [_known(part) for part in components], "functional_unit": unit}
        )
        told = self._client.post(_PATH, content=body).raise_for_status().json()
        parts = tuple(ComponentScore(**part) for part in told["components"])
        return Calculation(**{**told, "components": parts, "not_stated": tuple(told["not_stated"])})


def _known(component: Component) -> Mapping[str, Any]:
    stated: Mapping[str, Any] = msgspec.to_builtins(component)
    return {name: value for name, value in stated.items() if value is not None}


def _rate(running: Service, client: httpx2.Client, calls: int) -> Figure:
    """Over one connection; all of the server's own CPU time counts."""
    _repeat(200, lambda: client.post(_PATH, content=_BODY).raise_for_status())
    before = running.process.cpu_times()
    _repeat(calls, lambda: client.post(_PATH, content=_BODY))
    after = running.process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    note = f"{calls} calls over HTTP and one connection, of the server's CPU time"
    return at_least(f"POST {_PATH}", calls / used_s, "/s per core", 2_000.0, note)


def _repeat(times: int, work: Callable[[], object]) -> None:
    for _ in range(times):
        work()
