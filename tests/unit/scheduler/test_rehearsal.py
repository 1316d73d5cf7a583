"""What is done once as the service starts, so that the first job is not the slow one."""

from __future__ import annotations

from pathlib import Path

from job_house import HOUR, OWNER, House, job
from sqlalchemy import event, func, select
from stores import migrate

from carbon.services.jobs.rehearsal import Rehearsal
from carbon.settings import Settings
from carbon.storage.engine import memory_engine, reading
from carbon.storage.schema import metadata


def rows(house: House) -> dict[str, int]:
    with reading(house.context.engine) as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
        }


def rehearse(house: House) -> None:
    Rehearsal(house.context, {"local": house.executor}).run()


def test_a_rehearsal_leaves_nothing_behind(house: House) -> None:
    house.forecast(*[400] * 30)
    before = rows(house)
    rehearse(house)
    assert rows(house) == before
    assert house.executor.begun == []


def test_after_a_rehearsal_the_first_job_has_no_statement_to_compile(tmp_path: Path) -> None:
    house = House.build(migrate(memory_engine()), tmp_path)
    house.forecast(*[400] * 30)
    rehearse(house)
    compiled: list[str] = []

    @event.listens_for(house.context.engine, "before_execute")
    def note(connection: object, statement: object, *_: object) -> None:
        cache = house.context.engine._compiled_cache
        assert cache is not None
        compiled.append(f"{len(cache)}")

    house.jobs.submit(OWNER, job(deadline="20h"))
    assert len(set(compiled)) == 1, "statements were compiled"


def test_trouble_is_left_to_the_first_real_job(tmp_path: Path, house: House) -> None:
    unknown = Settings(data_dir=tmp_path, zone="ZZ-NOWHERE", feeds=False)
    rehearsal = Rehearsal(house.context.__class__(house.context.engine, unknown, house.clock), {})
    rehearsal.start()
    rehearsal.stop()
    assert rows(house)["job"] == 0


def test_it_may_rehearse_while_jobs_come(house: House) -> None:
    house.forecast(400, 100, *[400] * 28)
    made = house.jobs.submit(OWNER, job())
    rehearse(house)
    house.clock.advance(HOUR / 1000)
    house.tick()
    assert house.executor.begun == [f"{made.id}-1"]
