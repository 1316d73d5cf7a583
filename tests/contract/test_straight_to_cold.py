"""Imports of what is older than the hot days go straight to the cold tier, on every store."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from ledger import ADMIN, Ledger, interval
from sqlalchemy import Engine, func, select

from carbon.clock import FakeClock
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.rollup import straight_to_cold
from carbon.services.rollup.raw_readings import cold_store, readings_of
from carbon.services.rollup.retention import QUIET_MS, retain, seal
from carbon.services.rollup.rollup import roll_up
from carbon.storage.energy import energy_interval, interval_conflict
from carbon.storage.engine import reading
from carbon.storage.names import device, meter
from carbon.storage.rollups import bucket, quarter_hour, workload_hour
from carbon.storage.sealed_days import SealedDay, cold_leftover, opened_device, sealed_days
from carbon.wire.decode import decode_energy
from carbon.wire.energy import IngestAnswer

#: 2026-03-02 00:00 UTC.
T = 1_772_409_600_000


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """An empty one, twenty days after T."""
    context = new_context(engine)
    made = Ledger(Context(engine, context.settings, FakeClock(T + 20 * MS_PER_DAY)))
    made.intensity(T, [100.0 + n for n in range(48)], published_ms=T)
    yield made
    made.close()


def later(ledger: Ledger, ms: int) -> None:
    clock = ledger.context.clock
    assert isinstance(clock, FakeClock)
    clock.advance(ms / 1000)


def history(ledger: Ledger, intervals: list[dict[str, Any]], **batch: Any) -> tuple[int, int, int]:
    answer = ledger.send(intervals, is_import=True, **batch)
    return answer.accepted, answer.duplicate, answer.conflict


def an_hour(gpu: str = "gpu-0", at: int = T, step_ms: int = 60_000) -> list[dict[str, Any]]:
    return [
        interval(at + n, at + n + step_ms, 9_000_001 + n // 1000, gpu)
        for n in range(0, MS_PER_HOUR, step_ms)
    ]


def count(ledger: Ledger, table: Any) -> int:
    with reading(ledger.context.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def days(ledger: Ledger) -> list[SealedDay]:
    with reading(ledger.context.engine) as connection:
        return sealed_days(connection)


def raw(ledger: Ledger, start_ms: int = T, width_ms: int = 2 * MS_PER_DAY) -> dict[str, list[Any]]:
    """Each device's rows as they are read, wherever they lie."""
    found: dict[str, list[Any]] = {}
    with reading(ledger.context.engine) as connection:
        named = connection.execute(
            select(meter.c.id, device.c.uuid).join(device, device.c.id == meter.c.device_id)
        )
        names = {row.id: row.uuid for row in named}
        window = (start_ms, start_ms + width_ms)
        for r in readings_of(ledger.context, connection, *window, list(names)):
            found.setdefault(names[r.meter], []).append(
                (r.start_ms, r.end_ms, r.subject, r.energy_mj, r.method)
            )
    return {name: sorted(rows) for name, rows in found.items()}


#: All that does not go by who was first.
_IDS = ("device_id", "meter_id", "rating_id", "recorded_ms", "vintage_id")


def rolled(ledger: Ledger) -> dict[str, list[Any]]:
    """Each device's roll-ups."""
    roll_up(ledger.context)
    found: dict[str, list[Any]] = {}
    with reading(ledger.context.engine) as connection:
        for table in (bucket, quarter_hour):
            columns = [c for c in table.c if c.name not in _IDS]
            query = select(device.c.uuid, *columns).join(device, device.c.id == table.c.device_id)
            for name, *values in connection.execute(query):
                found.setdefault(name, []).append((table.name, *values))
    return {name: sorted(rows) for name, rows in found.items()}


def test_an_old_import_lies_in_parquet_as_soon_as_it_is_acknowledged(ledger: Ledger) -> None:
    assert history(ledger, an_hour()) == (60, 0, 0)
    assert count(ledger, energy_interval) == 0
    (day,) = days(ledger)
    assert (day.day_ms, len(day.files), day.is_cleared) == (T, 1, True)
    answer = ledger.sci(start_ms=T + 90_000, end_ms=T + MS_PER_HOUR - 30_000)
    sent = [row["energy_mj"] for row in an_hour()]
    assert answer.energy_mj == sum(sent[2:-1]) + sent[1] - sent[1] // 2 + sent[-1] // 2
    assert count(ledger, energy_interval) == count(ledger, opened_device) == 0
    assert retain(ledger.context) == 0


