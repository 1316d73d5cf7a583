"""What squeue and sacct say, as it is read: scripted commands in place of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.clock import FakeClock
from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, LookState
from carbon.executors.slurm_queue import SeenQueue, comment_words, queue
from carbon.executors.slurm_release import SlurmReleaseExecutor

NOW_S = 1_777_593_600


class ScriptedSlurm:
    """Commands that print what a test says, and note how they were called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls = folder / "calls"
        self.calls.touch()
        for name in ("squeue", "scontrol", "scancel", "sacct"):
            self.say(name, "")

    def say(self, name: str, text: str, status: int = 0, error: str = "") -> None:
        (self._folder / f"{name}.out").write_text(text)
        script = self._folder / name
        script.write_text(
            f'#!/bin/sh\necho {name} "$@" >> {self.calls}\n'
            f"cat {self._folder}/{name}.out\necho '{error}' >&2\nexit {status}\n"
        )
        script.chmod(0o755)

    def called(self, name: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(name)]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedSlurm:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return ScriptedSlurm(tmp_path)


def line(**fields: str) -> str:
    usual = {
        "JobID": "7", "ArrayJobID": "7", "ArrayTaskID": "N/A", "State": "PENDING",
        "Reason": "BeginTime", "UserName": "ana", "Account": "ml", "SubmitTime": str(NOW_S),
        "EligibleTime": str(NOW_S + 3600), "StartTime": str(NOW_S + 3600), "EndTime": "N/A",
        "TimeLimit": "1-02:00:00", "exit_code": "0", "NumNodes": "2", "NumCPUs": "16",
        "tres-per-node": "gres/gpu:4", "Partition": "gpu", "Name": "train",
        "Comment": "carbon:deadline=2h",
    }  # fmt: skip
    return "\x1f".join({**usual, **fields}.values()) + "\x1f\n"


def test_a_line_is_read_as_it_stands(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", line(Account="(null)", EndTime="N/A"))
    (entry,) = queue()
    assert (entry.number, entry.account, entry.limit_ms) == ("7", None, 26 * 3_600_000)
    assert (entry.submit_ms, entry.end_ms) == (NOW_S * 1000, None)
    assert entry.size == "gpu 2 nodes 16 cpus gres/gpu:4"


def test_a_job_without_devices_has_a_size_of_nodes_and_cpus(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", line(**{"tres-per-node": "N/A"}))
    assert queue()[0].size == "gpu 2 nodes 16 cpus"


@pytest.mark.parametrize(
    ("limit", "ms"), [("10:00", 600_000), ("1:00:00", 3_600_000), ("UNLIMITED", None), ("x", None)]
)
def test_time_limits(slurm: ScriptedSlurm, limit: str, ms: int | None) -> None:
    slurm.say("squeue", line(TimeLimit=limit))
    assert queue()[0].limit_ms == ms


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"State": "COMPLETED", "exit_code": "0"}, 0),
        ({"State": "FAILED", "exit_code": "768"}, 3),
        ({"State": "FAILED", "exit_code": "15"}, 143),
        ({"State": "TIMEOUT", "exit_code": "0"}, 143),
        ({"State": "CANCELLED", "StartTime": "5", "EndTime": "5"}, None),
        ({"State": "CANCELLED", "StartTime": "5", "EndTime": "9", "exit_code": "15"}, 143),
    ],
)
def test_exit_codes(slurm: ScriptedSlurm, fields: dict[str, str], code: int | None) -> None:
    slurm.say("squeue", line(**fields))
    assert queue()[0].exit_code == code


