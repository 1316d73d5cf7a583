"""A Slurm cluster of one node on loopback, all of it in a folder of its own."""

from __future__ import annotations

import ctypes.util
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILTERS = Path(__file__).parent.parent / "deploy" / "slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="carbon-slurm-"))
    try:
        with _cluster(folder, "AccountingStorageType=accounting_storage/none"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def accounting_cluster(folder: Path) -> Iterator[None]:
    """With its accounts in slurmdbd over a MariaDB of its own."""
    port = _free_port()
    accounts = f"""AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.sock
JobAcctGatherType=jobacct_gather/linux"""
    with _cluster(folder, accounts, port):
        yield


@contextmanager
def _cluster(folder: Path, accounts: str, dbd_port: int | None = None) -> Iterator[None]:
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        pytest.skip(f"no {missing[0]}: install Debian's slurm-wlm and munge")
    if os.getuid() != 0:
        pytest.skip("slurmd starts jobs as root alone")
    daemons: list[subprocess.Popen[bytes]] = []
    outer = os.environ.get("SLURM_CONF")
    try:
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        _start(folder, daemons, accounts, dbd_port)
        _wait_until_idle(folder)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            _end(daemon)
        os.environ.pop("SLURM_CONF")
        if outer is not None:
            os.environ["SLURM_CONF"] = outer


def _end(daemon: subprocess.Popen[bytes]) -> None:
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _start(
    folder: Path, daemons: list[subprocess.Popen[bytes]], accounts: str, dbd_port: int | None
) -> None:
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for lua in FILTERS.glob("*.lua"):
        shutil.copy(lua, folder)
    conf = folder / "slurm.conf"
    conf.write_text(_config(folder, accounts))
    munged = [
        "munged", "--foreground", "--force", f"--socket={folder}/munge.sock",
        f"--key-file={key}", f"--log-file={folder}/munged.log",
        f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed",
    ]  # fmt: skip
    _daemon(folder, daemons, munged)
    if dbd_port is not None:
        _start_accounts(folder, daemons, dbd_port)
    for name in ("slurmctld", "slurmd"):
        _daemon(folder, daemons, [name, "-D", "-f", str(conf)])
        time.sleep(0.5)


def _daemon(
    folder: Path, daemons: list[subprocess.Popen[bytes]], command: list[str], **variables: str
) -> None:
    program = shutil.which(command[0], path=_path())
    assert program is not None
    with (folder / f"{command[0]}.out").open("ab") as out:
        daemons.append(
            subprocess.Popen(
                [program, *command[1:]], env={**os.environ, **variables}, stdout=out, stderr=out
            )
        )


def _start_accounts(folder: Path, daemons: list[subprocess.Popen[bytes]], port: int) -> None:
    """MariaDB on a socket alone, and slurmdbd over it; skips where one does not come up."""
    data, socket_file = folder / "mariadb", folder / "mariadb.sock"
    made = subprocess.run(
        [
            "mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
            "--auth-root-authentication-method=normal", f"--user={getpass.getuser()}",
        ],
        capture_output=True,
        text=True,
        timeout=180,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"MariaDB cannot be set up: {(made.stderr or made.stdout)[-300:]}")
    mariadb = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket_file}"]
    mariadb += [
        "--skip-networking",
        f"--user={getpass.getuser()}",
        "--innodb-lock-wait-timeout=900",
    ]
    _daemon(folder, daemons, [*mariadb, f"--pid-file={folder}/mariadb.pid"])
    _wait_for(folder, socket_file.exists, "MariaDB")
    conf = folder / "slurmdbd.conf"
    conf.write_text(_accounts_config(folder, port))
    conf.chmod(0o600)
    # It looks for its own file beside the one that SLURM_CONF names.
    _daemon(folder, daemons, ["slurmdbd", "-D"], MYSQL_UNIX_PORT=str(socket_file))
    _wait_for(folder, lambda: _answers(port), "slurmdbd")
    subprocess.run(["sacctmgr", "-i", "add", "cluster", "carbon"], capture_output=True, timeout=60)


def _accounts_config(folder: Path, port: int) -> str:
    return f"""AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_accounts
LogFile={folder}/slurmdbd.log
"""


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(folder: Path, is_up: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not is_up():
        if time.monotonic() > end:
            logs = "\n".join(p.read_text()[-800:] for p in sorted(folder.glob("*.out")))
            pytest.skip(f"{what} did not come up: {logs}")
        time.sleep(0.2)


def _config(folder: Path, accounts: str) -> str:
    name = socket.gethostname().partition(".")[0]
    return f"""ClusterName=carbon
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={_free_port()}
SlurmdPort={_free_port()}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
{accounts}
{_filter()}
ReturnToService=2
MailProg=/bin/true
NodeName={name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=main Nodes={name} Default=YES MaxTime=INFINITE State=UP
"""


def _filter() -> str:
    """The shipped filter, where this Slurm can run Lua."""
    return "JobSubmitPlugins=lua" if has_lua() else ""


def has_lua() -> bool:
    return ctypes.util.find_library("lua5.1") is not None or any(
        ctypes.util.find_library(f"lua{version}") for version in ("5.2", "5.3", "5.4")
    )


def _wait_until_idle(folder: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        shown = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        if shown.stdout.strip() == "idle":
            return
        time.sleep(0.2)
    logs = "\n".join(p.read_text()[-1500:] for p in sorted(folder.glob("*.out")))
    pytest.skip(f"the Slurm cluster did not come up: {logs}")


def empty_the_queue() -> None:
    """Attempts of two tests bear the same id: none may see the other's."""
    subprocess.run(["scancel", "--user=root"], check=False, capture_output=True)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        states = ["--states=PENDING,CONFIGURING,RUNNING,COMPLETING,SUSPENDED"]
        shown = subprocess.run(["squeue", "-h", *states], capture_output=True, text=True)
        if not shown.stdout.strip():
            return
        time.sleep(0.1)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
