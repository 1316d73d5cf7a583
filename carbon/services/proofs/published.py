"""A published experiment as other teams see it: figures, conditions and method, names salted.

The same name has the same pseudonym in all that a team publishes, so that a reader can follow one
workload, and none can be guessed without the team's salt. What a team wrote for readers (title,
settings, labels of groups, artefacts) stands as it wrote it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from carbon.wire.experiments import ExperimentSummary

_DIGITS: Final = 12
#: Where no salt was ever drawn: a name is then left out, and never hashed bare.
_WITHHELD: Final = "withheld"


def pseudonym(salt: str, kind: str, name: str) -> str:
    """`kind-` and 48 bits of an HMAC under the team's salt (hex); empty stays empty."""
    if not name:
        return ""
    if not salt:
        return f"{kind}-{_WITHHELD}"
    told = hmac.new(bytes.fromhex(salt), f"{kind}\n{name}".encode(), "sha256").hexdigest()
    return f"{kind}-{told[:_DIGITS]}"


def published_answer(answer: dict[str, Any], salt: str) -> dict[str, Any]:
    name = _names(salt)
    return {
        **answer,
        "team": name("team", answer["team"]),
        "recorded_by": name("key", answer["recorded_by"]),
        "workload": _workload(salt, answer["workload"]),
        "baseline": _arm(answer["baseline"], salt),
        "treatment": _arm(answer["treatment"], salt),
    }


def published_summary(summary: ExperimentSummary, salt: str) -> ExperimentSummary:
    name = _names(salt)
    return structs.replace(
        summary,
        team=name("team", summary.team),
        workload=_workload(salt, summary.workload),
        recorded_by=name("key", summary.recorded_by),
    )


def _names(salt: str) -> Callable[[str, str], str]:
    return lambda kind, name: pseudonym(salt, kind, name)


def _workload(salt: str, name: str) -> str:
    team, _, own = name.partition("/")
    return f"{pseudonym(salt, 'team', team)}/{pseudonym(salt, 'workload', own)}"


def _arm(arm: dict[str, Any], salt: str) -> dict[str, Any]:
    blocks = [
        {
            **block,
            "run": block["run"] and pseudonym(salt, "run", block["run"]),
            "site": pseudonym(salt, "site", block["site"]),
        }
        for block in arm["blocks"]
    ]
    return {**arm, "workload": _workload(salt, arm["workload"]), "blocks": blocks}
