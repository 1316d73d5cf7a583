"""Scores of a large fleet's first page: told again for a minute, since computing them anew for each
who looks takes longer than all else on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from carbon.domain.principal import Principal
from carbon.services.context import Context
from carbon.services.sci.scores import Scores, scores

#: With fewer devices every look sees the ledger as it stands.
MANY_DEVICES: Final = 50
_KEPT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class _Told:
    at_ms: int
    scores: Scores


#: By team; None is who sees all.
_told: WeakKeyDictionary[Engine, dict[str | None, _Told]] = WeakKeyDictionary()


def recent_scores(
    context: Context, principal: Principal, names: Mapping[int, str], devices: int
) -> Scores:
    """As `scores`; of a fleet of many devices up to a minute old, as its window says."""
    if devices < MANY_DEVICES:
        return scores(context, principal, names)
    team = None if principal.sees_all_teams else principal.team
    of_engine = _told.setdefault(context.engine, {})
    now_ms = context.clock.now_ms()
    known = of_engine.get(team)
    if known is None or not 0 <= now_ms - known.at_ms < _KEPT_MS:
        known = of_engine[team] = _Told(now_ms, scores(context, principal, names))
    return known.scores
