"""Real processes under a real scheduler: restarts, deaths, and every job once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from job_house import OWNER, ZONE, job
from stores import migrate

from carbon.clock import SystemClock
from carbon.domain.tenancy import WorkloadName
from carbon.executors.local import LocalExecutor
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.context import Context
from carbon.services.jobs.jobs import Jobs
from carbon.settings import Settings
from carbon.storage.engine import create_engine, reading
from carbon.storage.identities import find_workload
from carbon.storage.unit_counts import counts_between, units_of

CAPACITY = 6


class Server:
    """What a process of ours is made of; made anew it knows nothing of the one before."""

    def __init__(self, data_dir: Path, lease_ms: int = 200) -> None:
        engine = create_engine(f"sqlite:///{data_dir / 'carbon.db'}")
        settings = Settings(data_dir=data_dir, zone=ZONE, feeds=False)
        self.context = Context(engine, settings, SystemClock())
        local = LocalExecutor(data_dir / "jobs", grace_s=0.3)
        local.default_capacity = CAPACITY
        self.jobs = Jobs(self.context, {"local": local})
        self.scheduler = Scheduler(
            self.context, {"local": local}, Leader(self.context, ttl_ms=lease_ms)
        )

    def state(self, job_id: str) -> str:
        return self.jobs.get(OWNER, job_id).state

    def run_until(self, done: Callable[[], bool], within_s: float = 30) -> None:
        end = time.monotonic() + within_s
        while not done() and time.monotonic() < end:
            self.scheduler.tick()
            time.sleep(0.02)
        assert done()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    migrate(made.context.engine)
    return made


def test_a_job_runs_and_its_output_and_exit_code_are_kept(server: Server) -> None:
    made = server.jobs.submit(OWNER, job(command="echo $CARBON_RUN; echo oh >&2; exit 4"))
    server.run_until(lambda: server.state(made.id) == "failed")
    logs = server.jobs.logs(OWNER, made.id)
    assert (logs.stdout, logs.stderr) == (f"{made.id}-1\n", "oh\n")
    assert server.jobs.get(OWNER, made.id).exit_code == 4


def test_what_a_job_says_that_it_made_counts_for_its_workload(server: Server) -> None:
    command = 'echo token 7 >> "$CARBON_UNITS"; echo image 2 >> "$CARBON_UNITS"'
    jobs = [server.jobs.submit(OWNER, job(command=command, workload="w")) for _ in range(2)]
    server.run_until(lambda: all(server.state(made.id) == "succeeded" for made in jobs))
    with reading(server.context.engine) as connection:
        units = units_of(connection, find_workload(connection, WorkloadName(OWNER.team, "w")) or 0)
        counted = {
            unit: sum(row[2] for row in counts_between(connection, id_, 0, 1 << 52))
            for unit, id_ in units.items()
        }
    assert counted == {"token": 14, "image": 4}


def test_a_server_that_starts_anew_goes_on_with_the_running_job(
    server: Server, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.02; done; echo done"
    made = server.jobs.submit(OWNER, job(command=script))
    server.run_until(lambda: server.state(made.id) == "running")
    successor = Server(tmp_path)
    time.sleep(0.25)  # the lease of the first runs out
    gate.touch()
    successor.run_until(lambda: successor.state(made.id) == "succeeded")
    assert successor.jobs.logs(OWNER, made.id).stdout == "done\n"
    assert len(successor.jobs.result(OWNER, made.id).attempts) == 1


def test_a_job_that_ignores_term_is_cancelled_all_the_same(server: Server) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.02; done"
    made = server.jobs.submit(OWNER, job(command=script))
    server.run_until(lambda: server.jobs.logs(OWNER, made.id).stdout == "ready\n")
    server.jobs.cancel(OWNER, made.id)
    server.run_until(lambda: server.jobs.result(OWNER, made.id).attempts[0].state == "ended")
    assert server.jobs.result(OWNER, made.id).attempts[0].exit_code == 137
    assert server.state(made.id) == "cancelled"


def test_a_command_that_cannot_be_run_says_why(server: Server) -> None:
    made = server.jobs.submit(OWNER, job(command=["/no/such/program"]))
    server.run_until(lambda: server.state(made.id) == "failed")
    [attempt] = server.jobs.result(OWNER, made.id).attempts
    assert attempt.exit_code == 127
    assert "/no/such/program" in attempt.detail


def test_schedulers_killed_at_any_moment_run_every_job_once(server: Server, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    ids = [
        server.jobs.submit(OWNER, job(name=f"j{i}", command=f"echo $CARBON_RUN >> {marks}")).id
        for i in range(16)
    ]
    dice = random.Random(8)
    fork = multiprocessing.get_context("fork")
    for _ in range(14):
        process = fork.Process(target=_schedule, args=(tmp_path,))
        process.start()
        time.sleep(dice.uniform(0.01, 0.09))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    survivor = Server(tmp_path)
    survivor.run_until(lambda: all(survivor.state(i) == "succeeded" for i in ids))
    ran = marks.read_text().split()
    assert sorted(ran) == sorted(f"{i}-1" for i in ids)


def _schedule(data_dir: Path) -> None:
    server = Server(data_dir, lease_ms=20)
    while True:
        server.scheduler.tick()
        time.sleep(0.01)
