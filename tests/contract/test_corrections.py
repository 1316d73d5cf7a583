"""Corrections on every store: what moves is what the dry run said, and an undo moves it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger import ADMIN, NOON_MS, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.fleet.correction_change import Period
from carbon.services.fleet.corrections import correct, undo
from carbon.storage.names import FOR_EVER_MS
from carbon.wire.corrections import CorrectionAnswer, CorrectionBody, UndoBody

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """An hour of ana's, one of w's with 1 000 tokens, one of old's with 500."""
    made = Ledger(new_context(engine))
    made.send(
        [
            interval(T, T + HOUR, KWH, device="gpu-0", workload="ana", subject="user:ana"),
            interval(T, T + HOUR, KWH, device="gpu-1"),
            interval(T, T + HOUR, KWH, device="gpu-2", workload="old"),
        ],
        host="n1",
    )
    window = {"unit": "token", "source": "app", "start_ms": T, "end_ms": T + HOUR}
    made.count(
        [
            {"workload": "w", "count": 1_000, **window},
            {"workload": "old", "count": 500, **window},
        ]
    )
    yield made
    made.close()


def done(
    ledger: Ledger, kind: str, start_ms: int = 0, end_ms: int = FOR_EVER_MS, **members: Any
) -> CorrectionAnswer:
    """Tried first: it says what then happens."""
    if start_ms:
        members |= {"start": to_rfc3339(start_ms), "end": to_rfc3339(end_ms)}
    body = {"kind": kind, "reason": "it was wrong", **members}
    period = Period(start_ms, end_ms)
    tried = correct(ledger.context, ADMIN, CorrectionBody(dry_run=True, **body), period)
    made = correct(ledger.context, ADMIN, CorrectionBody(**body), period)
    assert (tried.moves, tried.counts) == (made.moves, made.counts)
    assert tried.correction is None
    return made


def undone(ledger: Ledger, made: CorrectionAnswer) -> CorrectionAnswer:
    assert made.correction is not None
    return undo(ledger.context, ADMIN, made.correction, UndoBody("no"))


def tokens(ledger: Ledger, workload: str = "w") -> int | float | None:
    return ledger.sci(workload, unit="token").count


def energy_mj(ledger: Ledger, workload: str) -> int | None:
    return ledger.sci(workload, unit="device_hour").energy_mj


def test_a_claim(ledger: Ledger) -> None:
    half = T + HOUR // 2
    made = done(ledger, "claim", half, T + HOUR, subject="user:ana", workload="vision/resnet")
    assert [move.energy_mj for move in made.moves] == [KWH // 2]
    assert energy_mj(ledger, "vision/resnet") == energy_mj(ledger, "ana") == KWH // 2
    undone(ledger, made)
    assert energy_mj(ledger, "ana") == KWH


def test_a_merge_and_a_rename(ledger: Ledger) -> None:
    merged = done(ledger, "merge", workload="old", into="w")
    assert (energy_mj(ledger, "w"), tokens(ledger)) == (2 * KWH, 1_500)
    renamed = done(ledger, "rename", workload="w", into="chat")
    assert tokens(ledger, "chat") == tokens(ledger, "old") == 1_500
    undone(ledger, renamed)
    undone(ledger, merged)
    assert (tokens(ledger), tokens(ledger, "old")) == (1_000, 500)


def test_a_count(ledger: Ledger) -> None:
    half = T + HOUR // 2
    made = done(ledger, "units", T, half, workload="w", unit="token", count=100)
    assert [(c.before, c.after) for c in made.counts] == [(500, 100)]
    assert tokens(ledger) == 600
    merged = done(ledger, "merge", workload="old", into="w")
    over = done(ledger, "units", T, T + HOUR, workload="w", unit="token", count=7)
    assert ([(c.before, c.after) for c in over.counts], tokens(ledger)) == ([(1_100, 7)], 7)
    undone(ledger, over)
    undone(ledger, merged)
    undone(ledger, made)
    assert (tokens(ledger), tokens(ledger, "old")) == (1_000, 500)


def test_where_a_host_stood(ledger: Ledger) -> None:
    ledger.intensity(T, [400.0])
    ledger.intensity(T, [50.0], zone="FR")
    made = done(ledger, "host", T, T + HOUR, host="n1", zone="FR", pue=2.0)
    assert ledger.sci("w", unit="device_hour").operational_g == pytest.approx(100.0)
    undone(ledger, made)
    assert ledger.sci("w", unit="device_hour").operational_g == pytest.approx(400.0)


def test_names_that_would_lead_in_a_circle(ledger: Ledger) -> None:
    done(ledger, "merge", workload="old", into="w")
    with pytest.raises(InvalidInput) as refused:
        done(ledger, "merge", workload="w", into="old")
    assert refused.value.code == "mapping_loops"
