"""Slurm's accounts in the shape that sacct --parsable2 prints."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from carbon.errors import InvalidInput
from carbon.imports.harvest import Harvest
from carbon.imports.sacct import SlurmJob, nodes_of, read_sacct, simulate_rows, to_batches

HEAD = "JobID|JobName|User|Account|State|Submit|Start|End|AllocCPUS|NodeList|ConsumedEnergyRaw"
UTC = ZoneInfo("UTC")


def line(
    job: str,
    start: str,
    end: str,
    nodes: str = "gpu01",
    energy: str = "360000",
    cpus: int = 8,
    account: str = "ml",
    name: str = "train-7",
) -> str:
    day = "2026-03-01T"
    return (
        f"{job}|{name}|ana|{account}|COMPLETED|{day}{start}|{day}{start}|{day}{end}|{cpus}|{nodes}"
        f"|{energy}"
    )


def read(*lines: str, zone: ZoneInfo = UTC) -> tuple[list[SlurmJob], Harvest]:
    harvest = Harvest()
    return read_sacct([HEAD, *lines], zone, harvest), harvest


def codes(harvest: Harvest) -> set[str]:
    return {code for code, _ in harvest.troubles}


def test_a_job_is_a_run_of_its_accounts_team() -> None:
    [job], _ = read(line("123", "08:00:00", "09:00:00"))
    assert (job.workload, job.run, job.nodes) == ("ml/auto-train-0", "slurm-123", ("gpu01",))
    assert job.end_ms - job.start_ms == 3_600_000


def test_times_are_the_clusters() -> None:
    [job], _ = read(line("1", "08:00:00", "09:00:00"), zone=ZoneInfo("Europe/Berlin"))
    [other], _ = read(line("1", "07:00:00", "08:00:00"))
    assert job.start_ms == other.start_ms


def test_steps_running_and_cancelled_jobs_are_passed_over() -> None:
    jobs, harvest = read(
        line("1.batch", "08:00:00", "09:00:00"),
        line("2", "08:00:00", "08:00:00"),
        line("3", "08:00:00", "09:00:00").replace("2026-03-01T09:00:00", "Unknown"),
        line("4", "08:00:00", "09:00:00", nodes="None assigned"),
    )
    assert (jobs, codes(harvest)) == ([], set())


def test_energy_of_a_job_alone_on_its_node_is_the_jobs() -> None:
    jobs, harvest = read(line("1", "08:00:00", "09:00:00"), line("2", "09:00:00", "10:00:00"))
    [batch] = to_batches(jobs, harvest)
    assert [one.energy_mj for one in batch.intervals] == [360_000_000] * 2
    assert {one.method for one in batch.intervals} == {"imported"}
    assert {one.share_ppm for one in batch.reservations} == {1_000_000}
    assert (batch.host, batch.is_import, codes(harvest)) == ("gpu01", True, set())


def test_energy_of_a_shared_node_is_nobodys_and_told() -> None:
    jobs, harvest = read(
        line("1", "08:00:00", "09:00:00", cpus=24), line("2", "08:30:00", "10:00:00", cpus=8)
    )
    [batch] = to_batches(jobs, harvest)
    assert batch.intervals == []
    assert [one.share_ppm for one in batch.reservations] == [750_000, 250_000]
    assert codes(harvest) == {"shared_node_energy"}


def test_energy_of_several_nodes_is_split_to_the_mj() -> None:
    jobs, harvest = read(line("1", "08:00:00", "09:00:00", nodes="gpu[01-03]", energy="1000"))
    batches = list(to_batches(jobs, harvest))
    assert [batch.host for batch in batches] == ["gpu01", "gpu02", "gpu03"]
    assert sum(one.energy_mj for batch in batches for one in batch.intervals) == 1_000_000


@pytest.mark.parametrize("blank", ["", "0", "4294967294", "18446744073709551614"])
def test_energy_that_was_not_read_is_missing_and_never_zero(blank: str) -> None:
    jobs, harvest = read(line("1", "08:00:00", "09:00:00", energy=blank))
    [batch] = to_batches(jobs, harvest)
    assert (batch.intervals, len(batch.reservations)) == ([], 1)
    assert codes(harvest) == {"energy_missing"}


def test_energy_that_cannot_be_is_told() -> None:
    jobs, harvest = read(line("1", "08:00:00", "08:00:10", energy="900000000"))
    [batch] = to_batches(jobs, harvest)
    assert (batch.intervals, codes(harvest)) == ([], {"implausible_power"})


def test_a_line_that_cannot_be_read_is_told_and_the_others_count() -> None:
    jobs, harvest = read(line("1", "noon", "09:00:00"), line("2", "08:00:00", "09:00:00"))
    assert [job.id for job in jobs] == ["2"]
    assert codes(harvest) == {"line_unreadable"}


def test_a_line_that_was_cut_off_is_told_and_the_others_count() -> None:
    whole = line("2", "08:00:00", "09:00:00")
    for kept in range(1, whole.count("|")):
        jobs, harvest = read("|".join(whole.split("|")[:kept]), whole)
        assert ([job.id for job in jobs], codes(harvest)) == (["2"], {"line_unreadable"})


def test_without_its_heading_it_is_no_list_of_jobs() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_sacct([line("1", "08:00:00", "09:00:00")], UTC, Harvest())
    assert caught.value.code == "column_missing"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("gpu[01-03,7],login", ["gpu01", "gpu02", "gpu03", "gpu7", "login"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ],
)
def test_lists_of_nodes(text: str, names: list[str]) -> None:
    assert list(nodes_of(text)) == names


def test_the_jobs_can_be_replayed() -> None:
    jobs, _ = read(line("1", "08:00:00", "09:00:00"), line("2", "08:10:00", "08:20:00", cpus=2))
    assert list(simulate_rows(jobs)) == [(0.0, 3600.0, 8), (600.0, 600.0, 2)]
