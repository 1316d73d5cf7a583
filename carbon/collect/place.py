"""What the kernel says of where a process belongs: Slurm job, pod, systemd unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

#: `/slurm/uid_1000/job_42/step_0` (cgroup v1), `…/slurmstepd.scope/job_42/step_0` (v2).
_SLURM: Final = re.compile(r"slurm[^:]*?/job_(\d+)(?:/|$)")
#: `kubepods-burstable-pod3f2a…_….slice` (systemd driver), `/kubepods/burstable/pod3f2a-…` (other).
_POD: Final = re.compile(
    r"kubepods[^:]*?pod([0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12})"
)
_UNIT: Final = re.compile(r"([^/]+\.service)(?=/|$)")


class Place(Struct, frozen=True):
    slurm_job: str | None = None
    #: The job's name as its submitter gave it; empty where we may not read it.
    slurm_name: str = ""
    pod_uid: str | None = None
    unit: str | None = None
    #: Held in memory for the rules and written nowhere; empty where no rule asks for it.
    command: str = ""


NOWHERE: Final = Place()
#: The only variables of other processes that are read beside CARBON_*.
SLURM_VARIABLES: Final = ("SLURM_JOB_ID", "SLURM_JOB_NAME")


def place_of(cgroup: str, variables: Mapping[str, str], command: str = "") -> Place:
    """From the text of /proc/PID/cgroup. A user can set a variable and not a cgroup, so the
    job's number is taken from SLURM_JOB_ID where no cgroup tells it, as without Slurm's
    cgroup plugin."""
    slurm, pod = _SLURM.search(cgroup), _POD.search(cgroup)
    stated = variables.get("SLURM_JOB_ID", "")
    job = slurm[1] if slurm else stated if stated.isdigit() else None
    return Place(
        slurm_job=job,
        slurm_name=variables.get("SLURM_JOB_NAME", "") if job else "",
        pod_uid=_dashed(pod[1]) if pod else None,
        unit=_unit_of(cgroup),
        command=command,
    )


def _dashed(uid: str) -> str:
    digits = uid.replace("_", "").replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _unit_of(cgroup: str) -> str | None:
    """The innermost service; the manager of a user's session is nobody's service."""
    for line in cgroup.splitlines():
        units = [u for u in _UNIT.findall(line) if not u.startswith(("user@", "systemd-"))]
        if units:
            return str(units[-1])
    return None
