"""Where a process belongs, from its cgroup as Slurm, Kubernetes and systemd write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.place import NOWHERE, place_of

UID = "3f2a8c1e-0b4d-4c6f-9a7e-112233445566"
HEX = UID.replace("-", "")
SCOPE = "cri-containerd-" + "ab" * 32 + ".scope"


@pytest.mark.parametrize(
    "cgroup",
    [
        "11:cpuset:/slurm/uid_1000/job_4711/step_0/task_0\n4:memory:/slurm/uid_1000/job_4711",
        "0::/system.slice/slurmstepd.scope/job_4711/step_batch/user/task_special",
        "0::/system.slice/node7_slurmstepd.scope/job_4711/step_0",
        "5:devices:/slurm_node7/uid_0/job_4711/step_extern",
    ],
)
def test_a_slurm_job_is_known_by_its_cgroup(cgroup: str) -> None:
    assert place_of(cgroup, {}).slurm_job == "4711"


@pytest.mark.parametrize(
    "cgroup",
    [
        f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}"
        f".slice/{SCOPE}",
        f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/{SCOPE}",
        f"12:pids:/kubepods/besteffort/pod{UID}/{'ab' * 32}",
        f"0::/kubelet.slice/kubelet-kubepods-pod{UID.replace('-', '_')}.slice",
        f"0::/kubepods/burstable/pod{HEX}/{'ab' * 32}",
    ],
)
def test_a_pod_is_known_by_its_cgroup(cgroup: str) -> None:
    assert place_of(cgroup, {}).pod_uid == UID


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/ollama.service", "ollama.service"),
        ("0::/system.slice/system-vllm.slice/vllm@8b.service", "vllm@8b.service"),
        ("1:name=systemd:/system.slice/cron.service\n0::/", "cron.service"),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/train.service",
            "train.service",
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope", None),
        ("0::/user.slice/user-1000.slice/session-3.scope", None),
        ("0::/", None),
    ],
)
def test_a_service_is_known_by_its_cgroup_and_a_session_is_none(
    cgroup: str, unit: str | None
) -> None:
    assert place_of(cgroup, {}).unit == unit


def test_the_cgroup_is_believed_before_what_a_user_can_set() -> None:
    job = place_of("0::/system.slice/slurmstepd.scope/job_7/step_0", {"SLURM_JOB_ID": "8"})
    assert job.slurm_job == "7"


def test_without_slurms_cgroups_the_variable_tells_the_job() -> None:
    told = {"SLURM_JOB_ID": "8", "SLURM_JOB_NAME": "train"}
    place = place_of("0::/user.slice/session-1.scope", told)
    assert (place.slurm_job, place.slurm_name) == ("8", "train")
    assert place_of("", {"SLURM_JOB_ID": "8; rm"}).slurm_job is None


@given(st.text(max_size=200))
def test_any_text_is_some_place(cgroup: str) -> None:
    place = place_of(cgroup, {})
    assert place == NOWHERE or place.slurm_job or place.pod_uid or place.unit