def test_what_is_still_hot_stays_so(ledger: Ledger) -> None:
    """An interval over the border is cut there."""
    hot = ledger.context.hot_from_ms
    assert history(ledger, [interval(hot - 600_000, hot + 600_000, 4_000)]) == (1, 0, 0)
    assert count(ledger, energy_interval) == 2
    assert [day.day_ms for day in days(ledger)] == [hot - MS_PER_DAY]
    assert sum(row[3] for row in raw(ledger, hot - MS_PER_DAY)["gpu-0"]) == 4_000


def test_what_is_sent_again_is_known_and_what_contradicts_is_kept_apart(ledger: Ledger) -> None:
    history(ledger, an_hour())
    before = raw(ledger), rolled(ledger)
    other = interval(T, T + 60_000, 5)
    beside = interval(T + 30_000, T + 90_000, 7)
    assert history(ledger, [*an_hour(), other, beside]) == (0, 60, 2)
    assert history(ledger, [*an_hour("gpu-1"), *an_hour("gpu-1")[:3]]) == (60, 3, 0)
    assert raw(ledger)["gpu-0"] == before[0]["gpu-0"]
    assert rolled(ledger)["gpu-0"] == before[1]["gpu-0"]
    with reading(ledger.context.engine) as connection:
        reasons = connection.scalars(select(interval_conflict.c.reason)).all()
    assert sorted(reasons) == ["overlap", "value"]


def some_rows(rng: random.Random, gpu: str) -> list[dict[str, Any]]:
    """Rows of two lengths of one device over one or two days, none of which contradicts another:
    the shorter count where both are."""
    rows = []
    for hour in rng.sample((1, 2, 23, 24, 40), 3):
        at = T + hour * MS_PER_HOUR
        rows += [
            interval(at + n * 60_000, at + (n + 1) * 60_000, rng.randrange(10**7), gpu, **who)
            for n in range(rng.randrange(8))
            for who in rng.sample(({"run": "r1"}, {"run": "r2"}, {}), rng.randrange(1, 3))
        ]
        wide = rng.randrange(2, 6) * 100_000
        rows.append(interval(at, at + wide, rng.randrange(10**9), gpu))
    rng.shuffle(rows)
    return rows


def in_parts(rng: random.Random, rows: list[Any]) -> Iterator[list[Any]]:
    at = 0
    while at < len(rows):
        size = rng.randrange(1, 20)
        yield rows[at : at + size]
        at += size


def test_any_split_between_sealed_and_straight_is_the_same_to_the_bit(
    engine: Engine, new_context: Callable[[Engine], Context]
) -> None:
    """Of ten devices a part was sent in time and sealed; the rest is brought later, in parts,
    each perhaps twice. Beside each stands one of which everything came in time."""
    rng = random.Random(4)
    clock = FakeClock(T + 3 * MS_PER_DAY)
    made = Ledger(Context(engine, new_context(engine).settings, clock))
    made.intensity(T, [100.0 + n for n in range(72)], published_ms=T)
    brought: list[dict[str, Any]] = []
    for n in range(10):
        rows = some_rows(rng, f"whole-{n}")
        made.send(rows)
        same = [{**row, "device": f"split-{n}"} for row in rows]
        in_time = rng.choice((0, rng.randrange(len(rows)), len(rows)))
        if in_time:
            made.send(same[:in_time])
        brought += same[in_time:]
    roll_up(made.context)
    clock.advance(20 * 86_400)
    assert retain(made.context) == 2
    rng.shuffle(brought)
    for part in in_parts(rng, brought):
        for _ in range(rng.choice((1, 1, 2))):
            made.send(part, is_import=True)
        if rng.random() < 0.1:
            roll_up(made.context)
    for _ in range(2):
        found, sums = raw(made), rolled(made)
        for n in range(10):
            assert found[f"split-{n}"] == found[f"whole-{n}"]
            assert sums[f"split-{n}"] == sums[f"whole-{n}"]
        clock.advance(QUIET_MS / 1000)
        retain(made.context)  # each day in one file again
    assert [len(day.files) for day in days(made)] == [1, 1]
    assert count(made, energy_interval) == 0
    made.close()


