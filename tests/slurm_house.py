"""A Slurm cluster of one node on loopback, all of it in a folder of its own."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

FILTERS = Path(__file__).parent.parent / "deploy" / "slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Path]:
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        pytest.skip(f"no {missing[0]}: install Debian's slurm-wlm and munge")
    if os.getuid() != 0:
        pytest.skip("slurmd starts jobs as root alone")
    folder = Path(tempfile.mkdtemp(prefix="carbon-slurm-"))
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _start(folder, daemons)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        _wait_until_idle(folder)
        yield folder
    finally:
        os.environ.pop("SLURM_CONF", None)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            _end(daemon)
        shutil.rmtree(folder, ignore_errors=True)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _start(folder: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for lua in FILTERS.glob("*.lua"):
        shutil.copy(lua, folder)
    (folder / "slurm.conf").write_text(_config(folder))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munged = [
        "munged", "--foreground", "--force", f"--socket={folder}/munge.sock",
        f"--key-file={key}", f"--log-file={folder}/munged.log",
        f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed",
    ]  # fmt: skip
    conf = str(folder / "slurm.conf")
    for command in (munged, ["slurmctld", "-D", "-f", conf], ["slurmd", "-D", "-f", conf]):
        program = shutil.which(command[0], path=_path())
        assert program is not None
        with (folder / f"{command[0]}.out").open("ab") as out:
            daemons.append(
                subprocess.Popen([program, *command[1:]], env=environment, stdout=out, stderr=out)
            )
        time.sleep(0.5)


def _config(folder: Path) -> str:
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
AccountingStorageType=accounting_storage/none
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
