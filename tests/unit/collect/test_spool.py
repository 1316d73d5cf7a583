"""The spool: what was appended is there until it was acknowledged, whenever the agent is killed."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from carbon.collect.spool import BodyKind, Spool
from carbon.collect.spool_db import SpoolDb
from carbon.wire.energy import EnergyBatch, EnergyInterval, UnitBatch, UnitCount

ALWAYS_MS = 1 << 53


def batch(end_ms: int = 1000, energy_mj: int = 5) -> EnergyBatch:
    interval = EnergyInterval("D", 0, end_ms, energy_mj, "counter", subject="idle")
    return EnergyBatch("agent", "boot", 0, [interval], host="h")


def units(end_ms: int = 1000) -> UnitBatch:
    return UnitBatch([UnitCount("w", "token", "s", 0, end_ms, 7)])


class SpoolUnderKills(RuleBasedStateMachine):
    """Against a plain list of what has to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "spool.db"
        self.expected: list[int] = []
        self.highest = 0
        self.refused = 0
        self.open()

    def open(self) -> None:
        self.spool = Spool(SpoolDb(self.path))

    @rule()
    def append(self) -> None:
        seq = self.spool.append_energy(batch())
        assert seq > self.highest
        self.highest = seq
        self.expected.append(seq)

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        sent = [b.seq for b in self.spool.pending(count, ALWAYS_MS)]
        self.spool.ack(sent)
        self.expected = [seq for seq in self.expected if seq not in sent]

    @rule()
    def refuse(self) -> None:
        for first in self.spool.pending(1, ALWAYS_MS):
            self.spool.refuse(first, 422, "no")
            self.expected.remove(first.seq)
            self.refused += 1

    @rule()
    def kill_and_reopen(self) -> None:
        self.spool.db.close()
        self.open()

    @rule(appended=st.integers(1, 3))
    def kill_inside_a_transaction(self, appended: int) -> None:
        def killed() -> None:
            with self.spool.db.transaction():
                for _ in range(appended):
                    self.spool.append_energy(batch())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            killed()
        self.kill_and_reopen()

    @invariant()
    def all_is_there_in_order(self) -> None:
        assert [b.seq for b in self.spool.pending(10_000, ALWAYS_MS)] == self.expected
        assert self.spool.depth == len(self.expected)
        assert self.spool.last_seq == self.highest
        assert len(self.spool.refused) == self.refused

    def teardown(self) -> None:
        self.spool.db.close()
        self.folder.cleanup()


SpoolUnderKills.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestSpoolUnderKills = SpoolUnderKills.TestCase


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(SpoolDb(tmp_path / "spool.db"))


def test_a_batch_is_posted_with_its_number_and_the_time_of_sending(spool: Spool) -> None:
    spool.append_energy(batch())
    seq = spool.append_energy(batch(energy_mj=9))
    sent = json.loads(spool.pending(10, ALWAYS_MS)[1].request_body(sent_ms=777))
    assert (sent["seq"], sent["sent_ms"]) == (seq, 777)
    assert sent["intervals"][0]["energy_mj"] == 9


def test_unit_counts_travel_in_the_same_order_to_their_own_path(spool: Spool) -> None:
    spool.append_energy(batch())
    spool.append_units(units())
    kinds = [b.kind for b in spool.pending(10, ALWAYS_MS)]
    assert [kind.path for kind in kinds] == ["/v1/energy", "/v1/units"]
    body = spool.pending(10, ALWAYS_MS)[1].request_body(777)
    assert json.loads(body)["units"][0]["count"] == 7


def test_what_lies_in_the_future_waits_and_holds_up_nothing(spool: Spool) -> None:
    spool.append_energy(batch(end_ms=9_000))
    now = spool.append_energy(batch(end_ms=1_000))
    assert [b.seq for b in spool.pending(10, ended_by_ms=5_000)] == [now]
    assert spool.depth == 2


def test_numbers_go_on_after_everything_was_delivered(tmp_path: Path) -> None:
    spool = Spool(SpoolDb(tmp_path / "spool.db"))
    spool.ack([spool.append_energy(batch()), spool.append_energy(batch())])
    spool.db.close()
    again = Spool(SpoolDb(tmp_path / "spool.db"))
    assert again.last_seq == 2
    assert again.append_energy(batch()) == 3


def test_a_refused_batch_is_kept_with_the_answer(spool: Spool) -> None:
    spool.append_energy(batch())
    spool.refuse(spool.pending(1, ALWAYS_MS)[0], 422, "unknown zone")
    assert spool.refused == [(1, 422, "unknown zone")]
    assert spool.depth == 0


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    one, other = (Spool(SpoolDb(tmp_path / "spool.db")) for _ in range(2))
    seqs = [s.append_units(units()) for s in (one, other, one, other)]
    assert seqs == [1, 2, 3, 4]
    assert one.depth == other.depth == 4


def test_whoever_delivers_is_told_of_new_batches(spool: Spool) -> None:
    told: list[None] = []
    spool.on_append = lambda: told.append(None)
    spool.append_energy(batch())
    assert len(told) == 1


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"this is no database, and long enough to be sure of it" * 100)
    spool = Spool(SpoolDb(path))
    assert spool.append_energy(batch()) == 1
    assert path.with_suffix(".damaged").exists()


def test_only_its_user_may_read_it(spool: Spool) -> None:
    assert spool.db.path.stat().st_mode & 0o077 == 0


def test_what_is_small_and_must_survive_is_kept_beside(tmp_path: Path) -> None:
    db = SpoolDb(tmp_path / "spool.db")
    assert db.meta("source") is None
    db.set_meta("source", "agent-1")
    db.close()
    assert SpoolDb(tmp_path / "spool.db").meta("source") == "agent-1"


def test_a_kind_of_body_that_is_not_ours_cannot_be_written(spool: Spool) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        spool.db.rows("INSERT INTO batch (kind, end_ms, body) VALUES (NULL, 0, x'')")
    assert [kind.value for kind in BodyKind] == ["energy", "units"]


def test_refused_batches_go_back_in_line_under_their_numbers(tmp_path: Path) -> None:
    spool = Spool(SpoolDb(tmp_path / "spool.db"))
    spool.append_energy(batch())
    spool.append_units(units())
    kept = spool.append_energy(batch())
    for poison in spool.pending(2, ALWAYS_MS):
        spool.refuse(poison, 422, "no")
    assert [b.seq for b in spool.pending(9, ALWAYS_MS)] == [kept]
    assert spool.retry_refused() == 2
    assert [b.seq for b in spool.pending(9, ALWAYS_MS)] == [1, 2, kept]
    assert not spool.refused


def test_a_batch_put_back_waits_for_its_time_like_any_other(tmp_path: Path) -> None:
    spool = Spool(SpoolDb(tmp_path / "spool.db"))
    spool.append_energy(batch(end_ms=5_000))
    spool.refuse(spool.pending(1, ALWAYS_MS)[0], 422, "no")
    spool.retry_refused()
    assert not spool.pending(9, 4_999)
    assert spool.pending(9, 5_000)


def test_refused_batches_do_not_fill_the_disk_and_the_lost_ones_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.collect.spool.REFUSED_KEPT", 3)
    spool = Spool(SpoolDb(tmp_path / "spool.db"))
    for _ in range(5):
        spool.append_energy(batch())
        spool.refuse(spool.pending(1, ALWAYS_MS)[0], 422, "no")
    assert [seq for seq, _, _ in spool.refused] == [3, 4, 5]
    assert spool.refused_dropped == 2