def test_a_device_that_is_open_takes_its_rows_where_they_count(ledger: Ledger) -> None:
    history(ledger, an_hour())
    ledger.send([interval(T - 20_000, T - 10_000, 5), interval(T + MS_PER_HOUR, T + 3_700_000, 9)])
    assert count(ledger, opened_device) == 1  # the day before has no file, and nothing to open
    again = [*an_hour(), *an_hour(at=T + 2 * MS_PER_HOUR), *an_hour("gpu-1")]
    assert history(ledger, again) == (120, 60, 0)
    assert (
        sum(row[3] for row in raw(ledger)["gpu-0"])
        == 2 * sum(row["energy_mj"] for row in an_hour()) + 9
    )
    before = raw(ledger, T - MS_PER_DAY, 3 * MS_PER_DAY), rolled(ledger)
    later(ledger, QUIET_MS)
    assert retain(ledger.context) == 2
    assert count(ledger, energy_interval) == count(ledger, opened_device) == 0
    assert (raw(ledger, T - MS_PER_DAY, 3 * MS_PER_DAY), rolled(ledger)) == before


def test_a_day_that_waits_to_be_sealed_takes_them_as_any_rows(ledger: Ledger) -> None:
    ledger.send(an_hour("gpu-1"))
    assert history(ledger, an_hour()) == (60, 0, 0)
    assert count(ledger, energy_interval) == 120
    before = raw(ledger), rolled(ledger)
    assert retain(ledger.context) == 1
    assert (raw(ledger), rolled(ledger)) == before


