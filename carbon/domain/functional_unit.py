"""R of SCI: what a functional unit means, gross or effective, counted or converted.

A conversion is explicit, sourced and shown with every score in its unit (ISO/IEC 21031 asks for
its factor); nothing is ever converted because two units look alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from carbon.errors import InvalidInput


class Basis(StrEnum):
    """Which of the work counts; SCI for AI asks a provider to say it."""

    GROSS = "gross"  #: all that was done, retries, failed and discarded work too
    EFFECTIVE = "effective"  #: only what was of use


@dataclass(frozen=True, slots=True)
class Conversion:
    """One `of` is `factor` of the converted unit: a page is 500 tokens by 0.002."""

    of: str
    factor: float
    source: str


@dataclass(frozen=True, slots=True)
class UnitDefinition:
    definition: str = ""
    basis: Basis | None = None
    conversion: Conversion | None = None


def check_definition(
    unit: str, made: UnitDefinition, others: Mapping[str, UnitDefinition | None]
) -> None:
    """Whether a unit can be meant so beside the workload's other own units.

    Raises InvalidInput: `unknown_unit` (a conversion of what is no own unit), `converts_itself`,
    `chained_conversion`, `bounds` (a factor that is not above 0), `missing_source`.
    """
    conversion = made.conversion
    if conversion is None:
        return
    if conversion.of == unit:
        raise InvalidInput("converts_itself", f"{unit} cannot be converted from itself")
    if conversion.of not in others:
        told = ", ".join(others) or "none yet"
        raise InvalidInput(
            "unknown_unit", f"no own unit {conversion.of!r} to convert {unit} from; there is {told}"
        )
    of = others[conversion.of]
    if of is not None and of.conversion is not None:
        raise InvalidInput(
            "chained_conversion",
            f"{conversion.of} is converted itself; convert {unit} from {of.conversion.of}",
        )
    followers = [
        name
        for name, other in others.items()
        if other is not None and other.conversion is not None and other.conversion.of == unit
    ]
    if followers:
        raise InvalidInput(
            "chained_conversion", f"{', '.join(followers)} is converted from {unit}: it is counted"
        )
    if not 0 < conversion.factor < math.inf:
        raise InvalidInput("bounds", f"{unit}: the factor of a conversion is above 0")
    if not conversion.source.strip():
        raise InvalidInput("missing_source", f"{unit}: say where the factor comes from: source")
