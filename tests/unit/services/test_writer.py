"""The one writer: groups, failures, back-pressure."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest
from job_house import fresh_engine
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from carbon.errors import InvalidInput, TooBusy
from carbon.services.context import Context
from carbon.services.ingest.writer import Work, Writer
from carbon.storage.engine import Pen, checkpoint, create_engine, execute, reading, writing
from carbon.storage.identities import Identities
from carbon.storage.names import host


@pytest.fixture
def context(new_context: Callable[[Engine], Context]) -> Context:
    return new_context(fresh_engine())


@pytest.fixture
def writer(context: Context) -> Iterator[Writer]:
    made = Writer(context)
    yield made
    made.stop()


def hosts(context: Context) -> list[str]:
    with reading(context.engine) as connection:
        return sorted(connection.scalars(select(host.c.name)))


def making(name: str) -> Work:
    return lambda ids: ids.host(name)


def failing(name: str) -> Work:
    def work(ids: Identities) -> None:
        ids.host(name)
        raise InvalidInput("bad", "this one cannot be written")

    return work


def settled(futures: list[Future[Any]]) -> None:
    assert not wait(futures, timeout=20).not_done


def test_what_is_committed_leaves_sqlites_log_before_it_is_full(
    new_context: Callable[[Engine], Context], tmp_path: Path
) -> None:
    """Nobody who commits has to bring it in."""
    file = tmp_path / "a.db"
    engine = create_engine(f"sqlite:///{file}")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    checkpoint(engine)
    before = file.stat().st_size
    writer = Writer(new_context(engine))
    writer.start()

    def fill(ids: Identities) -> None:
        rows = ", ".join(f"('{'x' * 4000}')" for _ in range(1_000))
        ids.connection.exec_driver_sql(f"INSERT INTO t VALUES {rows}")

    writer.submit(fill).result(timeout=20)
    deadline = time.monotonic() + 20
    while file.stat().st_size < before + 4_000_000 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert file.stat().st_size >= before + 4_000_000
    writer.stop()
    engine.dispose()


def test_the_writers_connection_is_taken_anew_after_an_error_and_after_a_rest(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    taken: list[int] = []
    connect = made.connect
    monkeypatch.setattr(made, "connect", lambda: taken.append(1) or connect())
    pen = Pen(made)
    for _ in range(3):
        with pen.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (x)")
    assert len(taken) == 1
    with pytest.raises(ZeroDivisionError), pen.writing() as connection:
        assert connection.exec_driver_sql("INSERT INTO t VALUES (1)").rowcount / 0
    with pen.writing() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    assert len(taken) == 2
    monkeypatch.setattr("carbon.storage.engine._REST_S", 0.0)
    with pen.writing() as connection, pytest.raises(OperationalError):
        execute(connection, "no statement")
    assert len(taken) == 3
    pen.close()
    made.dispose()


def test_sendings_that_wait_share_a_group_and_each_has_its_answer(
    context: Context, writer: Writer
) -> None:
    futures = [writer.submit(making(f"h{n}")) for n in range(100)]
    writer.start()
    settled(futures)
    assert len({future.result() for future in futures}) == 100
    assert len(hosts(context)) == 100


def test_one_failing_sending_sinks_no_other_and_leaves_nothing_behind(
    context: Context, writer: Writer
) -> None:
    good = [writer.submit(making(f"h{n}")) for n in range(3)]
    bad = writer.submit(failing("ghost"))
    good += [writer.submit(making(f"h{n}")) for n in range(3, 6)]
    writer.start()
    settled([*good, bad])
    assert isinstance(bad.exception(), InvalidInput)
    assert hosts(context) == [f"h{n}" for n in range(6)]
    assert len({future.result() for future in good}) == 6


def test_an_id_that_was_rolled_back_is_never_handed_out(context: Context, writer: Writer) -> None:
    """What failed had made `h`; who comes next must find or make it anew."""
    writer.start()
    assert isinstance(writer.submit(failing("h")).exception(timeout=20), InvalidInput)
    other = writer.submit(making("other")).result(timeout=20)
    again = writer.submit(making("h")).result(timeout=20)
    assert again != other
    with reading(context.engine) as connection:
        assert connection.scalar(select(host.c.id).where(host.c.name == "h")) == again


def test_too_many_that_wait_are_told_to_come_back(writer: Writer) -> None:
    while writer.depth < 256:
        writer.submit(making(f"h{writer.depth % 5}"))
    with pytest.raises(TooBusy) as caught:
        writer.submit(making("one more"))
    assert caught.value.code == "ingest_full"
    assert caught.value.retry_after_s >= 1
    assert writer.depth > 0
    writer.start()


def test_stopping_finishes_what_is_queued(context: Context) -> None:
    writer = Writer(context)
    futures = [writer.submit(making(f"h{n}")) for n in range(40)]
    writer.start()
    writer.stop()
    assert all(future.done() for future in futures)
    assert len(hosts(context)) == 40


def test_a_caller_that_gave_up_stops_nobody_else(context: Context, writer: Writer) -> None:
    """As when a client hangs up while its batch waits."""
    given_up = writer.submit(making("a"))
    given_up.cancel()
    writer.start()
    assert writer.submit(making("b")).result(timeout=20)
    assert "b" in hosts(context)


def test_the_writer_lives_on_after_any_error(writer: Writer) -> None:
    def broken(_ids: Identities) -> None:
        raise RuntimeError("not one of ours")

    writer.start()
    for _ in range(3):
        assert isinstance(writer.submit(broken).exception(timeout=20), RuntimeError)
    assert writer.submit(making("h")).result(timeout=20)


def test_an_answer_is_given_after_the_commit(context: Context, writer: Writer) -> None:
    """Asked from the callback of the answer, the row is there for everybody."""
    seen: list[list[str]] = []
    asked = threading.Event()

    def look(_future: Future[Any]) -> None:
        seen.append(hosts(context))
        asked.set()

    future = writer.submit(making("h"))
    future.add_done_callback(look)
    writer.start()
    assert asked.wait(20)
    assert seen == [["h"]]


async def _posted(writer: Writer, works: list[Work]) -> list[Any]:
    """The answers of an event loop's sendings; the writer begins when all are queued."""
    futures = [writer.post(work) for work in works]
    woken = asyncio.get_running_loop()
    wakings: list[int] = []
    call = woken.call_soon_threadsafe

    def count(callback: Callable[..., object], *told: Any, **rest: Any) -> Any:
        wakings.append(len(told))
        return call(callback, *told, **rest)

    woken.call_soon_threadsafe = count  # type: ignore[method-assign,assignment]
    writer.start()
    answers = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 20)
    return [*answers, wakings]


