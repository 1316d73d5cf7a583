"""Jobs that another system runs: it is told by a signed call, and tells us the rest by events.

Targets stand in the TOML file that CARBON_WEBHOOKS names, so that no job can make this service
call an address of its own choosing:

    [nightly]
    url = "https://ci.example.org/start"
    shape = "generic"            # or "github" (workflow_dispatch), "gitlab" (trigger)
    secret_file = "/etc/carbon/nightly.secret"
    teams = ["ml"]               # unset means every team

Told once the target has answered 2xx. Where its answer was lost it is told again, with the same
Idempotency-Key; a target that cannot tell one from the other may run a job twice.
"""

from __future__ import annotations

import hmac
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from carbon.clock import Clock, SystemClock
from carbon.errors import CarbonError, InvalidInput
from carbon.executors.attempt_folder import AttemptFolder, Claim, Result, Start
from carbon.executors.executor import (
    AttemptSpec,
    ExecutorAway,
    Handle,
    Logs,
    Look,
    LookState,
)
from carbon.executors.local import attempt_folder

WEBHOOK: Final = "webhook"
_TIMEOUT_S: Final = 10.0
#: After a refusal or silence it is tried again so much later, each time twice as long.
_FIRST_WAIT_MS: Final = 1_000
_LONGEST_WAIT_MS: Final = 60_000


class Shape(StrEnum):
    GENERIC = "generic"
    GITHUB = "github"  #: POST …/actions/workflows/{id}/dispatches
    GITLAB = "gitlab"  #: POST …/projects/{id}/trigger/pipeline


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    secret_file: str
    shape: Shape = Shape.GENERIC
    #: Teams that may use it; unset means every one.
    teams: list[str] | None = None

    @property
    def secret(self) -> str:
        return Path(self.secret_file).read_text(encoding="utf-8").strip()


