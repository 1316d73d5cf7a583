"""People: invited with a role, sent a link to sign in with, and removed.

A person acts with the rights of a key that nobody holds: its text is thrown away, and sessions
alone stand for it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from carbon.auth.keys import forget_key, insert_key
from carbon.auth.sessions import make_sign_in_link
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.roles import Role, scopes_of
from carbon.domain.tenancy import Scope
from carbon.domain.units import MS_PER_DAY
from carbon.errors import Forbidden, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.storage import audit, keys
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id
from carbon.wire.durations import parse_duration_ms
from carbon.wire.people import Invitation, PeopleList, PersonAnswer, PersonBody

PERSON_INVITED: Final = "person.invited"
PERSON_REMOVED: Final = "person.removed"
_AUDITOR_MS: Final = 30 * MS_PER_DAY


def invite(context: Context, principal: Principal, body: PersonBody) -> Invitation:
    """A person with a role, and a link to sign in.

    Raises Forbidden (`scope_missing`, `team_forbidden`, `role_forbidden`: nobody gives what they
    do not have) and InvalidInput (`unknown_role`, `invalid_duration`, `key_expired`).
    """
    principal.require(Scope.PEOPLE_INVITE)
    scopes = scopes_of(body.role, body.organisation)
    if scopes is None:
        raise InvalidInput("unknown_role", "an auditor is of the organisation, not of one team")
    team = body.team or principal.team
    if team != principal.team and not principal.sees_all_teams:
        raise Forbidden("team_forbidden", "you invite people to your own team alone")
    if not scopes <= principal.scopes:
        raise Forbidden("role_forbidden", f"you cannot give the role {body.role}: it is not yours")
    now_ms = context.clock.now_ms()
    expires_ms = _expires_ms(body, now_ms)
    with writing(context.engine) as connection:
        number = team_id(connection, team, now_ms)
        _, key_id = insert_key(
            context, connection, body.name, number, scopes, expires_ms, body.role
        )
        told = {"role": str(body.role), "organisation": body.organisation}
        audit.append(connection, now_ms, principal.key_id, PERSON_INVITED, key_id, told)
    return send_link(context, principal, key_id)


def _expires_ms(body: PersonBody, now_ms: int) -> int | None:
    if body.expires_in is None:
        return now_ms + _AUDITOR_MS if body.role is Role.AUDITOR else None
    lasts_ms = parse_duration_ms(body.expires_in)
    if not lasts_ms:
        raise InvalidInput("key_expired", "an invitation must hold for a time")
    return now_ms + lasts_ms


def send_link(context: Context, principal: Principal, person: str) -> Invitation:
    """Another link for a person: theirs was used, or lost. Raises NotFound(`unknown_person`)."""
    principal.require(Scope.PEOPLE_INVITE)
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        key = _own(connection, principal, person)
    answer = _answer(key, now_ms)
    if answer.has_ended:
        raise NotFound("unknown_person", f"{key.name} may no longer sign in; invite anew")
    return Invitation(answer, f"/sign-in?token={make_sign_in_link(context, person)}")


def list_people(context: Context, principal: Principal) -> PeopleList:
    """Of the principal's team, or of all; the latest invited first."""
    principal.require(Scope.PEOPLE_INVITE)
    team = None if principal.sees_all_teams else principal.team
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        found = [key for key in keys.all_keys(connection, team) if key.role is not None]
    return PeopleList([_answer(key, now_ms) for key in reversed(found)])


def remove(context: Context, principal: Principal, person: str) -> None:
    """Ends a person's sessions and the right to open new ones.

    Raises NotFound(`unknown_person`).
    """
    principal.require(Scope.PEOPLE_INVITE)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        _own(connection, principal, person)
        keys.revoke(connection, person, now_ms)
        audit.append(connection, now_ms, principal.key_id, PERSON_REMOVED, person, {})
    forget_key(context, person)


def _own(connection: Connection, principal: Principal, person: str) -> keys.StoredKey:
    """A person that the principal may change: of its team, with no right that it lacks."""
    key = keys.find_key(connection, person)
    if key is None or key.role is None or not _is_of(key, principal):
        raise NotFound("unknown_person", f"no person {person!r}")
    if not _scopes(key) <= principal.scopes:
        raise Forbidden("role_forbidden", f"{key.name} may more than you")
    return key


def _scopes(key: keys.StoredKey) -> frozenset[Scope]:
    return frozenset(scope for scope in Scope if scope in key.scopes.split())


def _is_of(key: keys.StoredKey, principal: Principal) -> bool:
    return key.team == principal.team or principal.sees_all_teams


def _answer(key: keys.StoredKey, now_ms: int) -> PersonAnswer:
    assert key.role is not None
    has_expired = key.expires_ms is not None and key.expires_ms <= now_ms
    return PersonAnswer(
        key.id,
        key.name,
        key.role,
        key.team,
        Scope.ALL_TEAMS in _scopes(key),
        to_rfc3339(key.created_ms),
        None if key.expires_ms is None else to_rfc3339(key.expires_ms),
        has_expired or key.revoked_ms is not None,
    )
