"""Readings of other tools on every store: counted once, followed over restarts, faults kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ledger import ADMIN, NOON_MS, Ledger
from metrics import DCGM, TOKENS, a_pod, prometheus
from sqlalchemy import Engine

from carbon.imports.series import Series
from carbon.services.context import Context
from carbon.services.ingest.import_quality import import_quality
from carbon.services.ingest.importing import Imported, Importing

S = 1_000
T = NOON_MS - 60 * S
POD = a_pod("chat-0")


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(engine))
    yield made
    made.close()


def bring(ledger: Ledger, *series: Series) -> Imported:
    """By a process that has just begun."""
    importing = Importing(ledger.context, ledger.writer, ledger.ingest, ledger.units)
    body = repr(series).encode()
    return importing.submit(ADMIN, "remote-write", series, body).result(timeout=10)


def gpu(*readings: tuple[int, float]) -> Series:
    samples = [(T + at_s * S, value) for at_s, value in readings]
    return prometheus(DCGM, {"UUID": "GPU-1", "Hostname": "n1", **POD}, samples)


def tokens(pod: str, *readings: tuple[int, float]) -> Series:
    samples = [(T + at_s * S, value) for at_s, value in readings]
    return prometheus(TOKENS, {"namespace": "prod", "pod": pod}, samples)


def test_energy_and_counts_follow_from_body_to_body_and_count_once(ledger: Ledger) -> None:
    replicas = [tokens(pod, (0, 10.0), (30, 60.0)) for pod in ("chat-0", "chat-1")]
    for _ in range(2):
        bring(ledger, gpu((0, 1e9), (30, 1.009e9)), *replicas)
        bring(ledger, gpu((30, 1.009e9), (60, 1.018e9)), tokens("chat-0", (60, 100.0)))
    answer = ledger.sci("prod/chat")
    assert (answer.energy_mj, answer.count) == (18_000_000, 2 * 50 + 40)


def test_counts_that_overlap_what_a_family_counted_stay_aside(ledger: Ledger) -> None:
    bring(ledger, gpu((0, 1e9), (30, 1.009e9)))
    unit = {"workload": "prod/chat", "unit": "token", "source": "f/a", "family": "f"}
    ledger.count([{**unit, "start_ms": T, "end_ms": T + 30 * S, "count": 50}])
    over = ledger.count([{**unit, "start_ms": T + 15 * S, "end_ms": T + 45 * S, "count": 50}])
    beside = {**unit, "source": "f/b", "start_ms": T, "end_ms": T + 30 * S, "count": 7}
    assert (over.conflict, ledger.count([beside]).accepted) == (1, 1)
    assert ledger.sci("prod/chat").count == 57


def test_faults_are_counted_on(ledger: Ledger) -> None:
    for at_s in (0, 30):
        bring(ledger, prometheus(DCGM, {"instance": "n1"}, [(T + at_s * S, 1.0)]))
    [line] = import_quality(ledger.context, T, NOON_MS + 1).troubles
    assert (line.code, line.count) == ("label_missing", 2)
    assert line.first < line.last


@pytest.mark.parametrize("label", ["UUID", "Hostname", "modelName"])
def test_a_label_that_no_text_may_hold_is_told_and_what_came_with_it_is_kept(
    ledger: Ledger, label: str
) -> None:
    bad = prometheus(
        DCGM, {"UUID": "GPU-2", "Hostname": "n2", **POD, label: "a\0b"}, [(T, 1e9), (T + 1, 2e9)]
    )
    bring(ledger, bad, gpu((0, 1e9), (30, 1.009e9)), prometheus("energy_\0joules", {}, [(T, 1.0)]))
    told = {line.code: line for line in import_quality(ledger.context, T, NOON_MS + 1).troubles}
    assert "a\ufffdb" in told["label_unstorable"].about or label == "modelName"
    assert told["unmapped_metric"].about == "energy_\ufffdjoules"
    assert ledger.sci("prod/chat").energy_mj == 9_000_000
