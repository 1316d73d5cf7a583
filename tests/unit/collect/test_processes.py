"""CPU time by process: whatever the machine did is somebody's, and nobody's twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from agent_double import ScriptedProcesses
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.collect.processes import Process, ProcessTable, Usage
from carbon.collect.procfs import ProcfsReader, process_reader
from carbon.collect.psutil_processes import PsutilReader


def test_the_first_look_blames_nobody_for_the_past() -> None:
    processes = ScriptedProcesses()
    processes.start(10)
    processes.work(10, 50.0)
    usage = ProcessTable(processes).look()
    assert usage.cpu_s == {}
    assert usage.busy_s == 0.0


def test_time_since_the_last_look_is_by_process() -> None:
    processes = ScriptedProcesses()
    table = ProcessTable(processes)
    processes.start(10)
    processes.start(11)
    table.look()
    processes.work(10, 0.75)
    assert table.look().cpu_s == {10: 0.75}
    processes.work(11, 0.25)
    assert table.look().cpu_s == {11: 0.25}


def test_a_process_that_came_since_counts_from_its_start() -> None:
    processes = ScriptedProcesses()
    table = ProcessTable(processes)
    table.look()
    processes.start(10)
    processes.work(10, 0.5)
    assert table.look().cpu_s == {10: 0.5}


def test_the_last_breath_of_a_child_is_the_childs() -> None:
    processes = ScriptedProcesses()
    processes.start(10)
    processes.start(20, parent=10)
    table = ProcessTable(processes)
    table.look()
    processes.work(20, 0.5)
    table.look()
    processes.work(20, 0.25)
    processes.end(20)
    usage = table.look()
    assert usage.cpu_s == {20: pytest.approx(0.25)}
    assert 20 in usage.named
    assert 20 not in usage.memory_bytes


def test_a_child_that_nobody_saw_shows_in_its_parent() -> None:
    processes = ScriptedProcesses()
    processes.start(10)
    table = ProcessTable(processes)
    table.look()
    processes.start(20, parent=10)
    processes.work(20, 0.5)
    processes.end(20)
    assert table.look().cpu_s == {10: 0.5}


def test_a_pid_used_again_is_another_process() -> None:
    processes = ScriptedProcesses()
    processes.start(10)
    processes.work(10, 100.0)
    table = ProcessTable(processes)
    table.look()
    processes.end(10)
    processes.start(10)
    processes.work(10, 0.5)
    assert table.look().cpu_s == {10: 0.5}


actions = st.lists(
    st.tuples(
        st.sampled_from(["start", "work", "end", "look"]),
        st.integers(2, 8),
        st.integers(1, 8),
        st.floats(0.01, 2),
    ),
    max_size=60,
)


@given(actions)
def test_what_waited_for_processes_used_is_attributed_once(
    given_actions: list[tuple[str, int, int, float]],
) -> None:
    """Process 1 waits for everybody, as init does."""
    processes = ScriptedProcesses()
    processes.start(1, parent=0)
    table = ProcessTable(processes)
    table.look()
    alive, worked_s, attributed_s = {1}, 0.0, 0.0
    for action, pid, parent, cpu_s in given_actions:
        if action == "start" and pid not in alive:
            processes.start(pid, parent=parent if parent in alive else 1)
            alive.add(pid)
        elif action == "work" and pid in alive:
            processes.work(pid, cpu_s)
            worked_s += cpu_s
        elif action == "end" and pid in alive:
            processes.end(pid)
            alive.discard(pid)
        elif action == "look":
            usage = table.look()
            assert sum(usage.cpu_s.values()) <= usage.busy_s + 1e-9
            attributed_s += sum(usage.cpu_s.values())
    attributed_s += sum(table.look().cpu_s.values())
    assert attributed_s <= worked_s * (1 + 1e-9) + 1e-9


readers = pytest.mark.parametrize(
    "reader",
    [
        pytest.param(
            ProcfsReader,
            marks=pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here"),
        ),
        PsutilReader,
    ],
)


@readers
def test_a_real_process_is_read_with_its_names(reader: type[ProcfsReader | PsutilReader]) -> None:
    environment = {"CARBON_RUN": "r-1", "CARBON_WORKLOAD": "team/w", "SECRET": "hidden"}
    program = "import sys; sum(range(3_000_000)); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = next(p for p in reader().processes() if p.pid == child.pid)
        child.communicate()
    assert process.parent_pid == os.getpid()
    assert process.environment == {"CARBON_RUN": "r-1", "CARBON_WORKLOAD": "team/w"}
    assert process.cpu_s > 0
    assert process.memory_bytes > 1_000_000
    assert process.user


@readers
def test_a_real_machine_has_totals(reader: type[ProcfsReader | PsutilReader]) -> None:
    totals = reader().totals()
    assert totals.busy_s > 0
    assert totals.memory_bytes > 64 << 20
    assert totals.cores >= 1


def write_stat(root: Path, pid: int, parent: int, name: str = "x", start: int = 5) -> Path:
    folder = root / str(pid)
    folder.mkdir(exist_ok=True)
    fields = ["S", str(parent), *["0"] * 9, "30", "20", "7", "3", *["0"] * 4, str(start), "0", "9"]
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)} 0 0\n")
    (folder / "environ").write_bytes(b"A=1\0CARBON_RUN=r-1\0CARBON_KEY=never\0")
    return folder


def test_a_name_with_brackets_and_blanks_breaks_nothing(tmp_path: Path) -> None:
    write_stat(tmp_path, 7, 1, name="a) b (c")
    (process,) = ProcfsReader(tmp_path).processes()
    ticks = os.sysconf("SC_CLK_TCK")
    assert (process.pid, process.parent_pid) == (7, 1)
    assert (process.cpu_s, process.children_cpu_s) == (50 / ticks, 10 / ticks)
    assert process.memory_bytes == 9 * os.sysconf("SC_PAGE_SIZE")
    assert process.environment == {"CARBON_RUN": "r-1"}


def test_kernel_threads_are_passed_over(tmp_path: Path) -> None:
    write_stat(tmp_path, 2, 0)
    write_stat(tmp_path, 30, 2)
    write_stat(tmp_path, 40, 1)
    reader = ProcfsReader(tmp_path)
    assert [p.pid for p in reader.processes()] == [40]
    assert [p.pid for p in reader.processes()] == [40]


def test_a_program_that_takes_the_place_of_another_is_read_anew(tmp_path: Path) -> None:
    folder = write_stat(tmp_path, 7, 1, name="sh")
    reader = ProcfsReader(tmp_path)
    for _ in range(5):
        list(reader.processes())
    (folder / "environ").write_bytes(b"CARBON_RUN=r-2\0")
    assert next(iter(reader.processes())).environment == {"CARBON_RUN": "r-1"}
    (folder / "stat").write_text((folder / "stat").read_text().replace("(sh)", "(python)"))
    looks = [next(iter(reader.processes())).environment for _ in range(10)]
    assert looks[-1] == {"CARBON_RUN": "r-2"}


def test_a_process_that_ends_while_we_look_is_left_out(tmp_path: Path) -> None:
    write_stat(tmp_path, 7, 1)
    (tmp_path / "8").mkdir()
    assert [p.pid for p in ProcfsReader(tmp_path).processes()] == [7]


def test_the_quick_reader_is_taken_where_it_works() -> None:
    expected = ProcfsReader if Path("/proc/self/stat").exists() else PsutilReader
    assert isinstance(process_reader(), expected)


def test_a_process_that_sleeps_is_told_by_the_object_that_told_it_before() -> None:
    """It costs one read and one comparison: most processes of a machine sleep."""
    command, pipe = [sys.executable, "-c", "input(print(flush=True))"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it has started, and sleeps from here on
        reader = ProcfsReader()
        looks = [find(reader, child.pid) for _ in range(20)]
        child.communicate(b"\n")
    assert any(before is after for before, after in pairwise(looks))


class FakeProc:
    """A /proc whose processes work for as many ticks as one says."""

    def __init__(self, root: Path, pids: Sequence[int]) -> None:
        self.root, self.ticks = root, dict.fromkeys(pids, 0)
        self.other_ticks = 0
        files = [write_stat(root, pid, 1) / "stat" for pid in pids]
        self._lines = {file: file.read_text() for file in files}
        self._write()

    def work(self, ticks: Mapping[int, int], others: int = 0) -> None:
        """One second of two cores."""
        self.other_ticks += others
        for pid, more in ticks.items():
            self.ticks[pid] += more
        self._write()

    def _write(self) -> None:
        for (file, line), ticks in zip(self._lines.items(), self.ticks.values(), strict=True):
            if file.parent.exists():
                file.write_text(line.replace(" 30 20 ", f" {ticks} 0 "))
        busy = sum(self.ticks.values()) + self.other_ticks
        (self.root / "stat").write_text(f"cpu {busy} 0 0 1000 0 0 0 0 0 0\n")


def ticks_of(usage: Usage, pid: int) -> int:
    return round(usage.cpu_s.get(pid, 0.0) * os.sysconf("SC_CLK_TCK"))


def test_sleepers_are_left_alone_while_the_others_account_for_the_time(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path, [7, 8])
    table = ProcessTable(ProcfsReader(tmp_path))
    for _ in range(8):
        proc.work({7: 100})
        table.look()
    proc.work({7: 100, 8: 1})  # a tick is too little to be missed
    assert ticks_of(table.look(), 8) == 0
    proc.work({7: 100, 8: 50})
    usage = table.look()
    assert (ticks_of(usage, 7), ticks_of(usage, 8)) == (100, 51)


def test_time_that_no_process_used_wakes_sleepers_and_becomes_nobodys(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path, [7, 8])
    table = ProcessTable(ProcfsReader(tmp_path))
    for _ in range(8):
        proc.work({7: 100})
        table.look()
    proc.work({7: 10}, others=90)
    usage = table.look()
    assert usage.cpu_s.keys() == {7}
    assert round(usage.busy_s * os.sysconf("SC_CLK_TCK")) == 100


def test_the_time_of_a_child_that_ended_passes_to_a_parent_that_sleeps(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path, [1, 8])
    table = ProcessTable(ProcfsReader(tmp_path))
    for _ in range(8):
        proc.work({8: 10})
        table.look()
    shutil.rmtree(tmp_path / "8")
    init = tmp_path / "1" / "stat"
    init.write_text(init.read_text().replace(" 0 0 7 3 ", " 0 0 157 3 "))
    assert (
        ticks_of(table.look(), 8) == 60
    )  # 150 in all, of which 80 and its children's 10 were seen


@given(
    seconds=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 120), st.integers(0, 40)),
        max_size=30,
    )
)
@settings(max_examples=15)
def test_no_time_is_lost_or_counted_twice_whoever_sleeps(
    seconds: list[tuple[int, int, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    proc = FakeProc(tmp_path_factory.mktemp("proc"), [7, 8, 9])
    table = ProcessTable(ProcfsReader(proc.root))
    table.look()
    counted = dict.fromkeys(proc.ticks, 0)
    for seven, eight, nine, others in [*seconds, *[(0, 0, 0, 0)] * 10]:
        proc.work({7: seven, 8: eight, 9: nine}, others)
        usage = table.look()
        assert usage.busy_s >= sum(usage.cpu_s.values())
        for pid in counted:
            counted[pid] += ticks_of(usage, pid)
    assert counted == proc.ticks


def find(reader: ProcfsReader, pid: int) -> Process | None:
    return next((p for p in reader.processes() if p.pid == pid), None)


def test_of_another_processs_environment_and_command_no_more_is_kept_than_is_asked() -> None:
    told = {"CARBON_WORKLOAD": "w", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SECRET": "x"}
    command = [sys.executable, "-c", "input(print(flush=True))", "--password=y"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={**os.environ, **told}) as child:
        assert child.stdout is not None
        child.stdout.readline()  # from here on it is itself, and no copy of ours
        silent = ProcfsReader().process(child.pid)
        asked = ProcfsReader(reads_commands=True).process(child.pid)
        child.communicate(b"\n")
    assert silent is not None
    assert asked is not None
    assert silent.environment == {"CARBON_WORKLOAD": "w"}
    assert silent.place.slurm_name == "train"
    assert silent.place.command == ""
    assert "--password=y" in asked.place.command


def open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {os.readlink(fd) for fd in folder.iterdir() if fd.exists()}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
def test_files_of_known_processes_are_kept_open_up_to_a_bound(tmp_path: Path) -> None:
    for pid in (7, 8, 9):
        write_stat(tmp_path, pid, 1)
    reader = ProcfsReader(tmp_path, most_open=2)
    for _ in range(3):
        assert {process.pid for process in reader.processes()} == {7, 8, 9}
    ours = [path for path in open_files() if path.startswith(str(tmp_path))]
    assert len(ours) == 2
    for pid in (7, 8, 9):
        shutil.rmtree(tmp_path / str(pid))
    assert list(reader.processes()) == []
    assert not any(path.startswith(str(tmp_path)) for path in open_files())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_a_process_that_ended_is_told_from_its_kept_file() -> None:
    reader = ProcfsReader(most_open=10_000)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert reader.process(child.pid) is not None
    child.communicate()
    assert reader.process(child.pid) is None
    assert child.pid not in {process.pid for process in reader.processes()}
