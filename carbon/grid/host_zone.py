"""The grid zone of this machine: as told, else its cloud's region, else its clock's country."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from carbon.domain.yearly import WORLD, ZONE_NAMES, normal_zone
from carbon.grid.cloud_metadata import cloud_zone
from carbon.grid.timezones import system_timezone, timezone_country


class ZoneOrigin(StrEnum):
    """How a zone is known, best first."""

    EXPLICIT = "explicit"
    CLOUD = "cloud"
    TIMEZONE = "timezone"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class HostZone:
    zone: str
    origin: ZoneOrigin
    #: What it was taken from, such as `aws eu-north-1` or `Europe/Berlin`.
    detail: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """A clock is a guess. That of WORLD the yearly figure flags by itself."""
        return ("zone_guessed",) if self.origin is ZoneOrigin.TIMEZONE else ()


def host_zone(
    explicit: str | None,
    cloud: Callable[[], tuple[str, str] | None] = cloud_zone,
    timezone: Callable[[], str | None] = system_timezone,
) -> HostZone:
    """Never fails: a machine that nobody can place stands in the world at large.

    An explicit zone is taken as it is, known or not: a site may have a feed of its own.
    """
    if explicit and explicit.strip():
        return HostZone(normal_zone(explicit), ZoneOrigin.EXPLICIT)
    if placed := cloud():
        return HostZone(placed[0], ZoneOrigin.CLOUD, placed[1])
    name = timezone()
    country = timezone_country(name) if name else None
    if name and country in ZONE_NAMES:
        return HostZone(country, ZoneOrigin.TIMEZONE, name)
    return HostZone(WORLD, ZoneOrigin.NOWHERE)
