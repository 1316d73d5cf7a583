"""A Slurm whose users hold their own jobs, in place of a real one, and a scheduler over it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from job_house import ADMIN, HOUR, NOW, FakeExecutor, House

from carbon.executors.executor import AttemptSpec, Handle, Look, LookState
from carbon.executors.held_jobs import HeldJob
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.jobs.jobs import Jobs
from carbon.wire.jobs import JobAnswer


@dataclass
class HoldingFake(FakeExecutor):
    """Its users' jobs, each with what it would tell of it; it starts them by itself in time."""

    name: str = "slurm-release"
    default_capacity: int = 1_000_000
    waiting: dict[str, HeldJob] = field(default_factory=dict)
    let_go: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    is_array: bool = False

    def held(self) -> list[HeldJob]:
        self._answer()
        now_ms = self.clock.now_ms()
        for job_id in [j.job_id for j in self.waiting.values() if j.latest_ms <= now_ms]:
            self.begin(job_id)
        return list(self.waiting.values())

    def hold(self, job_id: str, **fields: object) -> None:
        stated = HeldJob(job_id, "ml", "train", NOW, NOW, NOW + 9 * HOUR, NOW + 7 * HOUR, HOUR)
        self.waiting[job_id] = replace(stated, **fields)  # type: ignore[arg-type]

    def begin(self, job_id: str) -> None:
        del self.waiting[job_id]
        self.attempts[job_id] = Look(LookState.RUNNING, self.clock.now_ms())

    def start(self, attempt: AttemptSpec) -> str:
        self._answer()
        job_id = attempt.attempt_id.rpartition("-")[0]
        if job_id in self.waiting:
            self.let_go.append(job_id)
            self.begin(job_id)
        return attempt.attempt_id if self.is_array else job_id.split("-")[1]

    def look(self, handle: Handle) -> Look:
        self._answer()
        job_id = handle.attempt_id.rpartition("-")[0]
        if job_id in self.waiting:
            return Look(LookState.ABSENT)
        return self.attempts.get(job_id, Look(LookState.ENDED))

    def cancel(self, handle: Handle) -> None:
        self._answer()
        job_id = handle.attempt_id.rpartition("-")[0]
        self.cancelled.append(job_id)
        self.waiting.pop(job_id, None)


@dataclass
class Cluster:
    house: House
    slurm: HoldingFake
    jobs: Jobs
    scheduler: Scheduler

    @classmethod
    def of(cls, house: House) -> Cluster:
        slurm = HoldingFake(house.clock)
        executors = {slurm.name: slurm}
        scheduler = Scheduler(house.context, executors, Leader(house.context, "one"))
        return cls(house, slurm, Jobs(house.context, executors), scheduler)

    def pass_time(self, seconds: float = 10) -> None:
        self.house.clock.advance(seconds)
        self.scheduler.tick()

    def job(self, job_id: str) -> JobAnswer:
        return self.jobs.get(ADMIN, job_id)