def read_targets(path: Path) -> dict[str, Target]:
    """Raises CarbonError(`webhooks_unreadable`) with what is wrong in the file."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Target])
    except (OSError, ValueError) as error:
        raise CarbonError("webhooks_unreadable", f"CARBON_WEBHOOKS, {path}: {error}") from error


class WebhookExecutor:
    """What was sent lies in `jobs_dir`, one folder an attempt; nothing of a target's answer."""

    name = WEBHOOK
    default_capacity = 100

    def __init__(
        self, jobs_dir: Path, targets: Mapping[str, Target], clock: Clock | None = None
    ) -> None:
        self._jobs_dir, self._targets = jobs_dir, targets
        self._clock = clock or SystemClock()
        #: Of targets that are away, and of attempts that were refused: when to try again, and
        #: how long to wait after that.
        self._waits: dict[str, tuple[int, int]] = {}

    def check(self, spec: Mapping[str, Any], team: str) -> None:
        """Raises InvalidInput for a spec that cannot be sent."""
        target = self._targets.get(str(spec.get("target")))
        if target is None or (target.teams is not None and team not in target.teams):
            raise InvalidInput(
                "unknown_target",
                f"no webhook target {spec.get('target')!r} for team {team!r}; "
                "spec.target names one of CARBON_WEBHOOKS",
            )
        if unknown := sorted(spec.keys() - {"target", "ref", "inputs"}):
            raise InvalidInput("invalid_spec", f"spec takes target, ref and inputs, not {unknown}")
        inputs = spec.get("inputs", {})
        if not isinstance(inputs, dict) or not isinstance(spec.get("ref", ""), str):
            raise InvalidInput("invalid_spec", "spec.ref is a text and spec.inputs an object")

    def start(self, attempt: AttemptSpec) -> str:
        folder = self._folder(attempt.attempt_id)
        if folder.claimed() is None and folder.started() is None:
            for waiting in (attempt.attempt_id, _target_of(attempt)):
                self._wait_for_turn(waiting)
            self._send(attempt)
            folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.write_start(Start(self._clock.now_ms()))
        return attempt.attempt_id

    def look(self, handle: Handle) -> Look:
        """Never running nor ended by itself: that comes as events."""
        folder = self._folder(handle.attempt_id)
        if result := folder.result():
            return Look(LookState.ENDED, None, result.end_ms, None, result.detail)
        return Look(LookState.ABSENT if folder.started() is None else LookState.PENDING)

    def cancel(self, handle: Handle) -> None:
        """What was sent cannot be called back; from then on its events change nothing."""
        folder = self._folder(handle.attempt_id)
        if folder.claim(Claim(supervisor=None)):
            told = "" if folder.started() is None else "; the target had been told already"
            folder.write_result(Result(None, self._clock.now_ms(), None, f"cancelled{told}"))

    def logs(self, handle: Handle) -> Logs:
        return Logs("", "")

    def _folder(self, attempt_id: str) -> AttemptFolder:
        return attempt_folder(self._jobs_dir, attempt_id)

    def _wait_for_turn(self, waiting: str) -> None:
        next_ms, _ = self._waits.get(waiting, (0, 0))
        if self._clock.now_ms() < next_ms:
            raise ExecutorAway("executor_away", "the target did not take it; tried again soon")

    def _send(self, attempt: AttemptSpec) -> None:
        spec = dict(attempt.spec or {})
        target = self._targets.get(str(spec.get("target")))
        if target is None:
            raise ExecutorAway("executor_away", f"no webhook target {spec.get('target')!r}")
        try:
            url, headers, body = call_of(target, spec, attempt)
            answer = httpx2.post(url, content=body, headers=headers, timeout=_TIMEOUT_S)
        except (httpx2.HTTPError, OSError) as error:
            self._put_off(_target_of(attempt))
            raise ExecutorAway("executor_away", f"{spec['target']}: {error}") from error
        if not answer.is_success:
            self._put_off(_target_of(attempt) if answer.is_server_error else attempt.attempt_id)
            raise ExecutorAway("executor_away", f"{spec['target']} answered {answer.status_code}")
        for waiting in (attempt.attempt_id, _target_of(attempt)):
            self._waits.pop(waiting, None)

    def _put_off(self, waiting: str) -> None:
        _, waited_ms = self._waits.get(waiting, (0, 0))
        wait_ms = min(max(2 * waited_ms, _FIRST_WAIT_MS), _LONGEST_WAIT_MS)
        self._waits[waiting] = (self._clock.now_ms() + wait_ms, wait_ms)


def _target_of(attempt: AttemptSpec) -> str:
    """As no attempt is named."""
    return f"target {(attempt.spec or {}).get('target')}"


def call_of(
    target: Target, spec: Mapping[str, Any], attempt: AttemptSpec
) -> tuple[str, dict[str, str], bytes]:
    """Address, headers and body. GitHub and GitLab know a token; others get a signature."""
    job = {
        "carbon_attempt": attempt.attempt_id,
        "carbon_job": attempt.attempt_id.rpartition("-")[0],
    }
    texts = {name: str(value) for name, value in spec.get("inputs", {}).items()}
    headers = {"Content-Type": "application/json", "Idempotency-Key": attempt.attempt_id}
    if target.shape is Shape.GITHUB:
        body = msgspec.json.encode({"ref": spec.get("ref", "main"), "inputs": {**texts, **job}})
        headers["Authorization"] = f"Bearer {target.secret}"
        headers["Accept"] = "application/vnd.github+json"
    elif target.shape is Shape.GITLAB:
        named = {name.upper(): value for name, value in job.items()}
        body = msgspec.json.encode(
            {
                "token": target.secret,
                "ref": spec.get("ref", "main"),
                "variables": {**texts, **named},
            }
        )
    else:
        told = {"inputs": spec.get("inputs", {}), "ref": spec.get("ref"), "env": dict(attempt.env)}
        body = msgspec.json.encode({**job, **told})
        headers["Carbon-Signature"] = signature(target.secret, body)
    return target.url, headers, body


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the HMAC of the body as it was sent."""
    return "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
