"""Kubernetes users' own Jobs, suspended and labelled `carbon/deferrable=true`: at the planned time
they are let go (`spec.suspend: false`). Carbon needs to list and to patch Jobs, and no more.

    metadata:
      labels: {carbon/deferrable: "true"}
      annotations:
        carbon/deadline: 2026-11-27T06:00:00Z
        carbon/latest-start: 2026-11-27T04:00:00Z   # the CronJob of deploy/kubernetes lets it go
    spec:
      suspend: true
      activeDeadlineSeconds: 7200

Nothing in Kubernetes itself starts a suspended Job: without that CronJob a dead carbon lets
nothing go. A Job of Kueue's is Kueue's alone to let go, and is passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from carbon.clock import Clock, SystemClock
from carbon.errors import InvalidInput
from carbon.executors.executor import AttemptSpec, Handle, Logs, Look, LookState
from carbon.executors.held_jobs import HeldJob
from carbon.executors.kubernetes import QUEUE_LABEL, Api, look_at, subjects_of
from carbon.wire.durations import parse_duration_ms, resolve_moment_ms

KUBERNETES_RELEASE: Final = "kubernetes-release"
_SELECTOR: Final = "carbon/deferrable=true"
_ATTEMPT: Final = re.compile(r"k8s-([0-9a-f-]{36})-\d+")
_MARGIN_MS: Final = 60_000
#: The list of all such Jobs is asked for so often, however many attempts are looked at.
_KEPT_NS: Final = 1_000_000_000


class KubernetesReleaseExecutor:
    """Keeps nothing: which Job an attempt means stands in its name, by the Job's uid."""

    name = KUBERNETES_RELEASE
    #: The cluster itself knows what it has room for.
    default_capacity = 1_000_000

    def __init__(self, api: Api, clock: Clock | None = None) -> None:
        self._api, self._clock = api, clock or SystemClock()
        self._jobs: dict[str, dict[str, Any]] = {}
        self._seen_ns: int | None = None

    def held(self) -> list[HeldJob]:
        self._seen_ns = None
        found = [_held_job(job) for job in self._seen().values() if _is_held(job)]
        return [job for job in found if job is not None]

    def start(self, attempt: AttemptSpec) -> str:
        self._seen_ns = None
        job = self._seen().get(_uid(attempt.attempt_id))
        if job is None:
            return attempt.attempt_id
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        if _is_held(job):
            self._api.patch_job(namespace, name, {"spec": {"suspend": False}})
            self._seen_ns = None
        return f"{namespace}/{name}"

    def look(self, handle: Handle) -> Look:
        """ABSENT until it was let go, whoever did it."""
        job = self._seen().get(_uid(handle.attempt_id))
        if job is None:
            return Look(LookState.ENDED, detail="its end is not known: its Job is gone")
        if _is_held(job):
            return Look(LookState.ABSENT)
        metadata = job["metadata"]
        pods = self._api.pods_of(metadata["namespace"], metadata["name"])
        return replace(look_at(job, pods), subjects=subjects_of(pods))

    def cancel(self, handle: Handle) -> None:
        self._seen_ns = None
        job = self._seen().get(_uid(handle.attempt_id))
        if job is not None and not (job.get("status") or {}).get("completionTime"):
            self._api.delete_job(job["metadata"]["namespace"], job["metadata"]["name"])
            self._seen_ns = None

    def logs(self, handle: Handle) -> Logs:
        """Read them with kubectl: carbon may not see its users' pods."""
        return Logs("", "")

    def _seen(self) -> dict[str, dict[str, Any]]:
        """Jobs by uid, as they were a second ago at most."""
        now_ns = self._clock.monotonic_ns()
        if self._seen_ns is None or now_ns - self._seen_ns > _KEPT_NS:
            listed = self._api.list_jobs(_SELECTOR)
            self._jobs, self._seen_ns = {j["metadata"]["uid"]: j for j in listed}, now_ns
        return self._jobs


def _uid(attempt_id: str) -> str:
    """Raises InvalidInput(`invalid_attempt`)."""
    found = _ATTEMPT.fullmatch(attempt_id)
    if found is None:
        raise InvalidInput("invalid_attempt", f"{attempt_id!r} is no attempt of a Kubernetes Job")
    return found[1]


def _is_held(job: Mapping[str, Any]) -> bool:
    metadata = job["metadata"]
    return (
        bool(job["spec"].get("suspend"))
        and "carbon/deadline" in (metadata.get("annotations") or {})
        and QUEUE_LABEL not in (metadata.get("labels") or {})
        and "deletionTimestamp" not in metadata
    )


def _held_job(job: Mapping[str, Any]) -> HeldJob | None:
    """None where what its annotations say cannot be understood; it is left alone."""
    metadata, told = job["metadata"], job["metadata"].get("annotations") or {}
    labels = metadata.get("labels") or {}
    try:
        submitted_ms = resolve_moment_ms(metadata["creationTimestamp"], 0)
        deadline_ms = resolve_moment_ms(told["carbon/deadline"], submitted_ms)
        limit_ms = _limit_ms(job, told)
        latest = told.get("carbon/latest-start")
        latest_ms = (
            resolve_moment_ms(latest, submitted_ms)
            if latest
            else deadline_ms - (limit_ms or 0) - min(_MARGIN_MS, (limit_ms or 0) // 10)
        )
        earliest_ms = resolve_moment_ms(told.get("carbon/earliest", "0s"), submitted_ms)
        power_w = float(told["carbon/power-w"]) if "carbon/power-w" in told else None
    except (InvalidInput, ValueError):
        return None
    return HeldJob(
        job_id=f"k8s-{metadata['uid']}",
        team=metadata["namespace"],
        name=labels.get("carbon/workload") or metadata.get("generateName") or metadata["name"],
        submitted_ms=submitted_ms,
        earliest_ms=earliest_ms,
        deadline_ms=deadline_ms,
        latest_ms=latest_ms,
        limit_ms=limit_ms,
        size=_size(job),
        power_w=power_w if power_w is not None and 0 < power_w <= 1e8 else None,
    )


def _size(job: Mapping[str, Any]) -> str:
    """Pods at once and the devices of each: `4 pods 2 nvidia.com/gpu`."""
    spec = job["spec"]
    asked: Counter[str] = Counter()
    for container in spec.get("template", {}).get("spec", {}).get("containers", []):
        limits = (container.get("resources") or {}).get("limits") or {}
        for name, count in limits.items():
            if name.endswith("/gpu") and str(count).isdigit():
                asked[name] += int(count)
    parts = [f"{spec.get('parallelism') or 1} pods"]
    return " ".join(parts + [f"{count} {name}" for name, count in sorted(asked.items())])


def _limit_ms(job: Mapping[str, Any], told: Mapping[str, str]) -> int | None:
    """What it says of its length, else how long it may run at most."""
    if "carbon/length" in told:
        return parse_duration_ms(told["carbon/length"])
    seconds = job["spec"].get("activeDeadlineSeconds")
    return int(seconds) * 1000 if seconds else None
