"""Numbers as people read them: in a fitting unit, with as many digits as they are sure of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from carbon.services.sci.today import Figure

#: Digits of a figure that is good to 10 %, and of one that is not.
_SURE, _UNSURE = 3, 2
_UNSURE_FROM = 0.10


@dataclass(frozen=True, slots=True)
class Shown:
    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number}\N{NO-BREAK SPACE}{self.unit}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity's units, smallest first, each with its size in the unit of the ledger."""

    units: tuple[tuple[float, str], ...]
    #: Whole things: 4 devices, not 4.00.
    is_counted: bool = False

    def show(self, value: float, digits: int = _SURE) -> Shown:
        size, unit = self._unit(value, digits)
        if self.is_counted and size == 1.0 and value == int(value):
            return Shown(str(int(value)), unit)
        return Shown(rounded(value / size, digits), unit)

    def show_like(self, value: float, model: float, digits: int = _SURE) -> Shown:
        """In the unit that fits `model`: bounds and series share one unit."""
        size, unit = self._unit(model, digits)
        return Shown(rounded(value / size, digits), unit)

    def unit_for(self, value: float) -> tuple[float, str]:
        return self._unit(value, _SURE)

    def _unit(self, value: float, digits: int) -> tuple[float, str]:
        if value == 0:
            return next(u for u in self.units if u[0] == 1.0)
        fitting = [u for u in self.units if float(rounded(abs(value) / u[0], digits)) >= 1]
        return fitting[-1] if fitting else self.units[0]


ENERGY = Quantity(((1e-6, "mWh"), (1e-3, "Wh"), (1.0, "kWh"), (1e3, "MWh"), (1e6, "GWh")))
MASS = Quantity(
    tuple(
        (size, f"{unit} CO₂e")
        for size, unit in ((1e-6, "µg"), (1e-3, "mg"), (1.0, "g"), (1e3, "kg"), (1e6, "t"))
    )
)
POWER = Quantity(((1e-3, "mW"), (1.0, "W"), (1e3, "kW"), (1e6, "MW")))
INTENSITY = Quantity(((1.0, "g/kWh"),))
VOLUME = Quantity(((1e-3, "mL"), (1.0, "L"), (1e3, "m³")))
COUNT = Quantity(((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")), is_counted=True)
#: Of a unit that stands beside it.
PLAIN = Quantity(((1.0, ""),))
BY_NAME = {
    "energy": ENERGY,
    "mass": MASS,
    "power": POWER,
    "intensity": INTENSITY,
    "volume": VOLUME,
    "count": COUNT,
    "plain": PLAIN,
}


def digits_of(figure: Figure) -> int:
    """Significant digits that the bounds of a figure leave meaning to."""
    if figure.value == 0:
        return _SURE
    half_width = (figure.high - figure.low) / 2 / abs(figure.value)
    return _UNSURE if half_width > _UNSURE_FROM else _SURE


def rounded(value: float, digits: int) -> str:
    """To significant digits, without an exponent: 0.0123, 1.23, 123, 1230."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    cut = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(cut)))
    return f"{cut:.{max(0, decimals)}f}"


def percent(share: float) -> str:
    """A share as a percentage; neither 0 nor 100 is said of what is only near."""
    if 0 < share < 0.01:
        return "<\N{NO-BREAK SPACE}1"
    if 0.99 < share < 1:
        return ">\N{NO-BREAK SPACE}99"
    return f"{share * 100:.0f}"
