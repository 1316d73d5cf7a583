"""GET and POST of /v1/hosts."""

from __future__ import annotations

from msgspec import Struct

from carbon.wire.energy import Text


class HostBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of a host from `valid_from` on (by default for all time)."""

    name: Text
    site: str | None = None
    zone: str | None = None
    #: At least 1.0.
    pue: float | None = None
    owner: str | None = None
    valid_from: str | None = None


class HostAnswer(Struct, frozen=True):
    name: str
    site: str | None
    zone: str | None
    pue: float | None
    owner: str | None
    valid_from: str | None
    devices: int


class HostList(Struct, frozen=True):
    hosts: list[HostAnswer]
