"""Lengths and powers are learned by team, name and class."""

from __future__ import annotations

from typing import Any

import pytest
from job_house import ADMIN, OWNER, House, job
from msgspec.structs import replace

from carbon.domain.principal import Principal
from carbon.domain.tenancy import TEAM_SCOPES
from carbon.executors.kubernetes_release import _size
from carbon.services.jobs.pools import set_pool
from carbon.services.jobs.requests import class_of
from carbon.wire.jobs import JobAnswer, JobBody, PoolBody


def ran(house: House, took_s: float, **fields: Any) -> JobAnswer:
    """A job of an unknown length that has taken so long."""
    made = house.jobs.submit(OWNER, job(length_s=took_s, **fields))
    house.jobs.start(OWNER, made.id)
    house.tick()
    house.clock.advance(took_s)
    house.executor.end(f"{made.id}-1")
    house.tick()
    return house.jobs.get(OWNER, made.id)


def of_class(name: str | None, **fields: Any) -> JobBody:
    return replace(job(length_s=None, **fields), job_class=name)


def test_a_class_teaches_itself_alone(house: House) -> None:
    ran(house, 600, job_class="large")
    ran(house, 60, job_class="small")
    assert house.jobs.submit(OWNER, of_class("large")).length_s == 600
    assert house.jobs.submit(OWNER, of_class("small")).length_s == 60
    unseen = house.jobs.submit(OWNER, of_class("huge"))
    assert (unseen.length_s, unseen.reason) == (None, "length_unknown")


def test_one_unstated_is_where_it_runs(house: House) -> None:
    set_pool(house.context, ADMIN, PoolBody("gpus", 2))
    assert ran(house, 600).job_class == "local/local"
    assert ran(house, 30, pool="gpus").job_class == "local/gpus"
    assert house.jobs.submit(OWNER, of_class(None)).length_s == 600
    assert house.jobs.submit(OWNER, of_class(None, pool="gpus")).length_s == 30
    assert house.jobs.submit(OWNER, of_class("local/gpus")).length_s == 30


def test_a_batch_of_several_classes_learns_each_its_own(house: House) -> None:
    for took_s in (60, 600):
        ran(house, took_s, job_class=f"c{took_s}")
    for name in ("c60", "c600", "c60"):
        assert house.jobs.submit(OWNER, of_class(name)).length_s == float(name[1:])


def test_another_teams_class_teaches_nothing(house: House) -> None:
    ran(house, 600, job_class="large")
    other = Principal("k9", "bob", "default2", TEAM_SCOPES | ADMIN.scopes)
    body = replace(of_class("large"), workload="default2/train")
    assert house.jobs.submit(other, body).length_s is None


def test_the_class_is_part_of_the_body(house: House) -> None:
    first = house.jobs.submit(OWNER, of_class("a"), "k")
    assert house.jobs.submit(OWNER, of_class("a"), "k").id == first.id
    with pytest.raises(Exception, match="another body"):
        house.jobs.submit(OWNER, of_class("b"), "k")


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"template": {"spec": {"containers": [{}]}}}, "1 pods"),
        (
            {
                "parallelism": 4,
                "template": {
                    "spec": {
                        "containers": [
                            {"resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "8"}}},
                            {"resources": {"limits": {"nvidia.com/gpu": 1}}},
                        ]
                    }
                },
            },
            "4 pods 3 nvidia.com/gpu",
        ),
    ],
)
def test_a_kubernetes_jobs_size_is_its_pods_and_devices(told: dict[str, Any], size: str) -> None:
    assert _size({"spec": told}) == size


def test_the_class_that_nobody_states_names_pool_and_devices() -> None:
    assert class_of("local", None) == "local/local"
    assert class_of("kubernetes", "night", "2 nvidia.com/gpu") == (
        "kubernetes/night/2 nvidia.com/gpu"
    )
