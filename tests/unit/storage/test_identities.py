"""Names to ids: the same name the same id, nothing remembered that was not committed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from carbon.domain.claims import SubjectRef
from carbon.domain.energy import MeterKind
from carbon.domain.tenancy import WorkloadName
from carbon.errors import InvalidInput
from carbon.storage.engine import writing
from carbon.storage.identities import (
    IdCache,
    Identities,
    check_room,
    find_workload,
    workload_names,
)
from carbon.storage.names import device, device_model


def test_the_same_name_is_the_same_id_in_every_transaction(engine: Engine) -> None:
    cache: IdCache = {}
    seen = set()
    for _ in range(3):
        with writing(engine) as connection:
            ids = Identities(connection, 0, cache)
            seen.add((ids.team("blue"), ids.host("h"), ids.subject(SubjectRef.parse("slurm:1"))))
        ids.remember()
    assert len(seen) == 1


def test_a_cold_cache_finds_what_another_process_made(engine: Engine) -> None:
    found = []
    for _ in range(2):
        with writing(engine) as connection:
            ids = Identities(connection, 0, {})
            found.append(ids.workload(WorkloadName("blue", "w")))
    assert found[0] == found[1]
    assert ids.created_workloads == []


def test_what_was_rolled_back_is_not_remembered(engine: Engine) -> None:
    cache: IdCache = {}
    with writing(engine) as connection:
        Identities(connection, 0, cache).host("ghost")
        connection.rollback()
    assert cache == {}
    with writing(engine) as connection:
        ids = Identities(connection, 0, cache)
        other = ids.host("other")
        assert ids.host("ghost") != other


def test_what_is_created_is_told_once(engine: Engine) -> None:
    with writing(engine) as connection:
        ids = Identities(connection, 0, {})
        ids.device("gpu-0", ids.host("h"))
        ids.workload(WorkloadName("blue", "w"))
        assert ids.take_created_devices() == ["gpu-0"]
        assert ids.take_created_workloads() == ["blue/w"]
        ids.device("gpu-0", ids.host("h"))
        ids.workload(WorkloadName("blue", "w"))
        assert ids.take_created_devices() == ids.take_created_workloads() == []


def test_names_of_two_teams_are_two_workloads(engine: Engine) -> None:
    with writing(engine) as connection:
        ids = Identities(connection, 0, {})
        names = [WorkloadName(team, "w") for team in ("blue", "red")]
        assert len({ids.workload(name) for name in names}) == 2
        assert [name for _, name in workload_names(connection)] == names
        assert [name for _, name in workload_names(connection, "red")] == names[1:]
        assert find_workload(connection, WorkloadName("red", "nothing")) is None


def test_a_meter_is_a_device_seen_by_a_source(memory: Engine) -> None:
    with writing(memory) as connection:
        ids = Identities(connection, 0, {})
        gpu = ids.device("gpu-0", ids.host("h"))
        agent, dcgm = (ids.source(0, name, MeterKind.AGENT) for name in ("agent", "dcgm"))
        assert ids.meter(gpu, agent) != ids.meter(gpu, dcgm)
        assert ids.meter(gpu, agent) == ids.meter(gpu, agent)


def test_a_device_is_of_unknown_kind_until_somebody_tells(memory: Engine) -> None:
    def model() -> tuple[str, str]:
        query = select(device_model.c.kind, device_model.c.model).join(device)
        return tuple(connection.execute(query).one())  # type: ignore[return-value]

    with writing(memory) as connection:
        ids = Identities(connection, 0, {})
        gpu = ids.device("gpu-0", ids.host("h"))
        assert model() == ("unknown", "")
        ids.describe_device(gpu, "gpu", "NVIDIA H100")
        assert model() == ("gpu", "NVIDIA H100")


def test_writes_create_names_up_to_a_limit(memory: Engine) -> None:
    with writing(memory) as connection:
        ids = Identities(connection, 0, {})
        for n in range(3):
            ids.workload(WorkloadName("blue", f"w{n}"))
        check_room(connection, 3)
        with pytest.raises(InvalidInput) as caught:
            check_room(connection, 2)
        assert caught.value.code == "too_many_names"
