"""Roles are sets of scopes: each told from every other, none wider than it says."""

from __future__ import annotations

from itertools import pairwise

import pytest

from carbon.domain.roles import Role, scopes_of
from carbon.domain.tenancy import Scope

LADDER = [Role.VIEWER, Role.MEMBER, Role.LEAD, Role.ADMIN]


@pytest.mark.parametrize("is_organisation", [False, True])
def test_each_may_what_the_one_before_may(is_organisation: bool) -> None:
    for lower, higher in pairwise(LADDER):
        below, above = (scopes_of(role, is_organisation) for role in (lower, higher))
        assert below is not None
        assert above is not None
        assert below < above


def test_no_role_of_a_team_reaches_beyond_it() -> None:
    beyond = {Scope.ALL_TEAMS, Scope.KEYS_ADMIN, Scope.AUDIT_READ, Scope.HOSTS_WRITE}
    for role in LADDER:
        assert not beyond & (scopes_of(role, False) or set())
    assert scopes_of(Role.AUDITOR, False) is None


def test_an_auditor_writes_nothing() -> None:
    assert scopes_of(Role.AUDITOR, True) == {Scope.REPORTS_READ, Scope.ALL_TEAMS, Scope.AUDIT_READ}
