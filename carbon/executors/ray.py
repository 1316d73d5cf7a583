"""Jobs on a Ray cluster, by Ray's own job service over HTTP: nothing of Ray is installed here.

The attempt's id is Ray's `submission_id`, which it takes once: what was submitted and whose
answer was lost is found again, and never runs twice. Ray holds no job back, so that a job that
waits waits here.
"""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2

from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, Logs, Look, LookState
from carbon.executors.local import capped

RAY: Final = "ray"
_TIMEOUT_S: Final = 10.0
#: Of a submission that stands for a cancellation: nothing of that name can run any more.
_CANCELLED: Final = "carbon_cancelled"
_ATTEMPT: Final = "carbon_attempt"
#: Lines of Ray's own among what a job writes.
_OWN_LINES: Final = re.compile(
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\tINFO job_manager\.py:.*"
    r"|Running entrypoint for job .*)\n",
    re.MULTILINE,
)
#: As a shell answers for a command that TERM ended.
_TERMINATED: Final = 143
_ENDS: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})


class RayExecutor:
    """Submits as the cluster's own account. `address` is its dashboard, `http://head:8265`."""

    name = RAY
    default_capacity = 1

    def __init__(self, address: str) -> None:
        self._jobs = address.rstrip("/") + "/api/jobs/"

    def start(self, attempt: AttemptSpec) -> str:
        self._submit(attempt.attempt_id, _entrypoint(attempt), {})
        return attempt.attempt_id

    def look(self, handle: Handle) -> Look:
        told = self._told(handle)
        return Look(LookState.ABSENT) if told is None else _look(told)

    def cancel(self, handle: Handle) -> None:
        told = self._told(handle)
        if told is None:
            # Takes the name, so that a submission on its way is refused.
            self._submit(handle.attempt_id, "true", {_CANCELLED: "1"})
        elif told.get("status") not in _ENDS:
            self._call("POST", f"{quote(handle.attempt_id)}/stop")

    def logs(self, handle: Handle) -> Logs:
        """Ray keeps both streams as one."""
        answer = self._call("GET", f"{quote(handle.attempt_id)}/logs")
        text = answer.json().get("logs") or "" if answer.is_success else ""
        return Logs(capped(_OWN_LINES.sub("", text)), "")

    def _submit(self, submission_id: str, entrypoint: str, metadata: Mapping[str, str]) -> None:
        body = {
            "entrypoint": entrypoint,
            "submission_id": submission_id,
            "metadata": {_ATTEMPT: submission_id, **metadata},
        }
        answer = self._call("POST", "", body)
        if not answer.is_success and "already exists" not in answer.text:
            raise ExecutorAway(
                "executor_away", f"ray answered {answer.status_code}: {_line(answer)}"
            )

    def _told(self, handle: Handle) -> dict[str, Any] | None:
        answer = self._call("GET", quote(handle.attempt_id))
        if answer.status_code == 404:
            return None
        if not answer.is_success:
            raise ExecutorAway(
                "executor_away", f"ray answered {answer.status_code}: {_line(answer)}"
            )
        told: dict[str, Any] = answer.json()
        return told

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            return httpx2.request(method, self._jobs + path, json=body, timeout=_TIMEOUT_S)
        except httpx2.HTTPError as error:
            raise ExecutorAway("executor_away", f"ray: {error}") from error


def _entrypoint(attempt: AttemptSpec) -> str:
    """One line, since Ray writes it into the job's log, and encoded, since Ray reads `$NAME` in
    what it is given as variables of its own."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in attempt.env.items()]
    if attempt.cwd is not None:
        lines.append(f"cd {shlex.quote(attempt.cwd)} || exit 1")
    lines.append(f"exec {shlex.join(attempt.command)}")
    encoded = b64encode("\n".join(lines).encode()).decode()
    return f'eval "$(echo {encoded} | base64 -d)"'


def _look(told: Mapping[str, Any]) -> Look:
    status, start_ms, end_ms = told.get("status"), told.get("start_time"), told.get("end_time")
    if _CANCELLED in (told.get("metadata") or {}):
        return Look(LookState.ENDED, None, end_ms, None, "cancelled before the start")
    if status == "PENDING":
        return Look(LookState.PENDING)
    if status not in _ENDS:
        return Look(LookState.RUNNING, start_ms)
    code = told.get("driver_exit_code")
    if status == "SUCCEEDED":
        return Look(LookState.ENDED, start_ms, end_ms, 0)
    if status == "STOPPED":
        return Look(LookState.ENDED, start_ms, end_ms, _exit_code(code, _TERMINATED), "stopped")
    return Look(LookState.ENDED, start_ms, end_ms, _exit_code(code, 1), _first(told.get("message")))


def _exit_code(code: int | None, unless: int) -> int:
    """-n where signal n ended the driver; none or 0 where Ray does not say."""
    if not code:
        return unless
    return 128 - code if code < 0 else code


def _first(text: object) -> str:
    return str(text or "").strip().partition("\n")[0][:300]


def _line(answer: Any) -> str:
    """The last line: Ray answers with a whole traceback."""
    return str(answer.text).strip().rpartition("\n")[2][:300]
