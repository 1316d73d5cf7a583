"""Roles: what a person may do, in a team or in the whole organisation.

A role is a set of scopes and nothing more, so that a person and a program are asked the same
questions. Where people come from (today a sign-in link, some day an identity provider's groups)
only has to name a role.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from carbon.domain.tenancy import ADMIN_SCOPES, Scope


class Role(StrEnum):
    """Each may what the one before may, but for the auditor, who reads alone."""

    VIEWER = "viewer"  #: reads pages, reports and figures
    MEMBER = "member"  #: submits jobs, counts units, tracks energy
    LEAD = "lead"  #: names workloads, sets budgets, issues and restates reports
    ADMIN = "admin"  #: invites people; of the organisation, everything
    AUDITOR = "auditor"  #: of the organisation: reads everything and the audit log, for a time


_VIEWER: Final = frozenset({Scope.REPORTS_READ})
_MEMBER: Final = _VIEWER | {Scope.JOBS_WRITE, Scope.UNITS_WRITE, Scope.ENERGY_TRACK}
_LEAD: Final = _MEMBER | {Scope.WORKLOADS_WRITE}
_OF_TEAM: Final = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.LEAD: _LEAD,
    Role.ADMIN: _LEAD | {Scope.PEOPLE_INVITE},
}
_OF_ORGANISATION: Final = {
    Role.VIEWER: _VIEWER | {Scope.ALL_TEAMS},
    Role.MEMBER: _MEMBER | {Scope.ALL_TEAMS},
    #: Factors and intensity are the organisation's, and so is the proof of its reports.
    Role.LEAD: _LEAD | {Scope.ALL_TEAMS, Scope.INTENSITY_WRITE, Scope.AUDIT_READ},
    Role.ADMIN: ADMIN_SCOPES,
    Role.AUDITOR: _VIEWER | {Scope.ALL_TEAMS, Scope.AUDIT_READ},
}


def scopes_of(role: Role, is_organisation: bool) -> frozenset[Scope] | None:
    """None where there is no such role: an auditor of one team."""
    return (_OF_ORGANISATION if is_organisation else _OF_TEAM).get(role)
