"""One correction within its transaction: what it changes, of which time, where it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from carbon.domain.counts import counted
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.fleet.correction_effects import (
    Effect,
    days_anew,
    effect_of_claims,
)
from carbon.services.sci.question import known_workload
from carbon.storage import corrections
from carbon.storage.attributed import claims_of
from carbon.storage.correction_rows import (
    name_of_workload,
)
from carbon.storage.names import FOR_EVER_MS
from carbon.storage.unit_counts import counts_between
from carbon.wire.corrections import (
    CountChange,
)


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) that a correction speaks of; all time where nothing is said."""

    start_ms: int = 0
    end_ms: int = FOR_EVER_MS


@dataclass(frozen=True, slots=True)
class Change:
    """One correction being recorded, within its transaction."""

    context: Context
    connection: Connection
    principal: Principal
    id: int
    now_ms: int

    def own(self, text: str | None, member: str) -> tuple[int, WorkloadName]:
        name = self.principal.workload(stated(text, member))
        return known_workload(self.connection, self.principal, name), name

    def effect(self, subjects: Sequence[int], make: Callable[[], None], period: Period) -> Effect:
        """What `make` changes of the claims of some subjects; marks it to be rolled up anew."""
        before = claims_of(self.connection, subjects)
        make()
        after = claims_of(self.connection, subjects)
        return effect_of_claims(
            self.connection, subjects, before, after, period.start_ms, period.end_ms
        )

    def recounted(
        self,
        workload_id: int,
        unit: str,
        unit_id: int,
        period: Period,
        make: Callable[[], None] = lambda: None,
        gone: frozenset[int] | None = None,
    ) -> Effect:
        """What `make` (or an undoing, with what was `gone` before it) changes of a count."""

        def now(gone: frozenset[int] | None) -> int:
            window = (period.start_ms, period.end_ms)
            return counted(counts_between(self.connection, unit_id, *window, gone), *window)

        before = now(gone)
        make()
        name = str(name_of_workload(self.connection, workload_id))
        span_ms = (period.start_ms, period.end_ms)
        counts_as = corrections.counted_as(self.connection, workload_id)
        days_anew(self.connection, self.context.settings.timezone, counts_as, *span_ms)
        change = CountChange(name, unit, before, now(None))
        return Effect([], span_ms, frozenset({name}), [change])


def stated(text: str | None, member: str) -> str:
    if not text:
        raise InvalidInput("missing_member", f"this kind of correction needs `{member}`")
    return text


def origin_of(connection: Connection, row: Any) -> Any:
    """The correction that a chain of undoing began with."""
    while row.undoes_id is not None:
        row = corrections.find_correction(connection, row.undoes_id)
    return row