def test_a_job_that_a_comment_forges_is_asked_for_before_it_is_moved(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", line(Comment="x\n" + line(JobID="99", UserName="eve").rstrip("\n\x1f")))
    executor = SlurmReleaseExecutor(FakeClock(NOW_S * 1000))
    assert len(executor.held()) == 1
    slurm.say("squeue", "")  # of 99 alone there is nothing
    executor.start(AttemptSpec(f"slurm-99-{NOW_S}-1", ()))
    assert slurm.called("scontrol") == []


def test_letting_go_moves_the_start_of_that_job_alone(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", line())
    executor = SlurmReleaseExecutor(FakeClock(NOW_S * 1000))
    assert executor.start(AttemptSpec(f"slurm-7-{NOW_S}-1", ())) == "7"
    executor.start(AttemptSpec(f"slurm-7-{NOW_S - 9}-1", ()))
    assert slurm.called("scontrol") == ["scontrol update JobId=7 StartTime=now"]


@pytest.mark.parametrize(
    "listed",
    [
        line(ArrayTaskID="0-9"),
        line(JobID="8", ArrayTaskID="1", State="RUNNING") + line(ArrayTaskID="2", State="RUNNING"),
        "",  # forgotten
    ],
)
def test_a_number_that_means_no_one_job_names_no_energy(slurm: ScriptedSlurm, listed: str) -> None:
    slurm.say("squeue", listed)
    attempt = f"slurm-7-{NOW_S}-1"
    executor = SlurmReleaseExecutor(FakeClock(NOW_S * 1000))
    assert executor.start(AttemptSpec(attempt, ())) == attempt


def test_held_jobs_say_what_their_users_ask(slurm: ScriptedSlurm) -> None:
    comment = "carbon:deadline=2026-05-01T08:00:00Z,earliest=1h,power=300"
    slurm.say("squeue", line(Comment=comment) + line(JobID="8", Comment="carbon:deadline=oops"))
    (job,) = SlurmReleaseExecutor(FakeClock(NOW_S * 1000)).held()
    assert (job.job_id, job.team, job.power_w) == (f"slurm-7-{NOW_S}", "ml", 300)
    assert (job.deadline_ms - job.submitted_ms, job.earliest_ms) == (
        8 * 3_600_000,
        (NOW_S + 3600) * 1000,
    )
    assert job.latest_ms == (NOW_S + 3600) * 1000


@pytest.mark.parametrize(
    "fields",
    [
        {"State": "RUNNING"},
        {"Reason": "JobHeldUser"},
        {"EligibleTime": "Unknown"},
        {"EligibleTime": str(NOW_S - 1)},
        {"Comment": "(null)"},
        {"Comment": "carbon:attempt=x"},
    ],
)
def test_others_are_not_held(slurm: ScriptedSlurm, fields: dict[str, str]) -> None:
    slurm.say("squeue", line(**fields))
    assert SlurmReleaseExecutor(FakeClock(NOW_S * 1000)).held() == []


def test_the_accounts_tell_what_the_controller_has_forgotten(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", "", 1, "slurm_load_jobs error: Invalid job id specified")
    slurm.say("squeue", "")
    slurm.say("sacct", f"9|COMPLETED|0:0|1|2\n{NOW_S}|FAILED|0:9|{NOW_S + 5}|{NOW_S + 9}\n")
    look = SlurmReleaseExecutor(FakeClock(NOW_S * 1000)).look(Handle(f"slurm-7-{NOW_S}-1"))
    assert (look.state, look.exit_code, look.detail) == (LookState.ENDED, 137, "failed")
    assert look.end_ms == (NOW_S + 9) * 1000


def test_without_accounts_an_end_is_not_made_up(slurm: ScriptedSlurm) -> None:
    slurm.say("sacct", "", 1, "Slurm accounting storage is disabled")
    executor = SlurmReleaseExecutor(FakeClock(NOW_S * 1000))
    look = executor.look(Handle(f"slurm-7-{NOW_S}-1"))
    assert (look.start_ms, look.exit_code) == (None, None)
    assert "not known" in look.detail
    slurm.say("sacct", "", 1, "Problem talking to the database")
    with pytest.raises(ExecutorAway):
        executor.look(Handle(f"slurm-7-{NOW_S}-1"))


def test_a_controller_that_is_down_is_away_and_in_its_own_words(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", "", 1, "Unable to contact slurm controller")
    with pytest.raises(ExecutorAway, match="Unable to contact"):
        SlurmReleaseExecutor().held()


def test_the_queue_is_asked_once_a_second_for_however_many_attempts(slurm: ScriptedSlurm) -> None:
    slurm.say("squeue", line())
    clock = FakeClock(NOW_S * 1000)
    seen = SeenQueue(clock)
    for _ in range(5):
        assert len(seen.entries()) == 1
    assert len(slurm.called("squeue")) == 1
    clock.advance(2)
    seen.entries()
    seen.forget()
    seen.entries()
    assert len(slurm.called("squeue")) == 3


def test_a_comment_of_ours_is_read_word_by_word() -> None:
    assert comment_words("carbon:deadline=2h, power = 3,x", "carbon:") == {
        "deadline": "2h",
        "power": "3",
        "x": "",
    }
    assert comment_words("mine", "carbon:") == {}
