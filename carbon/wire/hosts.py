"""GET and POST of /v1/hosts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.wire.energy import Text


class HostBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of a host from `valid_from` on (by default for all time)."""

    name: Text
    site: str | None = None
    zone: str | None = None
    #: At least 1.0.
    pue: float | None = None
    owner: str | None = None
    #: Of a cloud, `aws/eu-west-1`: its published PUE holds where `pue` is not said, its grid zone
    #: where `zone` is not.
    region: Text | None = None
    #: Model of the server without its GPUs, which share its embodied carbon, each by the time for
    #: which it is held; its CPUs and memory are part of it.
    server: Text | None = None
    #: How many GPUs share it, where not all are metered.
    gpus: Annotated[int, Meta(ge=1, le=1024)] | None = None
    #: From then on it is expected to report, and until then: readings that are missing between
    #: them lower completeness.
    commissioned: str | None = None
    retired: str | None = None
    #: Addresses from which trackers that name no host are on this one.
    trackers: Annotated[list[Text], Meta(max_length=100)] = []
    valid_from: str | None = None


class HostAnswer(Struct, frozen=True):
    name: str
    site: str | None
    zone: str | None
    pue: float | None
    owner: str | None
    region: str | None
    server: str | None
    gpus: int | None
    valid_from: str | None
    devices: int
    commissioned: str | None
    retired: str | None
    trackers: list[str]
    #: `reporting`, `silent`, `planned` or `retired`.
    state: str
    last_seen: str | None
    #: Of the quarter-hours of the window in which it was expected, those with a reading; null
    #: for a host that nobody registered, of which nothing is expected.
    completeness: float | None


class HostList(Struct, frozen=True):
    hosts: list[HostAnswer]
    start: str
    end: str
    #: Of all registered hosts together: a silent one lowers it.
    completeness: float | None
    silent: int
