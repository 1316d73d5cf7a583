"""Join tokens, and POST /v1/hosts/join."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.wire.energy import Text


class JoinBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    token: Text
    #: The machine's name, as its agent states it with its energy.
    host: Text
    #: Random, drawn by the agent before it asks: the same again is the same joining, so that an
    #: answer that was lost costs no further use of the token.
    attempt: Annotated[str, Meta(min_length=16, max_length=200)] | None = None


class JoinAnswer(Struct, frozen=True):
    """The key is told here and never again."""

    key: str
    key_id: str
    host: str
    team: str


class TokenBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    name: Text = "hosts"
    #: How many machines may join with it.
    uses: Annotated[int, Meta(ge=1, le=100_000)] = 1
    #: A duration such as `24h`.
    expires_in: str = "24h"
    #: Of the keys that it gives; by default the team of the key that makes it.
    team: Text | None = None


class JoinedHost(Struct, frozen=True):
    host: str
    key_id: str
    joined: str


class TokenAnswer(Struct, frozen=True, omit_defaults=True):
    token_id: str
    name: str
    team: str
    #: `open`, `spent`, `expired` or `revoked`.
    state: str
    uses_left: int
    created: str
    expires: str
    hosts: list[JoinedHost]
    #: In the answer that made it, and never again.
    token: str | None = None


class TokenList(Struct, frozen=True):
    tokens: list[TokenAnswer]
