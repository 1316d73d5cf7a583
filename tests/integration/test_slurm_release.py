"""Slurm users' own jobs on a real cluster: the filter, the release, and a dead carbon."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_house import ADMIN
from slurm_house import empty_the_queue, has_lua
from slurm_house import slurm_cluster as slurm_cluster
from stores import migrate

from carbon.clock import SystemClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.errors import NotFound
from carbon.executors.executor import AttemptSpec, Handle, LookState
from carbon.executors.slurm_queue import queue
from carbon.executors.slurm_release import SlurmReleaseExecutor
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.context import Context
from carbon.services.grid.intensity import record_vintage
from carbon.services.jobs.jobs import Jobs
from carbon.settings import Settings
from carbon.storage.engine import create_engine

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
HOUR = 3_600_000
DEFERRABLE = ("--time=10", "--comment=carbon:deadline=6h")


@pytest.fixture(autouse=True)
def cluster(slurm_cluster: Path) -> Iterator[None]:
    if not has_lua():
        pytest.skip("this Slurm has no Lua: install Debian's liblua5.1-0")
    yield
    empty_the_queue()


def sbatch(script: str, *options: str) -> str:
    """Its number."""
    done = _sbatch(script, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _sbatch(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["sbatch", "--parsable", "--chdir=/", "--output=/dev/null", *options]
    return subprocess.run([*command, f"--wrap={script}"], capture_output=True, text=True)


def begin_s(number: str) -> int:
    entry = queue(number)[0]
    assert entry.eligible_ms is not None
    return entry.eligible_ms // 1000


class Deployment:
    """One on this cluster, for which now is dirty and the next hours are cleaner."""

    def __init__(self, folder: Path, *g_per_kwh: float) -> None:
        engine = create_engine(f"sqlite:///{folder / 'carbon.db'}")
        migrate(engine)
        settings = Settings(data_dir=folder, zone="DE", feeds=False)
        self.context = Context(engine, settings, SystemClock())
        self.executors = {"slurm-release": SlurmReleaseExecutor()}
        self.jobs = Jobs(self.context, self.executors)
        self.scheduler = Scheduler(self.context, self.executors, Leader(self.context))
        start_ms = self.context.clock.now_ms() // HOUR * HOUR
        points = tuple(
            IntensityPoint(start_ms + i * HOUR, start_ms + (i + 1) * HOUR, g, PointKind.FORECAST)
            for i, g in enumerate(g_per_kwh)
        )
        vintage = Vintage("DE", "test", Signal.AVERAGE, EmissionScope.LIFECYCLE, start_ms, points)
        assert record_vintage(self.context, vintage) == []

    def state(self, job_id: str) -> str:
        try:
            return self.jobs.get(ADMIN, job_id).state
        except NotFound:
            return "unknown"

    def tick_until(self, job_id: str, *states: str) -> None:
        end = time.monotonic() + 60
        while self.state(job_id) not in states and time.monotonic() < end:
            self.scheduler.tick()
            time.sleep(0.2)
        assert self.state(job_id) in states


def name_of(number: str) -> str:
    return f"slurm-{number}-{queue(number)[0].submit_ms // 1000}"


def test_the_filter_fills_in_the_latest_safe_start_and_the_moment() -> None:
    before_s = int(time.time())
    number = sbatch("true", "--time=60", "--comment=carbon:deadline=8h,power=300")
    entry = queue(number)[0]
    assert entry.is_pending
    assert 0 <= begin_s(number) - (before_s + 7 * 3600 - 60) <= 30
    assert re.fullmatch(r"carbon:deadline=20..-..-..T..:..:..Z,power=300", entry.comment)


def test_the_filter_keeps_an_earliest_start_and_an_offset() -> None:
    options = ["--time=10", "--begin=now+1hour", "--comment=carbon:deadline=2099-03-01T06:00+01:00"]
    comment = queue(sbatch("true", *options))[0].comment
    assert comment.startswith("carbon:deadline=2099-03-01T05:00:00Z,earliest=20")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--time=10", "--comment=carbon:deadline=tomorrow"], "is no deadline"),
        (["--time=10", "--comment=carbon:deadline=99999999999h"], "is no deadline"),
        (["--time=10", "--comment=carbon:deadline=2026-13-01T00:00:00Z"], "is no deadline"),
        (["--time=10", "--comment=carbon:deadline=2020-01-01T00:00:00Z"], "cannot end by"),
        (["--time=60", "--comment=carbon:deadline=30m"], "cannot end by"),
        (["--comment=carbon:deadline=8h"], "needs a time limit"),
    ],
)
def test_the_filter_says_in_one_line_what_it_cannot_take(options: list[str], words: str) -> None:
    refused = _sbatch("true", *options)
    assert refused.returncode != 0
    assert words in refused.stderr


def test_jobs_that_are_none_of_carbons_pass_the_filter() -> None:
    for options in ([], ["--comment=my own"], ["--comment=carbon:attempt=x"]):
        assert _sbatch("true", *options).returncode == 0


def test_a_job_is_let_go_in_its_clean_hour_and_its_end_is_known(tmp_path: Path) -> None:
    # Now is the cleanest hour; the begin that Slurm holds lies hours ahead.
    number = sbatch("sleep 1; exit 3", *DEFERRABLE, "--account=ml", "--job-name=train-7")
    assert begin_s(number) > time.time() + 3600
    job_id = name_of(number)
    deployment = Deployment(tmp_path, 10, 10, 300, 300, 300)
    deployment.tick_until(job_id, "failed")
    ended = deployment.jobs.get(ADMIN, job_id)
    assert (ended.workload, ended.exit_code) == ("ml/auto-train-0", 3)
    assert queue(number)[0].state == "FAILED"


def test_a_job_that_waits_for_a_clean_hour_is_not_touched(tmp_path: Path) -> None:
    number = sbatch("true", *DEFERRABLE)
    before = begin_s(number)
    deployment = Deployment(tmp_path, 300, 300, 10, 300, 300, 300, 300)
    deployment.tick_until(name_of(number), "waiting")
    deployment.scheduler.tick()
    assert (queue(number)[0].state, begin_s(number)) == ("PENDING", before)


def test_carbon_now_lets_it_go_and_cancel_cancels_it(tmp_path: Path) -> None:
    first, second = sbatch("sleep 60", *DEFERRABLE), sbatch("true", *DEFERRABLE)
    deployment = Deployment(tmp_path, 300, 300, 10, 300, 300, 300, 300)
    deployment.tick_until(name_of(first), "waiting")
    deployment.jobs.start(ADMIN, name_of(first))
    deployment.tick_until(name_of(first), "running")
    deployment.jobs.cancel(ADMIN, name_of(first))
    deployment.scheduler.tick()
    deployment.jobs.cancel(ADMIN, name_of(second))
    end = time.monotonic() + 30
    while queue(second)[0].state != "CANCELLED" and time.monotonic() < end:
        deployment.scheduler.tick()
        time.sleep(0.5)
    assert queue(second)[0].state == "CANCELLED"
    assert queue(first)[0].state in ("CANCELLED", "COMPLETING")


def test_without_carbon_it_starts_by_itself_before_its_deadline(tmp_path: Path) -> None:
    # A limit of 1 min leaves 6 s of margin: its latest safe start is some seconds ahead.
    number = sbatch("sleep 2", "--time=1", "--comment=carbon:deadline=70s")
    job_id = name_of(number)
    end = time.monotonic() + 60
    while queue(number)[0].state != "COMPLETED" and time.monotonic() < end:
        time.sleep(0.5)
    entry = queue(number)[0]
    assert entry.state == "COMPLETED"
    assert entry.end_ms is not None
    assert entry.end_ms <= entry.submit_ms + 70_000
    # And a carbon that comes later has nothing to say about it.
    assert SlurmReleaseExecutor().held() == []
    assert SlurmReleaseExecutor().look(Handle(f"{job_id}-1")).exit_code == 0


def test_what_its_user_holds_or_left_without_a_begin_is_left_alone() -> None:
    sbatch("true", "--hold", *DEFERRABLE)
    sbatch("true", "--begin=now+1hour")
    assert SlurmReleaseExecutor().held() == []


def test_an_array_is_let_go_as_one(tmp_path: Path) -> None:
    number = sbatch("exit $SLURM_ARRAY_TASK_ID", *DEFERRABLE, "--array=0-2")
    deployment = Deployment(tmp_path, 10, 10, 300, 300, 300, 300, 300)
    (waiting,) = queue(number)
    assert waiting.is_task
    job_id = f"slurm-{number}-{waiting.submit_ms // 1000}"
    deployment.tick_until(job_id, "failed")
    assert deployment.jobs.get(ADMIN, job_id).exit_code == 2
    look = SlurmReleaseExecutor().look(Handle(f"{job_id}-1"))
    tasks = {f"slurm:{entry.number}" for entry in queue(number)}
    assert (set(look.subjects), len(tasks)) == (tasks, 3)


def test_a_job_that_did_not_ask_is_never_let_go() -> None:
    victim = sbatch("true", "--time=10", "--begin=now+5hour")
    executor = SlurmReleaseExecutor()
    attempt_id = f"{name_of(victim)}-1"
    executor.start(AttemptSpec(attempt_id, ()))
    assert queue(victim)[0].is_pending
    assert executor.look(Handle(attempt_id)).state is LookState.PENDING


def test_letting_go_twice_is_once_and_another_clusters_number_is_nothing() -> None:
    number = sbatch("sleep 30", *DEFERRABLE)
    job_id, executor = name_of(number), SlurmReleaseExecutor()
    assert executor.look(Handle(f"{job_id}-1")).state is LookState.ABSENT
    for _ in range(3):
        assert executor.start(AttemptSpec(f"{job_id}-1", ())) == number
    end = time.monotonic() + 30
    while executor.look(Handle(f"{job_id}-1")).state is not LookState.RUNNING:
        assert time.monotonic() < end
        time.sleep(0.2)
    other = executor.look(Handle(f"slurm-{number}-1000-1"))
    assert (other.state, other.start_ms) == (LookState.ENDED, None)
    assert "not known" in other.detail
