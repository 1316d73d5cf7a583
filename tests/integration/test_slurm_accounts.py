"""A real slurmdbd over a real MariaDB: what sacct prints of jobs that ran is what we import."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from slurm_house import accounting_cluster

from carbon.imports.harvest import Harvest
from carbon.imports.sacct import read_sacct, to_batches

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

#: As docs/imports.md has it.
FORMAT = "JobID,JobName,User,Account,State,Submit,Start,End,AllocCPUS,NodeList,ConsumedEnergyRaw"
ACCOUNT = "vision"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    missing = [p for p in ("slurmdbd", "mariadbd", "mariadb-install-db") if not shutil.which(p)]
    if missing:
        pytest.skip(f"no {missing[0]}: install Debian's slurmdbd and mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="carbon-slurmdb-"))
    try:
        with accounting_cluster(folder):
            slurm("sacctmgr", "-i", "add", "account", ACCOUNT)
            slurm("sacctmgr", "-i", "add", "user", "root", f"account={ACCOUNT}")
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def slurm(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
    return done.stdout


def sacct() -> str:
    """In UTC, as the test asks: sacct prints local times without a zone."""
    command = ["sacct", "--allusers", "--allocations", "--parsable2", "--starttime=now-1hour"]
    done = subprocess.run(
        [*command, f"--format={FORMAT}"],
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def until(happened: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end, sacct()
        time.sleep(0.3)


def submitted(script: str, *options: str) -> str:
    command = ["sbatch", "--parsable", "--chdir=/", "--output=/dev/null", f"--account={ACCOUNT}"]
    return slurm(*command, *options, f"--wrap={script}").strip()


def test_what_sacct_prints_of_jobs_that_ran_becomes_runs_of_their_account(cluster: Path) -> None:
    good = submitted("sleep 2", "--job-name=train-17")
    bad = submitted("sleep 1; exit 3", "--job-name=eval")
    array = submitted("sleep 1", "--job-name=sweep", "--array=0-1")
    never = submitted("true", "--job-name=later", "--begin=now+1hour")

    def is_done() -> bool:
        states = [line.split("|")[4] for line in sacct().splitlines()[1:]]
        return sum(state in ("COMPLETED", "FAILED") for state in states) == 4

    until(is_done)
    harvest = Harvest()
    jobs = {job.id: job for job in read_sacct(sacct().splitlines(), ZoneInfo("UTC"), harvest)}
    assert harvest.troubles == {}
    assert {good, bad, f"{array}_0", f"{array}_1"} == jobs.keys()
    assert never not in jobs  # it has not run: nothing to tell of it
    assert jobs[good].workload == f"{ACCOUNT}/auto-train-0"
    assert jobs[bad].workload == f"{ACCOUNT}/auto-eval"
    assert all(
        job.user == "root" and job.cpus >= 1 and len(job.nodes) == 1 for job in jobs.values()
    )
    assert all(0 < job.end_ms - job.start_ms < 120_000 for job in jobs.values())
    assert all(job.submit_ms <= job.start_ms <= round(time.time() * 1000) for job in jobs.values())

    batches = list(to_batches(list(jobs.values()), harvest))
    held = {one.run: one for batch in batches for one in batch.reservations}
    assert held.keys() == {job.run for job in jobs.values()}
    # No energy plugin runs here: what was not read is told, and is no zero.
    assert [one for batch in batches for one in batch.intervals] == []
    assert {code for code, _ in harvest.troubles} == {"energy_missing"}
    slurm("scancel", never)
