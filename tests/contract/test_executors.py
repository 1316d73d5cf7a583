"""What every executor must do, told with real jobs."""

from __future__ import annotations

import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ray_house import ray_address as ray_address
from slurm_house import empty_the_queue
from slurm_house import slurm_cluster as slurm_cluster

from carbon.executors.executor import (
    AttemptSpec,
    Executor,
    Handle,
    Logs,
    Look,
    LookState,
    Pausing,
)
from carbon.executors.kubernetes import ClientApi, KubernetesExecutor
from carbon.executors.local import LocalExecutor
from carbon.executors.ray import RayExecutor
from carbon.executors.slurm import SlurmExecutor


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "jobs"
    shutil.rmtree(tmp_path, ignore_errors=True)


#: Makes an executor anew over the same lasting state, as a restarted server would.
Open = Callable[[], Executor]
ENGINES = [
    "local",
    "kubernetes",
    pytest.param("slurm", marks=[pytest.mark.slurm, pytest.mark.slow]),
    pytest.param("ray", marks=pytest.mark.slow),
]
#: What the contract leaves open, and these engines do not do.
LACKS = {
    "kubernetes": {"units", "streams", "last words", "ends what is left", "says which folder"},
    "ray": {"units", "streams", "last words", "ends what is left", "says which folder"},
}


