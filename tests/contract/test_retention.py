"""Raw rows go cold, answer from there, and come back for what is late, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger import Ledger, interval
from sqlalchemy import Engine, func, select

from carbon.clock import FakeClock
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR
from carbon.errors import CarbonError
from carbon.services.context import Context
from carbon.services.rollup.retention import QUIET_MS, retain, seal
from carbon.services.rollup.rollup import roll_up
from carbon.storage.energy import energy_interval, interval_conflict
from carbon.storage.engine import reading
from carbon.storage.rollups import bucket, quarter_hour
from carbon.storage.sealed_days import opened_device, sealed_day

#: 2026-03-02 00:00 UTC.
T = 1_772_409_600_000


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """Two days of two devices; it is the evening of the second."""
    context = new_context(engine)
    made = Ledger(Context(engine, context.settings, FakeClock(T + 2 * MS_PER_DAY)))
    made.intensity(T, [100.0 + n for n in range(48)], published_ms=T)
    for day in range(2):
        made.send(
            [
                interval(
                    at + n * 10_000, at + (n + 1) * 10_000, 3_000_001 + n, f"gpu-{d}", run=f"r{d}"
                )
                for d in range(2)
                for at in [T + day * MS_PER_DAY + 23 * MS_PER_HOUR + 300_000 * d]
                for n in range(75)
            ]
        )
    roll_up(made.context)
    yield made
    made.close()


def later(ledger: Ledger, days: float) -> None:
    clock = ledger.context.clock
    assert isinstance(clock, FakeClock)
    clock.advance(days * 86_400)


def count(ledger: Ledger, table: Any) -> int:
    with reading(ledger.context.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def contents(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    roll_up(ledger.context)
    found = {}
    with reading(ledger.context.engine) as connection:
        for table in (bucket, quarter_hour):
            columns = [c for c in table.c if c.name != "recorded_ms"]
            found[table.name] = sorted(tuple(r) for r in connection.execute(select(*columns)))
    return found


EDGES = {"start_ms": T + 23 * MS_PER_HOUR + 25_000, "end_ms": T + 23 * MS_PER_HOUR + 1_033_000}


def test_old_days_go_cold_and_answer_as_before(ledger: Ledger) -> None:
    before = ledger.sci(**EDGES), ledger.sci(run="r0"), contents(ledger)
    assert retain(ledger.context) == 0
    later(ledger, 14)
    assert retain(ledger.context) == 2
    assert count(ledger, energy_interval) == 0
    assert (ledger.sci(**EDGES), ledger.sci(run="r0"), contents(ledger)) == before
    assert "window_snapped" not in before[0].flags
    files = list((ledger.context.settings.data_dir / "cold").rglob("*.parquet"))
    assert [f.parent.name for f in sorted(files)] == ["day=2026-03-02", "day=2026-03-03"]
    assert retain(ledger.context) == 0


def test_a_late_row_changes_its_own_buckets_alone(ledger: Ledger) -> None:
    """A row of day 1 that arrives on day 20."""
    later(ledger, 19)
    retain(ledger.context)
    before = contents(ledger)
    at = T + 23 * MS_PER_HOUR
    answer = ledger.send([interval(at - 20_000, at - 10_000, 777, "gpu-0", run="r0")])
    assert (answer.accepted, answer.duplicate) == (1, 0)
    after = contents(ledger)
    changed = set(after["bucket"]) ^ set(before["bucket"])
    assert {row[0] for row in changed} == {at - BUCKET_MS}
    assert sum(r[5] for r in after["bucket"]) - sum(r[5] for r in before["bucket"]) == 777
    assert count(ledger, opened_device) == 1
    later(ledger, 1 + QUIET_MS / MS_PER_DAY)
    assert retain(ledger.context) == 1
    assert count(ledger, energy_interval) == count(ledger, opened_device) == 0
    assert contents(ledger) == after
    with reading(ledger.context.engine) as connection:
        rows = dict(connection.execute(select(sealed_day.c.day_ms, sealed_day.c.rows)).all())
    assert rows == {T: 151, T + MS_PER_DAY: 150}
    later(ledger, 2 * QUIET_MS / MS_PER_DAY)
    assert retain(ledger.context) == 0
    assert len(list((ledger.context.settings.data_dir / "cold").rglob("*.parquet"))) == 2


def test_what_is_sent_again_after_sealing_is_judged_by_what_lies_there(ledger: Ledger) -> None:
    later(ledger, 15)
    retain(ledger.context)
    before = contents(ledger)
    at = T + 23 * MS_PER_HOUR
    same = interval(at, at + 10_000, 3_000_001, "gpu-0", run="r0")
    other = interval(at + 10_000, at + 20_000, 5, "gpu-0", run="r0")
    answer = ledger.send([same, other])
    assert (answer.accepted, answer.duplicate, answer.conflict) == (0, 1, 1)
    assert contents(ledger) == before
    assert count(ledger, interval_conflict) == 1


def test_rows_that_come_while_a_day_is_written_void_its_file(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(ledger, 15)
    from carbon.services.rollup import retention

    hours = retention._hours

    def with_a_late_row(context: Context, day_ms: int, old: str | None) -> Any:
        yield from hours(context, day_ms, old)
        ledger.send([interval(T + 5_000, T + 15_000, 9, "gpu-1", run="r1")])
        roll_up(context)

    monkeypatch.setattr(retention, "_hours", with_a_late_row)
    assert not seal(ledger.context, T)
    assert count(ledger, energy_interval) == 301
    monkeypatch.undo()
    assert retain(ledger.context) == 2
    with reading(ledger.context.engine) as connection:
        assert connection.scalar(select(func.sum(sealed_day.c.rows))) == 301


def test_buckets_go_after_their_days_and_windows_snap(ledger: Ledger) -> None:
    whole = ledger.sci(start_ms=T, end_ms=T + 2 * MS_PER_DAY)
    quarters = contents(ledger)["quarter_hour"]
    later(ledger, 91)
    retain(ledger.context)
    assert count(ledger, bucket) == 0
    assert ledger.sci(start_ms=T, end_ms=T + 2 * MS_PER_DAY) == whole
    assert "window_snapped" in ledger.sci(**EDGES).flags
    at = T + 23 * MS_PER_HOUR
    ledger.send([interval(at + 100_000, at + 110_000, 777, "gpu-1", run="r1")])
    late = ledger.sci(start_ms=T, end_ms=T + 2 * MS_PER_DAY)
    assert late.energy_mj == whole.energy_mj + 777
    assert len(contents(ledger)["quarter_hour"]) >= len(quarters)
    retain(ledger.context)
    assert count(ledger, bucket) == 0
    assert ledger.sci(start_ms=T, end_ms=T + 2 * MS_PER_DAY) == late


def test_a_lost_file_is_one_clear_error(ledger: Ledger) -> None:
    later(ledger, 15)
    retain(ledger.context)
    for file in (ledger.context.settings.data_dir / "cold").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(CarbonError) as error:
        ledger.sci(**EDGES)
    assert error.value.code == "cold_not_readable"


def test_a_small_row_in_parquet(memory: Engine, new_context: Callable[[Engine], Context]) -> None:
    """A day of four devices at 10 s: at most 10 bytes a row."""
    from carbon.bench.generated.fleet import Fleet
    from carbon.bench.generated.year import Year

    context = new_context(memory)
    Year(context, Fleet(gpus=4, workload_count=3, teams=1), 2, 1.0).write()
    assert isinstance(context.clock, FakeClock)
    context.clock.advance(16 * 86_400)
    assert retain(context) == 1
    with reading(memory) as connection:
        rows, size = connection.execute(select(sealed_day.c.rows, sealed_day.c.bytes)).one()
    assert rows == 4 * 8_640
    assert size / rows <= 10


@pytest.mark.slow
def test_an_object_store(
    memory: Engine, new_context: Callable[[Engine], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3's protocol, spoken by a server of its own."""
    moto = pytest.importorskip("moto.server", reason="moto (an S3 server from pip) is absent")
    boto3 = pytest.importorskip("boto3", reason="boto3 is absent")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="cold")
    address = f"s3://cold/ledger?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    context = new_context(memory)
    settings = context.settings.model_copy(update={"cold_store": address})
    made = Ledger(Context(memory, settings, FakeClock(T + MS_PER_DAY)))
    made.send([interval(T + n * 10_000, T + (n + 1) * 10_000, 3_000 + n) for n in range(90)])
    before = made.sci(start_ms=T + 5_000, end_ms=T + 895_000)
    later(made, 15)
    assert retain(made.context) == 1
    assert count(made, energy_interval) == 0
    assert made.sci(start_ms=T + 5_000, end_ms=T + 895_000) == before
    made.send([interval(T + 900_000, T + 910_000, 5)])
    roll_up(made.context)
    later(made, 1)
    assert retain(made.context) == 1
    made.close()
    server.stop()
