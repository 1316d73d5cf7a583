"""What a submitted job must be, judged once at the edge."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final, cast

import msgspec

from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.errors import Forbidden, InvalidInput, NotFound
from carbon.executors.executor import Executor, SpecExecutor
from carbon.executors.held_jobs import HoldingExecutor
from carbon.executors.registry import Executors, executor_named
from carbon.executors.webhook import WEBHOOK
from carbon.services.context import Context
from carbon.storage.job_queries import NO_HINTS, Hints
from carbon.wire.durations import resolve_moment_ms
from carbon.wire.jobs import JobBody

_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
#: Set by carbon itself: they say whose energy it is.
RUN_VARIABLE: Final = "CARBON_RUN"
WORKLOAD_VARIABLE: Final = "CARBON_WORKLOAD"
#: Executors whose jobs run as this service itself.
_OWN_ACCOUNT: Final = frozenset({"local", "slurm", "ray", "kubernetes"})
_OWN_VARIABLES: Final = frozenset({RUN_VARIABLE, WORKLOAD_VARIABLE})


class JobSpec(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What an executor is given, as it lies in the job's row."""

    command: list[str]
    cwd: str | None = None
    env: dict[str, str] = {}
    checkpoint: str | None = None
    #: In place of a command.
    spec: dict[str, Any] | None = None
    #: What was assumed for the plan, shown with it.
    flags: list[str] = []


class JobRequest(msgspec.Struct, frozen=True, gc=False):
    """A job that may be stored as it stands."""

    name: str
    workload: WorkloadName
    executor: str
    #: Named after the executor where the body names none.
    pool: str
    pool_is_named: bool
    #: Jobs of one team, name and class teach each other their length and power.
    job_class: str
    spec: JobSpec
    earliest_ms: int
    deadline_ms: int
    length_ms: int | None
    power_w: float | None
    interruptible: bool
    #: What it asks of its pauses.
    pauses: Hints
    priority: int
    retries: int
    zones: tuple[str, ...]
    body_hash: str


def hash_of(body: JobBody) -> str:
    """Equal for equal bodies, however they were written."""
    return sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()


def judged(
    context: Context, executors: Executors, principal: Principal, body: JobBody, now_ms: int
) -> JobRequest:
    """Raises InvalidInput or Forbidden for what cannot be run as asked."""
    executor = executor_named(executors, body.executor)
    workload = workload_of(principal, body)
    _check_account(context, principal, body.executor)
    earliest_ms = max(now_ms, resolve_moment_ms(body.earliest, now_ms) if body.earliest else 0)
    deadline_ms = resolve_moment_ms(body.deadline, now_ms)
    length_ms = round(body.length_s * 1000) or 1 if body.length_s is not None else None
    check_window(now_ms, earliest_ms, deadline_ms, length_ms)
    if len(body.zones) > 1:
        raise InvalidInput(
            "too_many_zones", f"executor {body.executor!r} stands in one place; name one zone"
        )
    return JobRequest(
        name=body.name,
        workload=workload,
        executor=body.executor,
        pool=body.pool or body.executor,
        pool_is_named=body.pool is not None,
        job_class=body.job_class or class_of(body.executor, body.pool, _gpus_in(body.spec)),
        spec=_spec(executor, workload.team, body),
        earliest_ms=earliest_ms,
        deadline_ms=deadline_ms,
        length_ms=length_ms,
        power_w=body.power_w,
        interruptible=body.interruptible,
        pauses=_pauses(body),
        priority=body.priority,
        retries=body.retries,
        zones=tuple(body.zones),
        body_hash=hash_of(body),
    )


def class_of(executor: str, pool: str | None, gpus: str = "") -> str:
    """Of a job that states none: where it runs and on how much."""
    where = f"{executor}/{pool or executor}"
    return f"{where}/{gpus}" if gpus else where


def _gpus_in(spec: dict[str, Any] | None) -> str:
    """`2 nvidia.com/gpu` of a spec that asks for devices, as Kubernetes names them."""
    asked = (spec or {}).get("requests")
    if not isinstance(asked, dict):
        return ""
    devices = (f"{count} {name}" for name, count in asked.items() if str(name).endswith("/gpu"))
    return ", ".join(sorted(devices))


def _pauses(body: JobBody) -> Hints:
    asked = (body.min_segment_s, body.max_pauses, body.checkpoint_s)
    if not body.interruptible:
        if asked != (0.0, None, 0.0):
            raise InvalidInput(
                "not_interruptible",
                "min_segment_s, max_pauses and checkpoint_s limit pauses; "
                "say interruptible: true with them",
            )
        return NO_HINTS
    return Hints(
        min_segment_ms=round(body.min_segment_s * 1000),
        max_pauses=body.max_pauses,
        checkpoint_ms=round(body.checkpoint_s * 1000),
    )


