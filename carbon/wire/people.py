"""People and their roles: /v1/people."""

from __future__ import annotations

from msgspec import Struct

from carbon.domain.roles import Role
from carbon.wire.energy import Text


class PersonBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    name: Text
    role: Role
    #: By default the inviter's own.
    team: Text | None = None
    #: Of all teams instead of one.
    organisation: bool = False
    #: A duration such as `90d`; by default for good, of an auditor 30 days.
    expires_in: str | None = None


class PersonAnswer(Struct, frozen=True):
    id: str
    name: str
    role: str
    team: str
    organisation: bool
    created_at: str
    expires_at: str | None
    #: Removed or expired: may no longer sign in.
    has_ended: bool


class Invitation(Struct, frozen=True):
    """The link is told here and never again; it opens one session, within 24 h."""

    person: PersonAnswer
    #: Path and query on this service.
    sign_in: str


class PeopleList(Struct, frozen=True):
    people: list[PersonAnswer]