def test_an_event_loop_is_woken_once_for_all_answers_of_a_commit(
    context: Context, writer: Writer
) -> None:
    *answers, wakings = asyncio.run(_posted(writer, [making(f"h{n}") for n in range(50)]))
    assert len(set(answers)) == 50
    assert len(hosts(context)) == 50
    assert wakings == [50]


def test_of_an_event_loops_sendings_the_failing_one_alone_fails(
    context: Context, writer: Writer
) -> None:
    works = [making("a"), failing("ghost"), making("b")]
    first, second, third, _ = asyncio.run(_posted(writer, works))
    assert isinstance(second, InvalidInput)
    assert first != third
    assert hosts(context) == ["a", "b"]


def test_who_hung_up_is_written_all_the_same_and_others_are_answered(
    context: Context, writer: Writer
) -> None:
    async def hang_up() -> int:
        writer.post(making("gone")).cancel()
        stays = writer.post(making("stays"))
        writer.start()
        answer: int = await asyncio.wait_for(stays, 20)
        return answer

    assert asyncio.run(hang_up())
    assert hosts(context) == ["gone", "stays"]


def test_a_loop_that_has_ended_stops_the_writer_from_nothing(
    context: Context, writer: Writer
) -> None:
    async def leave() -> None:
        writer.post(making("a"))

    asyncio.run(leave())
    writer.start()
    assert writer.submit(making("b")).result(timeout=20)
    assert hosts(context) == ["a", "b"]


def test_an_event_loop_is_told_to_come_back_as_well(writer: Writer) -> None:
    async def post_one_more() -> None:
        writer.post(making("one more"))

    while writer.depth < 256:
        writer.submit(making(f"h{writer.depth % 5}"))
    with pytest.raises(TooBusy):
        asyncio.run(post_one_more())
    writer.start()


def test_small_sendings_are_handed_over_at_the_end_of_the_loops_turn(writer: Writer) -> None:
    """They count as waiting at once; a large one goes to the writer without them."""

    async def post() -> tuple[int, list[Any]]:
        posted = [writer.post(making(f"h{n}")) for n in range(16)]
        large = writer.submit(making("large"), 1_000)
        large.result(timeout=20)
        waiting = writer.depth
        return waiting, await asyncio.wait_for(asyncio.gather(*posted), 30)

    writer.start()
    waiting, answers = asyncio.run(post())
    assert waiting == 16
    assert len(set(answers)) == 16
