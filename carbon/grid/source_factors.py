"""A named set of gCO2e per kWh by kind of plant, as feeds of generation use it.

From a set and a generation mix comes an intensity; each vintage made so names its set, and whether
any of its figures was superseded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from carbon.domain.factor import Factor
from carbon.domain.factor_book import FactorBook
from carbon.domain.intensity import EmissionScope
from carbon.domain.source_factors import AR5, SRREN, Fuel
from carbon.errors import InvalidInput

__all__ = ["IPCC_AR5", "IPCC_SRREN", "SETS", "Fuel", "Sets", "SourceFactors", "source_factors"]


@dataclass(frozen=True, slots=True)
class SourceFactors:
    """A set as it holds at a moment. A fuel that it lacks has no figure here, and never 0."""

    #: Its name; with a digest behind it where figures of it were superseded.
    version: str
    scope: EmissionScope
    g_per_kwh: Mapping[Fuel, float]

    @property
    def flag(self) -> str:
        return f"factors_{self.version}"


#: What a feed asks for its set, each time anew: it may have been superseded since.
Sets = Callable[[], SourceFactors]


def source_factors(book: FactorBook, name: str, at_ms: int) -> SourceFactors:
    """The set of that name as it holds at a moment. All sets are of the life cycle.

    Raises InvalidInput(`unknown_factor_set`), naming those that there are.
    """
    held = book.of_set(name, at_ms)
    found = {Fuel(factor.subject): factor for factor in held if factor.subject in set(Fuel)}
    if not found:
        known = ", ".join(sorted(book.set_names()))
        raise InvalidInput("unknown_factor_set", f"no set of factors {name!r}: there are {known}")
    values = {fuel: factor.value for fuel, factor in found.items()}
    version = _version(name, found.values())
    return SourceFactors(version, EmissionScope.LIFECYCLE, MappingProxyType(values))


def _version(name: str, factors: Iterable[Factor]) -> str:
    changed = sorted(factor.id for factor in factors if factor.supersedes is not None)
    if not changed:
        return name
    return f"{name}_{sha256(' '.join(changed).encode()).hexdigest()[:8]}"


IPCC_AR5: Final = source_factors(FactorBook(), AR5, 0)
IPCC_SRREN: Final = source_factors(FactorBook(), SRREN, 0)
SETS: Final = MappingProxyType({made.version: made for made in (IPCC_AR5, IPCC_SRREN)})