def check_window(now_ms: int, earliest_ms: int, deadline_ms: int, length_ms: int | None) -> None:
    """Raises InvalidInput: `deadline_past`, `deadline_before_earliest`, `length_exceeds_window`."""
    if deadline_ms <= now_ms:
        told = f"the deadline {to_rfc3339(deadline_ms)} has passed; give a later one"
        raise InvalidInput("deadline_past", told)
    if deadline_ms <= earliest_ms:
        raise InvalidInput(
            "deadline_before_earliest",
            f"the deadline {to_rfc3339(deadline_ms)} is not after the earliest start "
            f"{to_rfc3339(earliest_ms)}",
        )
    if length_ms is not None and length_ms > deadline_ms - earliest_ms:
        window_s = (deadline_ms - earliest_ms) / 1000
        raise InvalidInput(
            "length_exceeds_window",
            f"a job of {length_ms / 1000:g} s does not fit into the {window_s:g} s between its "
            "earliest start and its deadline; give a later deadline",
        )


def _check_account(context: Context, principal: Principal, executor: str) -> None:
    """These jobs run as the account of this service, which is one team's alone."""
    own_team = context.settings.team
    if executor in _OWN_ACCOUNT and principal.team != own_team and not principal.sees_all_teams:
        raise Forbidden(
            "executor_not_allowed",
            f"{executor} jobs run as the account of team {own_team!r}; submit to a shared executor",
        )


def workload_of(principal: Principal, body: JobBody) -> WorkloadName:
    """The one stated, else one of the job's own name. Raises InvalidInput(`foreign_team`)."""
    text = body.workload or body.name
    try:
        return principal.workload(text)
    except NotFound:
        raise InvalidInput("foreign_team", f"this key may not submit for {text!r}") from None


def _spec(executor: Executor, team: str, body: JobBody) -> JobSpec:
    is_held, has_specs = _kinds(executor)
    if is_held:
        raise InvalidInput(
            "not_submitted_here", f"jobs of {body.executor!r} are submitted to their engine itself"
        )
    if has_specs and (body.spec is not None or executor.name == WEBHOOK):
        return _own_spec(cast(SpecExecutor, executor), team, body)
    if body.spec is not None:
        raise InvalidInput("spec_unsupported", f"executor {body.executor!r} takes a command")
    if body.command is None:
        raise InvalidInput("command_missing", "say what to run: command")
    if body.secrets:
        raise InvalidInput(
            "secrets_unsupported",
            f"executor {body.executor!r} keeps no secrets; let the job read them itself",
        )
    shell = isinstance(body.command, str)
    command = ["/bin/sh", "-c", str(body.command)] if shell else list(body.command)
    _check_texts([*command, body.cwd or "", *body.env.values()])
    if not command[0]:
        raise InvalidInput("command_missing", "the command's first word is empty")
    for name in body.env:
        _check_variable(name)
    if has_specs:
        cast(SpecExecutor, executor).check({"command": command}, team)
    return JobSpec(command, body.cwd, dict(body.env), body.checkpoint)


def _kinds(executor: Executor) -> tuple[bool, bool]:
    """(holds its users' own jobs, has specs): asked for each job, and slow to find out."""
    kind = type(executor)
    if kind not in _known_kinds:
        told = isinstance(executor, HoldingExecutor), isinstance(executor, SpecExecutor)
        _known_kinds[kind] = told
    return _known_kinds[kind]


_known_kinds: dict[type, tuple[bool, bool]] = {}


def _own_spec(executor: SpecExecutor, team: str, body: JobBody) -> JobSpec:
    if body.spec is None or body.command is not None:
        raise InvalidInput(
            "spec_missing", f"executor {body.executor!r} takes a spec and no command beside it"
        )
    if body.secrets:
        raise InvalidInput("secrets_unsupported", "name secrets in the spec's own system")
    executor.check(body.spec, team)
    _check_texts([body.cwd or "", *body.env.values()])
    for name in body.env:
        _check_variable(name)
    return JobSpec([], body.cwd, dict(body.env), spec=body.spec)


def _check_variable(name: str) -> None:
    if not _ENV_NAME.fullmatch(name):
        raise InvalidInput("invalid_env", f"{name!r} is no name of an environment variable")
    if name in _OWN_VARIABLES:
        raise InvalidInput("invalid_env", f"{name} is set by carbon itself")


def _check_texts(texts: list[str]) -> None:
    for text in texts:
        if "\0" in text:
            raise InvalidInput("invalid_text", "command, cwd and env cannot hold a NUL character")
