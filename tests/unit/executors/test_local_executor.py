"""Jobs on this machine: what is killed where, and what the files say afterwards."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.errors import InvalidInput
from carbon.executors.attempt_folder import AttemptFolder, Claim, ProcessRef, Spec, Start
from carbon.executors.capped_log import CappedLog
from carbon.executors.executor import AttemptSpec, Handle, Look, LookState
from carbon.executors.local import LocalExecutor
from carbon.executors.process_mark import process_mark
from carbon.executors.registry import build_executors, executor_named
from carbon.settings import Settings

JOB = Handle("job-1")
#: A process that was and is no more.
GONE = ProcessRef(1, "another-boot/1")


@pytest.fixture
def executor(tmp_path: Path) -> LocalExecutor:
    return LocalExecutor(tmp_path, grace_s=0.3)


def folder_of(tmp_path: Path, command: list[str] | None = None) -> AttemptFolder:
    folder = AttemptFolder(tmp_path / "job-1")
    folder.create(Spec("job-1", command or ["true"], None, {}, 0.3, 1000, 1000))
    return folder


def look_until(executor: LocalExecutor, *wanted: LookState) -> Look:
    end = time.monotonic() + 20
    while (look := executor.look(JOB)).state not in wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert look.state in wanted, look
    return look


def test_killed_before_the_supervisor_came_up_the_attempt_is_started_again(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    folder_of(tmp_path)
    assert executor.look(JOB).state is LookState.ABSENT
    executor.start(AttemptSpec("job-1", ("true",)))
    assert look_until(executor, LookState.ENDED).exit_code == 0


def test_killed_between_claim_and_start_the_attempt_is_lost_without_having_begun(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    folder_of(tmp_path).claim(Claim(GONE))
    executor.start(AttemptSpec("job-1", ("true",)))
    look = executor.look(JOB)
    assert (look.state, look.start_ms) == (LookState.LOST, None)


def test_killed_while_the_command_was_being_made_it_may_have_begun(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    folder.claim(Claim(GONE))
    folder.write_start(Start(5))
    look = executor.look(JOB)
    assert (look.state, look.start_ms) == (LookState.LOST, 5)


def test_a_job_whose_supervisor_was_killed_still_runs_and_can_be_cancelled(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    executor.start(AttemptSpec("job-1", ("sleep", "60")))
    folder = AttemptFolder(tmp_path / "job-1")
    while (start := folder.started()) is None or start.process is None:
        time.sleep(0.01)
    claim = folder.claimed()
    assert claim is not None
    assert claim.supervisor is not None
    os.kill(claim.supervisor.pid, signal.SIGKILL)
    while claim.supervisor.is_alive:
        time.sleep(0.01)
    assert executor.look(JOB).state is LookState.RUNNING
    executor.cancel(JOB)
    look = look_until(executor, LookState.LOST)
    assert look.exit_code is None
    assert look.start_ms == start.start_ms


def test_the_supervisor_stands_in_a_session_of_its_own(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    executor.start(AttemptSpec("job-1", ("sleep", "60")))
    look_until(executor, LookState.RUNNING)
    claim = AttemptFolder(tmp_path / "job-1").claimed()
    assert claim is not None
    assert claim.supervisor is not None
    assert os.getsid(claim.supervisor.pid) not in (os.getsid(0), os.getpid())
    executor.cancel(JOB)
    look_until(executor, LookState.ENDED)


def test_cancelled_while_the_supervisor_comes_up_the_job_ends_or_never_begins(
    executor: LocalExecutor,
) -> None:
    executor.start(AttemptSpec("job-1", ("sleep", "60")))
    executor.cancel(JOB)
    assert look_until(executor, LookState.ENDED).exit_code in (None, 143)


def test_keys_and_passwords_of_the_server_do_not_reach_the_job(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARBON_KEY", "secret")
    monkeypatch.setenv("CARBON_DB_URL", "postgresql+psycopg://u:secret@db/x")
    executor.start(AttemptSpec("job-1", ("env",), env={"CARBON_RUN": "job-1"}))
    look_until(executor, LookState.ENDED)
    output = executor.logs(JOB).stdout
    assert "secret" not in output
    assert "CARBON_RUN=job-1" in output


def test_only_this_user_reads_what_a_job_was_given(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder.path / "spec.json").stat().st_mode) == 0o600


def test_a_claim_is_given_once_and_leaves_no_draft(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    mine, theirs = Claim(ProcessRef.of(os.getpid())), Claim(None)
    assert folder.claim(mine)
    assert not folder.claim(theirs)
    assert folder.claimed() == mine
    assert sorted(p.name for p in folder.path.iterdir()) == ["claim.json", "spec.json"]


@pytest.mark.parametrize("attempt_id", ["../x", "a/b", "", ".", "a\n"])
def test_an_id_that_would_leave_the_folder_is_refused(
    executor: LocalExecutor, attempt_id: str
) -> None:
    with pytest.raises(InvalidInput):
        executor.look(Handle(attempt_id))


def test_a_pid_that_was_used_again_is_another_process() -> None:
    own = ProcessRef.of(os.getpid())
    assert own.is_alive
    assert not ProcessRef(own.pid, "another-boot/1").is_alive
    assert process_mark(2**22 + 5) is None


@given(
    chunks=st.lists(st.binary(max_size=50), max_size=20),
    head=st.integers(0, 60),
    tail=st.integers(0, 60),
)
def test_a_log_keeps_its_beginning_and_its_end(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], head: int, tail: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "out.log"
    log = CappedLog(path, head, tail)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    written, kept = b"".join(chunks), path.read_bytes()
    if len(written) <= head + tail:
        assert kept == written
    else:
        left_out = len(written) - head - tail
        end = written[len(written) - tail :]
        assert kept == written[:head] + f"\n[{left_out} bytes left out]\n".encode() + end


def test_an_unknown_executor_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    executors = build_executors(Settings(data_dir=tmp_path), FakeClock())
    assert executor_named(executors, "local").name == "local"
    with pytest.raises(InvalidInput) as refused:
        executor_named(executors, "slrum")
    assert refused.value.code == "unknown_executor"
    assert refused.value.extra == {"known": ["local"]}
