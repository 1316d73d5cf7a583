"""Whatever is sent, in whatever order and however often, the ledger sums as its rules say."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from job_house import fresh_engine
from ledger import ADMIN, Ledger
from ledger_model import METHODS, SLOT_MS, SOURCES, Model, Sent, pieces_of
from sqlalchemy import select

from carbon.clock import FakeClock, to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES, Scope
from carbon.errors import NotFound
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.settings import Settings
from carbon.storage.engine import reading
from carbon.storage.names import device
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour

NOON_MS = 1_772_452_800_000
T = NOON_MS - 6 * 3_600_000
#: Four buckets, so that they lie in two quarter-hours.
SLOTS = 120

IMPORTER = Principal("k3", "importer", "default", ADMIN_SCOPES - {Scope.ENERGY_AGENT})
PRINCIPALS = {"agent": ADMIN, "other agent": ADMIN, "importer": IMPORTER}
#: Each run is one workload's; a row may leave out which.
RUNS = {"r1": "a", "r2": "b"}


@st.composite
def sent_intervals(draw: st.DrawFn) -> Sent:
    start = draw(st.integers(0, SLOTS - 1))
    span = draw(st.sampled_from([1, 1, 1, 2, 6, 30, 45]))
    run = draw(st.sampled_from([None, None, *RUNS]))
    workload = draw(st.sampled_from([None, RUNS[run]] if run else [None, "a", "b"]))
    return Sent(
        draw(st.sampled_from(["gpu-0", "gpu-1"])),
        start,
        min(start + span, SLOTS),
        draw(st.sampled_from([0, 1, 999, 1_000_003])),
        draw(st.sampled_from(METHODS)),
        workload,
        run,
    )


@st.composite
def sent_rows(draw: st.DrawFn) -> list[Sent]:
    """Of one device in steps of equal length, as a source really sends: covers whole buckets."""
    like = draw(sent_intervals())
    step = draw(st.sampled_from([1, 3, 10]))
    first = draw(st.integers(0, SLOTS // step - 1))
    count = draw(st.integers(1, SLOTS // step - first))
    return [
        replace(like, start=at * step, end=(at + 1) * step) for at in range(first, first + count)
    ]


batches = st.one_of(st.lists(sent_intervals(), max_size=5), sent_rows())
sources = st.sampled_from(sorted(SOURCES))


def on_the_wire(sent: Sent) -> dict[str, Any]:
    return {
        "device": sent.device,
        "start_ms": T + sent.start * SLOT_MS,
        "end_ms": T + sent.end * SLOT_MS,
        "energy_mj": sent.energy_mj,
        "method": sent.method,
        "workload": sent.workload,
        "run": sent.run,
    }


def new_ledger() -> Ledger:
    data_dir = Path(tempfile.gettempdir())  # nothing is written there: the store is in memory
    context_settings = Settings(data_dir=data_dir, feeds=False, zone="DE")
    return Ledger(Context(fresh_engine(), context_settings, FakeClock(NOON_MS)))


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = new_ledger()
        self.model = Model()
        self.sendings: list[tuple[int, str, list[Sent]]] = []

    def teardown(self) -> None:
        self.ledger.close()
        self.ledger.context.engine.dispose()

    @rule(source=sources, batch=batches)
    def send(self, source: str, batch: list[Sent]) -> None:
        answer = self._send(source, batch)
        self.sendings.append((self.ledger.seq, source, batch))
        assert answer == self.model.send(source, batch)

    @rule(at=st.integers(0, 99))
    def send_the_same_again(self, at: int) -> None:
        """With its own number: nothing needs a look."""
        if self.sendings:
            seq, source, batch = self.sendings[at % len(self.sendings)]
            self._again(source, batch, seq)

    @rule(at=st.integers(0, 99), rng=st.randoms(use_true_random=False))
    def send_the_same_under_another_number(self, at: int, rng: random.Random) -> None:
        """And in another order: the rows decide."""
        if self.sendings:
            _, source, batch = self.sendings[at % len(self.sendings)]
            self._send(source, rng.sample(batch, len(batch)))
            self.model.send(source, batch)

    @rule()
    def roll_up_what_there_is(self) -> None:
        roll_up(self.ledger.context)

    @rule(first=st.integers(0, SLOTS), span=st.integers(0, SLOTS))
    def ask_for_a_window(self, first: int, span: int) -> None:
        last = min(first + span, SLOTS)
        rounding = sum(len(meter) for meter in self.model.meters.values())
        for workload in set(self.model.claims.values()):
            answer = self.ledger.sci(
                workload, start_ms=T + first * SLOT_MS, end_ms=T + last * SLOT_MS, unit="run"
            )
            expected = self.model.energy(workload, first, last)
            assert abs(answer.energy_mj - expected) <= rounding
            assert (answer.start, answer.end) == (
                to_rfc3339(T + first * SLOT_MS),
                to_rfc3339(T + last * SLOT_MS),
            )

    @invariant()
    def every_workload_has_what_the_rules_give_it(self) -> None:
        for workload in ("a", "b"):
            try:
                known = self.ledger.sci(workload, unit="run").energy_mj
            except NotFound:
                assert workload not in self.model.claims.values()
                continue
            assert known == self.model.energy(workload, 0, SLOTS)

    @invariant()
    def all_roll_ups_hold_the_same_energy(self) -> None:
        sums = [
            sum(row[table.c.keys().index("energy_mj")] for row in self.ledger.rows(table))
            for table in (bucket, quarter_hour, workload_hour, workload_day)
        ]
        assert sums == [sum(self.model.counted().values())] * 4

    def _send(self, source: str, batch: list[Sent]) -> tuple[int, int, int]:
        wire = [on_the_wire(sent) for sent in batch]
        answer = self.ledger.send(wire, PRINCIPALS[source], source=source)
        assert answer.rejected == []
        return answer.accepted, answer.duplicate, answer.conflict

    def _again(self, source: str, batch: list[Sent], seq: int) -> None:
        newest = self.ledger.seq
        self.ledger.seq = seq - 1
        accepted, _, _ = self._send(source, batch)
        self.ledger.seq = newest
        assert accepted == 0


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(["agent", "importer"]), batches), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_without_contradictions_the_order_of_arrival_changes_no_bucket(
    sendings: list[tuple[str, list[Sent]]], rng: random.Random
) -> None:
    """Nor how the rows are put together into batches, nor when they are rolled up."""
    judge = Model()
    rows = [
        (source, sent)
        for source, batch in sendings
        for sent in batch
        if _is_new(judge, source, sent)
    ]
    shuffled = rng.sample(rows, len(rows))
    assert _rolled(rows, rng) == _rolled(shuffled, rng)


def _is_new(judge: Model, source: str, sent: Sent) -> bool:
    """Leaves the model as it was where the interval contradicts it in part."""
    trial = Model({meter: list(pieces) for meter, pieces in judge.meters.items()})
    if trial.send(source, [sent]) != (1, 0, 0):
        return False
    added = judge.meters.setdefault((sent.device, source), [])
    added += pieces_of(sent)
    return True


def _rolled(rows: list[tuple[str, Sent]], rng: random.Random) -> list[tuple[object, ...]]:
    ledger = new_ledger()
    for source, sent in rows:
        ledger.send([on_the_wire(sent)], PRINCIPALS[source], source=source)
        if rng.random() < 0.3:
            roll_up(ledger.context)
    roll_up(ledger.context)
    b = bucket.c
    with reading(ledger.context.engine) as connection:
        uuids = dict(connection.execute(select(device.c.id, device.c.uuid)).all())
        query = select(b.start_ms, b.device_id, b.method, b.energy_mj, b.covered_ms)
        found = sorted(
            (row.start_ms, uuids[row.device_id], *row[2:]) for row in connection.execute(query)
        )
    energies = [
        ledger.sci(w, unit="run").energy_mj
        for w in sorted({s.workload for _, s in rows if s.workload})
    ]
    ledger.close()
    ledger.context.engine.dispose()
    return [*found, tuple(energies)]