@pytest.fixture(params=ENGINES)
def reopen(request: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    if request.param == "local":
        yield lambda: LocalExecutor(folder, grace_s=0.3)
    elif request.param == "slurm":
        request.getfixturevalue("slurm_cluster")
        yield lambda: SlurmExecutor(folder, grace_s=0.3)
        empty_the_queue()
    elif request.param == "ray":
        address, prefix = request.getfixturevalue("ray_address"), f"{uuid.uuid4()}-"
        yield lambda: Renamed(RayExecutor(address), prefix)
    else:
        yield from _on_kubernetes(folder)


def _on_kubernetes(folder: Path) -> Iterator[Open]:
    client = pytest.importorskip("kubernetes.client", reason="pip install '.[kubernetes-tests]'")
    pytest.importorskip("kubernetes_validate", reason="pip install '.[kubernetes-tests]'")
    from kubernetes_double import api_server

    folder.mkdir()
    with api_server(folder) as (address, _):
        api = ClientApi(client.Configuration(host=address))
        yield lambda: KubernetesExecutor(api, "ml", "busybox")


class Renamed:
    """An engine that all tests share, where each has names of its own."""

    def __init__(self, engine: Executor, prefix: str) -> None:
        self._engine, self._prefix = engine, prefix
        self.name, self.default_capacity = engine.name, engine.default_capacity

    def start(self, attempt: AttemptSpec) -> str:
        return self._engine.start(replace(attempt, attempt_id=self._prefix + attempt.attempt_id))

    def look(self, handle: Handle) -> Look:
        return self._engine.look(self._own(handle))

    def cancel(self, handle: Handle) -> None:
        self._engine.cancel(self._own(handle))

    def logs(self, handle: Handle) -> Logs:
        return self._engine.logs(self._own(handle))

    def _own(self, handle: Handle) -> Handle:
        return replace(handle, attempt_id=self._prefix + handle.attempt_id)


def needs(executor: Executor, what: str) -> None:
    if what in LACKS.get(executor.name, ()):
        pytest.skip(f"{executor.name}: {what}")


def written(executor: Executor, handle: Handle) -> str:
    """Both streams, whether or not the engine tells them apart."""
    logs = executor.logs(handle)
    return logs.stdout + logs.stderr


def shell(script: str, attempt_id: str = "job-1", **env: str) -> AttemptSpec:
    return AttemptSpec(attempt_id, ("/bin/sh", "-c", script), env=env)


def look_until(
    executor: Executor, handle: Handle, *wanted: LookState, within_s: float = 20
) -> Look:
    end = time.monotonic() + within_s
    while (look := executor.look(handle)).state not in wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert look.state in wanted, look
    return look


def run_to_end(executor: Executor, spec: AttemptSpec) -> tuple[Handle, Look]:
    handle = Handle(spec.attempt_id, executor.start(spec))
    return handle, look_until(executor, handle, LookState.ENDED)


def test_a_job_runs_and_tells_times_exit_code_and_output(reopen: Open) -> None:
    executor = reopen()
    handle, look = run_to_end(executor, shell("echo out; echo err >&2; exit 3"))
    assert look.exit_code == 3
    assert look.start_ms is not None
    assert look.end_ms is not None
    assert look.start_ms <= look.end_ms
    assert sorted(written(executor, handle).split()) == ["err", "out"]
    needs(executor, "streams")
    assert executor.logs(handle).stderr == "err\n"


def test_an_attempt_never_handed_over_is_absent_and_has_no_output(reopen: Open) -> None:
    executor = reopen()
    handle = Handle("job-9")
    assert executor.look(handle).state is LookState.ABSENT
    assert executor.logs(handle).stdout == ""


def test_the_job_sees_what_it_was_given(reopen: Open, tmp_path: Path) -> None:
    executor = reopen()
    spec = AttemptSpec(
        "job-1", ("/bin/sh", "-c", 'echo "$A"; pwd'), cwd=str(tmp_path), env={"A": "a b"}
    )
    handle, _ = run_to_end(executor, spec)
    assert executor.logs(handle).stdout == f"a b\n{tmp_path}\n"


def test_what_a_job_says_that_it_made_is_told_at_its_end(reopen: Open) -> None:
    script = 'for line in "token 3" "token 4" bad; do echo "$line" >> "$CARBON_UNITS"; done'
    executor = reopen()
    needs(executor, "units")
    handle, look = run_to_end(executor, shell(script))
    assert look.units == {"token": 7}
    assert "line 3" in executor.logs(handle).stderr


def test_arguments_are_not_read_by_a_shell(reopen: Open) -> None:
    executor = reopen()
    spec = AttemptSpec("job-1", (sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME *"))
    handle, _ = run_to_end(executor, spec)
    assert executor.logs(handle).stdout == "$HOME *\n"


def test_started_twice_it_runs_once(reopen: Open, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    spec = shell(f"echo x >> {marks}; sleep 0.2")
    executor = reopen()
    handle = Handle("job-1", executor.start(spec))
    assert executor.start(spec) == handle.external_id
    look_until(executor, handle, LookState.ENDED)
    assert executor.start(spec) == handle.external_id
    assert marks.read_text() == "x\n"


def test_many_servers_start_it_at_once_and_it_runs_once(reopen: Open, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    spec = shell(f"echo x >> {marks}")
    executors = [reopen() for _ in range(5)]
    threads = [threading.Thread(target=e.start, args=(spec,)) for e in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look_until(executors[0], Handle("job-1"), LookState.ENDED)
    for executor in executors:  # until every supervisor that lost has gone
        look_until(executor, Handle("job-1"), LookState.ENDED)
    time.sleep(0.3)
    assert marks.read_text() == "x\n"


def test_a_server_that_starts_anew_finds_the_running_job(reopen: Open, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    executor = reopen()
    handle = Handle("job-1", executor.start(shell(f"while [ ! -e {gate} ]; do sleep 0.02; done")))
    started = look_until(executor, handle, LookState.RUNNING)
    successor = reopen()
    assert successor.look(handle) == started
    gate.touch()
    ended = look_until(successor, handle, LookState.ENDED)
    assert (ended.exit_code, ended.start_ms) == (0, started.start_ms)


def test_without_the_engines_id_the_attempt_is_found_all_the_same(reopen: Open) -> None:
    executor = reopen()
    run_to_end(executor, shell("exit 0"))
    assert reopen().look(Handle("job-1", None)).state is LookState.ENDED


def test_cancel_ends_a_running_job(reopen: Open) -> None:
    executor = reopen()
    handle = Handle("job-1", executor.start(shell("sleep 60")))
    look_until(executor, handle, LookState.RUNNING)
    executor.cancel(handle)
    look = look_until(executor, handle, LookState.ENDED)
    assert look.exit_code == 143


def test_a_job_may_tidy_up_when_it_is_cancelled(reopen: Open) -> None:
    executor = reopen()
    needs(executor, "last words")
    script = 'trap "echo tidy; exit 7" TERM; echo ready; while :; do sleep 0.02; done'
    handle = Handle("job-1", executor.start(shell(script)))
    _until_it_says(executor, handle, "ready\n")
    executor.cancel(handle)
    assert look_until(executor, handle, LookState.ENDED).exit_code == 7
    assert executor.logs(handle).stdout == "ready\ntidy\n"


def test_a_job_that_ignores_term_is_killed_after_the_grace(reopen: Open) -> None:
    executor = reopen()
    needs(executor, "last words")
    script = 'trap "" TERM; echo ready; while :; do sleep 0.02; done'
    handle = Handle("job-1", executor.start(shell(script)))
    _until_it_says(executor, handle, "ready\n")
    executor.cancel(handle)
    executor.cancel(handle)
    assert look_until(executor, handle, LookState.ENDED).exit_code == 137


def test_what_a_job_leaves_behind_is_ended_with_it(reopen: Open, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    executor = reopen()
    needs(executor, "ends what is left")
    _, look = run_to_end(executor, shell(f"sleep 60 & echo $! > {pid_file}; exit 0"))
    assert look.exit_code == 0
    stat = Path(f"/proc/{int(pid_file.read_text())}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_cancelled_before_it_was_handed_over_it_never_starts(reopen: Open, tmp_path: Path) -> None:
    executor = reopen()
    executor.cancel(Handle("job-1"))
    executor.start(shell(f"touch {tmp_path}/ran"))
    look = look_until(executor, Handle("job-1"), LookState.ENDED)
    time.sleep(0.2)
    assert (look.start_ms, look.exit_code) == (None, None)
    assert not (tmp_path / "ran").exists()


def test_cancel_after_the_end_changes_nothing(reopen: Open) -> None:
    executor = reopen()
    handle, look = run_to_end(executor, shell("exit 0"))
    executor.cancel(handle)
    assert executor.look(handle) == look


def test_a_command_that_does_not_exist_ends_as_a_shell_would_say(reopen: Open) -> None:
    executor = reopen()
    handle, look = run_to_end(executor, AttemptSpec("job-1", ("/no/such/command",)))
    assert look.exit_code == 127
    assert "/no/such/command" in written(executor, handle)


def test_a_folder_that_does_not_exist_ends_the_attempt_with_a_reason(reopen: Open) -> None:
    executor = reopen()
    needs(executor, "says which folder")
    _, look = run_to_end(executor, AttemptSpec("job-1", ("true",), cwd="/no/such/folder"))
    assert look.exit_code == 127
    assert "/no/such/folder" in look.detail


def test_endless_output_is_capped_and_says_so(reopen: Open) -> None:
    executor = reopen()
    script = "echo first; yes | head -c 30000000; echo last"
    handle, look = run_to_end(executor, shell(script))
    logs = executor.logs(handle)
    assert look.exit_code == 0
    assert logs.stdout.startswith("first\ny\n")
    assert logs.stdout.endswith("y\nlast\n")
    assert "bytes not shown" in logs.stdout
    assert "the whole" not in logs.stdout, "the file is capped, too"
    assert len(logs.stdout) < 1_000_000


def test_a_paused_job_may_tidy_up_when_it_is_cancelled(reopen: Open) -> None:
    executor = reopen()
    verbs = pausing(executor)
    script = 'trap "echo tidy; exit 7" TERM; echo ready; while :; do sleep 0.02; done'
    handle = Handle("job-1", executor.start(shell(script)))
    _until_it_says(executor, handle, "ready\n")
    verbs.pause(handle)
    look_until(executor, handle, LookState.PAUSED)
    executor.cancel(handle)
    assert look_until(executor, handle, LookState.ENDED).exit_code == 7


def test_a_checkpoint_hook_ends_the_command_and_it_is_begun_anew(
    reopen: Open, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    script = f"""
    echo "begun with $(cat {state} 2>/dev/null) ${{CARBON_RESUMED:-first}}"
    [ -e {state} ] && exit 5
    while :; do sleep 0.02; done
    """
    spec = AttemptSpec(
        "job-1", ("/bin/sh", "-c", script), checkpoint=f"kill -0 $CARBON_PID && echo half > {state}"
    )
    executor = reopen()
    verbs = pausing(executor)
    handle = Handle("job-1", executor.start(spec))
    _until_it_says(executor, handle, "begun with  first\n")
    verbs.pause(handle)
    look_until(executor, handle, LookState.PAUSED)
    _until(state.exists)
    verbs.resume(handle)
    ended = look_until(executor, handle, LookState.ENDED)
    assert ended.exit_code == 5
    assert executor.logs(handle).stdout == "begun with  first\nbegun with half 1\n"


def test_a_checkpoint_that_fails_stops_the_job_where_it_stands(
    reopen: Open, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    script = f"echo ready; while [ ! -e {gate} ]; do sleep 0.02; done; echo through"
    executor = reopen()
    verbs = pausing(executor)
    spec = AttemptSpec("job-1", ("/bin/sh", "-c", script), checkpoint="exit 1")
    handle = Handle("job-1", executor.start(spec))
    _until_it_says(executor, handle, "ready\n")
    verbs.pause(handle)
    look_until(executor, handle, LookState.PAUSED)
    gate.touch()
    assert executor.look(handle).state is LookState.PAUSED
    verbs.resume(handle)
    assert look_until(executor, handle, LookState.ENDED).exit_code == 0
    assert executor.logs(handle).stdout == "ready\nthrough\n"


def test_a_job_that_is_checkpointed_away_can_be_cancelled(reopen: Open) -> None:
    executor = reopen()
    verbs = pausing(executor)
    spec = AttemptSpec("job-1", ("/bin/sh", "-c", "echo ready; sleep 60"), checkpoint="true")
    handle = Handle("job-1", executor.start(spec))
    _until_it_says(executor, handle, "ready\n")
    verbs.pause(handle)
    look_until(executor, handle, LookState.PAUSED)
    executor.cancel(handle)
    assert look_until(executor, handle, LookState.ENDED).exit_code == 143


@pytest.mark.slow
def test_gigabytes_of_output_cost_neither_disk_nor_memory(tmp_path: Path) -> None:
    executor = LocalExecutor(tmp_path / "jobs", grace_s=0.3)
    script = "echo first; yes abcdefgh | head -c 3000000000; echo last"
    handle = Handle("job-1", executor.start(shell(script)))
    look_until(executor, handle, LookState.ENDED, within_s=300)
    kept = tmp_path / "jobs" / "job-1" / "stdout.log"
    assert kept.stat().st_size < 10 * 1024 * 1024
    logs = executor.logs(handle)
    assert logs.stdout.startswith("first\n")
    assert logs.stdout.endswith("last\n")


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    assert is_so()


def _until_it_says(executor: Executor, handle: Handle, text: str) -> None:
    end = time.monotonic() + 20
    while executor.logs(handle).stdout != text and time.monotonic() < end:
        time.sleep(0.01)
    assert executor.logs(handle).stdout == text


#: Counts, so that standing still can be told from running.
_COUNTING = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); sleep 0.02; done"


def pausing(executor: Executor) -> Pausing:
    if not isinstance(executor, Pausing):
        pytest.skip(f"executor {executor.name} runs attempts in one piece")
    return executor


def test_a_paused_attempt_stands_still_and_goes_on_where_it_was(reopen: Open) -> None:
    executor = reopen()
    verbs = pausing(executor)
    handle = Handle("job-1", executor.start(shell(_COUNTING)))
    began = look_until(executor, handle, LookState.RUNNING)
    wait_for_output(executor, handle)
    verbs.pause(handle)
    assert look_until(executor, handle, LookState.PAUSED).start_ms == began.start_ms
    # Also for a server that has just started, and again without any effect.
    pausing(reopen()).pause(handle)
    seen = settled_output(executor, handle)
    assert reopen().look(handle).state is LookState.PAUSED
    verbs.resume(handle)
    look_until(executor, handle, LookState.RUNNING)
    wait_for_output(executor, handle, more_than=len(seen))
    executor.cancel(handle)
    look_until(executor, handle, LookState.ENDED)
    lines = executor.logs(handle).stdout.split()
    assert lines == [str(n) for n in range(len(lines))]


def test_a_paused_attempt_can_be_cancelled(reopen: Open) -> None:
    executor = reopen()
    verbs = pausing(executor)
    handle = Handle("job-1", executor.start(shell(_COUNTING)))
    look_until(executor, handle, LookState.RUNNING)
    wait_for_output(executor, handle)
    verbs.pause(handle)
    look_until(executor, handle, LookState.PAUSED)
    executor.cancel(handle)
    assert look_until(executor, handle, LookState.ENDED).exit_code == 143


def test_pausing_what_does_not_run_does_nothing(reopen: Open) -> None:
    executor = reopen()
    verbs = pausing(executor)
    verbs.pause(Handle("job-9"))
    verbs.resume(Handle("job-9"))
    assert executor.look(Handle("job-9")).state is LookState.ABSENT
    handle, look = run_to_end(executor, shell("exit 3"))
    verbs.pause(handle)
    verbs.resume(handle)
    assert executor.look(handle) == look


def wait_for_output(executor: Executor, handle: Handle, more_than: int = 0) -> None:
    end = time.monotonic() + 20
    while len(executor.logs(handle).stdout) <= more_than and time.monotonic() < end:
        time.sleep(0.01)
    assert len(executor.logs(handle).stdout) > more_than


def settled_output(executor: Executor, handle: Handle) -> str:
    """What has been written once the supervisor has read all that lay in the pipe."""
    end = time.monotonic() + 20
    seen = executor.logs(handle).stdout
    while time.monotonic() < end:
        time.sleep(0.1)
        before, seen = seen, executor.logs(handle).stdout
        if before == seen:
            return seen
    raise AssertionError("it goes on writing")
