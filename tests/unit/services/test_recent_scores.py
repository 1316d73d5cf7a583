"""Scores of a large fleet are told again for a minute; of a small one they are always new."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ledger import ADMIN, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import FakeClock
from carbon.services.context import Context
from carbon.services.screens.overview import overview

T = 1_769_817_600_000
HOUR = 3_600_000


@pytest.mark.parametrize(("most", "is_told_again"), [(50, False), (1, True)])
def test_for_a_minute(
    memory: Engine,
    new_context: Callable[[Engine], Context],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    is_told_again: bool,
) -> None:
    monkeypatch.setattr("carbon.services.sci.recent_scores.MANY_DEVICES", most)
    clock = FakeClock(T + 3 * HOUR)
    context = new_context(memory)
    ledger = Ledger(Context(context.engine, context.settings, clock))

    def shown() -> list[str]:
        return [one.workload for one in overview(ledger.context, ADMIN).sci.workloads]

    ledger.send([interval(T, T + 600_000, 1_000, "gpu-0", workload="a")])
    assert len(shown()) == 1
    ledger.send([interval(T + HOUR, T + HOUR + 600_000, 1_000, "gpu-0", workload="b")])
    assert len(shown()) == (1 if is_told_again else 2)
    clock.advance(60_000)
    assert len(shown()) == 2
