"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass, replace

from carbon.domain.energy import MeterKind
from carbon.domain.tenancy import Scope, WorkloadName, parse_workload
from carbon.errors import Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key or session. No query of a team's data is made without one."""

    key_id: str
    name: str
    team: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        if scope not in self.scopes:
            raise Forbidden("scope_missing", f"this key lacks the scope {scope}")

    @property
    def sees_all_teams(self) -> bool:
        return Scope.ALL_TEAMS in self.scopes

    def workload(self, text: str) -> WorkloadName:
        """The workload that a path or body names, as far as this principal may know of it.

        Raises NotFound for another team's: that it exists is not told.
        """
        name = parse_workload(text, self.team)
        if name.team != self.team and not self.sees_all_teams:
            raise NotFound("unknown_workload", f"no workload {text!r}")
        return name

    def as_importer(self) -> Principal:
        """The same holder sending what another tool read; a team's key ranks as before."""
        if not self.scopes & {Scope.ENERGY_AGENT, Scope.ENERGY_IMPORT}:
            return self
        scopes = (self.scopes - {Scope.ENERGY_AGENT}) | {Scope.ENERGY_IMPORT}
        return replace(self, scopes=scopes)

    @property
    def meter_kind(self) -> MeterKind:
        """How the meters of what this key sends are ranked."""
        if Scope.ENERGY_AGENT in self.scopes:
            return MeterKind.AGENT
        if Scope.ENERGY_IMPORT in self.scopes:
            return MeterKind.IMPORTER
        return MeterKind.TRACKER
