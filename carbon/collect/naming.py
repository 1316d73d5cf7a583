"""Rules that name a process's subject and workload, in order of their precedence: `carbon run`,
CARBON_WORKLOAD, Slurm job, pod, the site's own rules, systemd unit, user.

What a site states stands in `rules.toml`, in the agent's folder or where CARBON_RULES says:

    pseudonymise_users = true

    [teams.users]              # a Slurm job is its Unix user's team's
    ana = "search"

    [teams.namespaces]         # a pod is its namespace's team's
    prod = "web"

    [pods]
    file = "/run/carbon/pods.json"
    label = "carbon/workload"

    [[rule]]                   # the first that matches decides; what it leaves out matches all
    command = 'train_(?P<model>\\w+)\\.py'
    user = "ana"
    unit = "ollama.service"
    workload = "search/train-{model}"
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from carbon.collect.pods import PodFile, PodMeta
from carbon.collect.processes import Process
from carbon.collect.subjects import Rule, Subject, run_rule, stated_workload, valid_workload
from carbon.domain.tenancy import automatic_name
from carbon.errors import InvalidInput

_UNNAMEABLE: Final = re.compile(r"[^\w.:@+-]+")
_APP_LABELS: Final = ("app.kubernetes.io/name", "app", "job-name")


class SiteRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workload: str
    command: str | None = None
    user: str | None = None
    unit: str | None = None


class _Teams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    users: dict[str, str] = {}
    namespaces: dict[str, str] = {}


class _Pods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str = ""
    label: str = "carbon/workload"


class SiteRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as a whole."""

    pseudonymise_users: bool = False
    teams: _Teams = _Teams()
    pods: _Pods = _Pods()
    rule: list[SiteRule] = []


def read_rules(path: Path) -> SiteRules:
    """No file states nothing. Raises InvalidInput `bad_rules` with what is wrong where."""
    try:
        rules = msgspec.toml.decode(path.read_bytes(), type=SiteRules)
        for rule in rules.rule:
            re.compile(rule.command or "")
            valid_workload(re.sub(r"\{\w+\}", "x", rule.workload))
    except FileNotFoundError:
        return SiteRules()
    except (OSError, msgspec.DecodeError, re.error, InvalidInput) as error:
        raise InvalidInput("bad_rules", f"{path}: {error}") from error
    return rules


class Naming(Struct):
    """The rules of an agent that sees the whole host."""

    site: SiteRules = field(default_factory=SiteRules)
    #: Keeps pseudonyms the same over restarts, and other sites' different.
    secret: bytes = b""
    _pods: PodFile | None = None
    _commands: Sequence[re.Pattern[str]] = ()

    def __post_init__(self) -> None:
        self._pods = PodFile(Path(self.site.pods.file)) if self.site.pods.file else None
        self._commands = [re.compile(rule.command or "") for rule in self.site.rule]

    @property
    def reads_commands(self) -> bool:
        return any(rule.command for rule in self.site.rule)

    @property
    def rules(self) -> Sequence[Rule]:
        return (run_rule, self._stated, self._slurm, self._pod, self._site, self._unit, self._user)

    def has_changed(self) -> bool:
        """Whether the rules may say something else of the same process than before."""
        return self._pods is not None and self._pods.has_changed()

    def shown(self, user: str) -> str:
        """The user's name, or what stands for it: who holds the secret can tell it again."""
        if not self.site.pseudonymise_users or not user:
            return user
        import hashlib  # late: most sites do not hide their users
        import hmac

        return "p-" + hmac.new(self.secret, user.encode(), hashlib.sha256).hexdigest()[:12]

    def _stated(self, process: Process) -> Subject | None:
        workload = stated_workload(process)
        return self._of_user(process, workload) if workload else None

    def _slurm(self, process: Process) -> Subject | None:
        job = process.place.slurm_job
        if job is None:
            return None
        team = self.site.teams.users.get(process.user)
        return Subject(f"slurm:{job}", automatic(team, process.place.slurm_name))

    def _pod(self, process: Process) -> Subject | None:
        uid = process.place.pod_uid
        if uid is None:
            return None
        pod = self._pods.get(uid) if self._pods else None
        return Subject(f"pod:{uid}", self._workload_of(pod) if pod else None)

    def _workload_of(self, pod: PodMeta) -> str | None:
        team = self.site.teams.namespaces.get(pod.namespace)
        label = pod.labels.get(self.site.pods.label)
        if team and label:
            return valid_or_none(f"{team}/{label}")
        app = next((pod.labels[name] for name in _APP_LABELS if name in pod.labels), pod.name)
        return automatic(team, app)

    def _site(self, process: Process) -> Subject | None:
        for rule, command in zip(self.site.rule, self._commands, strict=True):
            found = command.search(process.place.command)
            if found is None or not _fits(rule, process):
                continue
            parts = {name: _cleaned(part or "") for name, part in found.groupdict().items()}
            workload = valid_or_none(_filled(rule.workload, parts))
            if workload:
                return self._of_user(process, workload)
        return None

    def _unit(self, process: Process) -> Subject | None:
        unit = process.place.unit
        return Subject(f"unit:{unit}") if unit else None

    def _user(self, process: Process) -> Subject | None:
        return Subject(f"user:{self.shown(process.user)}") if process.user else None

    def _of_user(self, process: Process, workload: str) -> Subject:
        """Its user stays in the subject, so that nobody writes under another's name."""
        return Subject(f"user:{self.shown(process.user)}/{workload}", workload)


def automatic(team: str | None, name: str) -> str | None:
    """`team/auto-NAME` with each number as 0, so that one program's jobs are one workload."""
    named = automatic_name(name)
    return valid_or_none(f"{team}/{named}") if team and named else None


def valid_or_none(workload: str) -> str | None:
    try:
        return valid_workload(workload)
    except InvalidInput:
        return None


def _fits(rule: SiteRule, process: Process) -> bool:
    return rule.user in (None, process.user) and rule.unit in (None, process.place.unit)


def _filled(workload: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: parts.get(found[1], ""), workload)


def _cleaned(text: str) -> str:
    """As a name may be written: 80 characters at most, leaving room for what stands before."""
    return _UNNAMEABLE.sub("-", text)[:80].strip("-")