@pytest.mark.parametrize("dies_in", ["add_file", "write"])
def test_an_import_that_dies_leaves_nothing_and_begun_again_is_whole(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    history(ledger, an_hour())
    before = raw(ledger), rolled(ledger)

    def dies(*_: Any) -> Any:
        raise OSError("the power went")

    where = straight_to_cold if dies_in == "add_file" else cold_store(ledger.context)
    monkeypatch.setattr(where, dies_in, dies)
    with pytest.raises(OSError, match="the power went"):
        history(ledger, an_hour(at=T + MS_PER_HOUR))
    assert (raw(ledger), rolled(ledger)) == before
    monkeypatch.undo()
    assert history(ledger, an_hour(at=T + MS_PER_HOUR)) == (60, 0, 0)
    assert history(ledger, an_hour(at=T + MS_PER_HOUR)) == (0, 60, 0)
    assert len(raw(ledger)["gpu-0"]) == 120


def test_importers_at_once_on_one_day_count_each_row_once(ledger: Ledger) -> None:
    """As two servers on one database: each has its writer, and knows nothing of the other."""
    other = Ledger(ledger.context, seq=1_000)
    parts = [an_hour(f"gpu-{n}", T + at * MS_PER_HOUR) for n in range(2) for at in range(4)]
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda n: history((ledger, other)[n % 2], parts[n // 2]), range(16)))
    assert sorted(told) == [(0, 60, 0)] * 8 + [(60, 0, 0)] * 8
    energy = [row["energy_mj"] for row in an_hour()]
    assert {n: sum(r[3] for r in rows) for n, rows in raw(ledger).items()} == dict.fromkeys(
        ("gpu-0", "gpu-1"), 4 * sum(energy)
    )
    other.close()


def test_sendings_of_one_commit_are_judged_by_each_other(ledger: Ledger) -> None:
    """An import, the same again, and what an agent sends late of the same device and day."""
    begins = threading.Event()
    waiting = ledger.writer.submit(lambda _: begins.wait(10))
    # By the clock: a sending may read before it waits, and memory's one connection is held.
    threading.Timer(0.5, begins.set).start()
    waiting_too = [
        submit(ledger, an_hour(), is_import=True),
        submit(ledger, an_hour(), is_import=True),
        submit(ledger, [interval(T + MS_PER_HOUR, T + MS_PER_HOUR + 10_000, 9)]),
        submit(ledger, an_hour(at=T + 2 * MS_PER_HOUR), is_import=True),
    ]
    told = [answer.result(timeout=10) for answer in waiting_too]
    assert waiting.result()
    assert [(one.accepted, one.duplicate) for one in told] == [(60, 0), (0, 60), (1, 0), (60, 0)]
    assert len(raw(ledger)["gpu-0"]) == 121
    before = raw(ledger), rolled(ledger)
    later(ledger, QUIET_MS)
    assert retain(ledger.context) == 1
    assert (raw(ledger), rolled(ledger)) == before


def submit(ledger: Ledger, intervals: list[dict[str, Any]], **batch: Any) -> Future[IngestAnswer]:
    ledger.seq += 1
    body = {"source": "s", "boot_id": "b", "seq": ledger.seq, "intervals": intervals, **batch}
    sent = msgspec.json.encode(body)
    answer: Future[IngestAnswer] = ledger.ingest.submit(ADMIN, decode_energy(sent), sent)
    return answer


def test_a_day_that_is_being_written_when_an_import_joins_it_is_written_anew(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carbon.services.rollup import retention

    history(ledger, an_hour())
    roll_up(ledger.context)
    hours = retention._hours

    def with_an_import(*asked: Any) -> Any:
        yield from hours(*asked)
        history(ledger, an_hour("gpu-1"))
        roll_up(ledger.context)

    monkeypatch.setattr(retention, "_hours", with_an_import)
    assert not seal(ledger.context, T)
    monkeypatch.undo()
    assert {name: len(rows) for name, rows in raw(ledger).items()} == {"gpu-0": 60, "gpu-1": 60}


def test_many_small_imports_leave_few_files_and_whoever_reads_one_may_go_on(ledger: Ledger) -> None:
    store = cold_store(ledger.context)
    for n, row in enumerate(an_hour()):
        history(ledger, [row])
        (day,) = days(ledger)
        assert len(day.files) <= 1 + (n + 1).bit_length()
    with reading(ledger.context.engine) as connection:
        joined = connection.scalars(select(cold_leftover.c.file)).all()
    for name in (*joined, *day.files):
        assert store.read([name], T, T + MS_PER_DAY).size
    later(ledger, 2 * QUIET_MS)
    before = raw(ledger), rolled(ledger)
    retain(ledger.context)
    later(ledger, 2 * QUIET_MS)
    retain(ledger.context)
    files = list((ledger.context.settings.data_dir / "cold").rglob("*.parquet"))
    assert len(files) == 1
    assert count(ledger, cold_leftover) == 0
    assert (raw(ledger), rolled(ledger)) == before


def test_buckets_past_their_days_are_summed_from_the_file(ledger: Ledger) -> None:
    later(ledger, 100 * MS_PER_DAY)
    retain(ledger.context)
    history(ledger, an_hour())
    whole = ledger.sci(start_ms=T, end_ms=T + MS_PER_HOUR)
    assert whole.energy_mj == sum(row["energy_mj"] for row in an_hour())
    retain(ledger.context)
    assert count(ledger, bucket) == 0
    assert ledger.sci(start_ms=T, end_ms=T + MS_PER_HOUR) == whole
    history(ledger, [interval(T + 70 * 60_000, T + 70 * 60_000 + BUCKET_MS, 777)])
    assert ledger.sci(start_ms=T, end_ms=T + 2 * MS_PER_HOUR).energy_mj == whole.energy_mj + 777


def test_a_zone_told_after_the_rows_prices_them_anew(ledger: Ledger) -> None:
    history(ledger, an_hour())
    ledger.intensity(T, [500.0] * 3, zone="FR", published_ms=T)
    before = ledger.sci(start_ms=T, end_ms=T + MS_PER_HOUR)
    history(ledger, an_hour()[:1], zone="FR")
    after = ledger.sci(start_ms=T, end_ms=T + MS_PER_HOUR)
    assert after.energy_mj == before.energy_mj
    assert (list(before.zones), list(after.zones)) == (["DE"], ["FR"])
    assert count(ledger, workload_hour) > 0


def test_any_store_that_fsspec_knows(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    pytest.importorskip("fsspec", reason="fsspec is absent")
    context = new_context(memory)
    settings = context.settings.model_copy(update={"cold_store": f"memory://cold-{id(memory)}"})
    made = Ledger(Context(memory, settings, FakeClock(T + 20 * MS_PER_DAY)))
    for at in range(3):
        history(made, an_hour(at=T + at * MS_PER_HOUR))
    assert count(made, energy_interval) == 0
    before = raw(made), rolled(made)
    assert len(before[0]["gpu-0"]) == 180
    later(made, 2 * QUIET_MS)
    retain(made.context)
    assert (raw(made), rolled(made)) == before
    made.close()
