"""Teams, workload names and what a key may do."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from carbon.errors import InvalidInput

#: Names that would collide with paths below /v1/workloads/.
RESERVED_NAMES = frozenset({"sci"})
_DIGITS = re.compile(r"\d+")
_UNNAMEABLE = re.compile(r"[^\w.:@+-]+")
_NAME = re.compile(r"[\w.:@+-][\w.:@+ -]{0,98}", re.UNICODE)


@dataclass(frozen=True, slots=True)
class WorkloadName:
    """A named piece of software whose SCI is wanted, written `team/name`."""

    team: str
    name: str

    def __str__(self) -> str:
        return f"{self.team}/{self.name}"


@lru_cache(4096)
def parse_workload(text: str, own_team: str) -> WorkloadName:
    """`name` (of `own_team`) or `team/name`.

    Raises InvalidInput(`invalid_workload`) for empty parts, further slashes, reserved names
    and characters that no path could carry.
    """
    team, slash, name = unicodedata.normalize("NFC", text).partition("/")
    if not slash:
        team, name = own_team, text
    for part in (team, name):
        if not _NAME.fullmatch(part) or part.endswith(" ") or not part.strip("."):
            raise InvalidInput(
                "invalid_workload",
                f"{text!r} is no workload name: write name or team/name, up to 99 letters, "
                "digits, blanks or . : @ + - _ each",
            )
    if name in RESERVED_NAMES:
        raise InvalidInput("invalid_workload", f"the name {name!r} is reserved")
    return WorkloadName(team, name)


def automatic_name(name: str) -> str:
    """The workload's name for a job that nobody named one for: each number as 0, so that one
    program's jobs are one workload. Empty where nothing of it can stand in a name."""
    folded = _DIGITS.sub("0", _UNNAMEABLE.sub("-", name)[:80].strip("-"))
    return f"auto-{folded}" if folded else ""


class Scope(StrEnum):
    """What a key may do. Which of the three write scopes it has ranks its meters."""

    ENERGY_AGENT = "energy:agent"  #: writes energy as an agent of ours
    ENERGY_IMPORT = "energy:import"  #: writes energy as an importer
    ENERGY_TRACK = "energy:track"  #: writes energy as somebody's tracker
    UNITS_WRITE = "units:write"
    WORKLOADS_WRITE = "workloads:write"
    REPORTS_READ = "reports:read"
    INTENSITY_WRITE = "intensity:write"
    JOBS_WRITE = "jobs:write"
    HOSTS_WRITE = "hosts:write"
    PEOPLE_INVITE = "people:invite"  #: invites people to its team, with roles it has itself
    KEYS_ADMIN = "keys:admin"
    AUDIT_READ = "audit:read"
    METRICS_READ = "metrics:read"  #: /metrics, which names workloads of every team
    #: Reads and writes for every team of the deployment.
    ALL_TEAMS = "teams:all"


#: A team's own key: everything of its team, nothing of the deployment.
TEAM_SCOPES = frozenset(
    {
        Scope.ENERGY_TRACK,
        Scope.UNITS_WRITE,
        Scope.WORKLOADS_WRITE,
        Scope.REPORTS_READ,
        Scope.JOBS_WRITE,
    }
)
#: An agent writes energy for whoever it saw; it reads nothing.
AGENT_SCOPES = frozenset({Scope.ENERGY_AGENT, Scope.UNITS_WRITE, Scope.ALL_TEAMS})
#: What stands on many machines of a team: it writes, and reads nothing of anybody's.
FLEET_SCOPES = frozenset({Scope.ENERGY_TRACK, Scope.UNITS_WRITE})
#: A Prometheus server reads /metrics and nothing else.
SCRAPE_SCOPES = frozenset({Scope.METRICS_READ})
ADMIN_SCOPES = frozenset(Scope)
