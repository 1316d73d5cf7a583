"""How results are printed: a JSON line for programs, a few calm lines for people."""

from __future__ import annotations

from typing import Any

import msgspec
import typer


def print_json(body: Any) -> None:
    typer.echo(msgspec.json.encode(body).decode())


def significant(value: float, digits: int = 3) -> str:
    """A number by its significant digits, without an exponent: 0.00123, 45.6, 12 300."""
    if value == 0:
        return "0"
    text = f"{float(f'{value:.{digits}g}'):,.12f}".rstrip("0").rstrip(".")
    return text.replace(",", " ")


def energy(energy_mj: float) -> str:
    """The unit that keeps the number readable: J, kJ, Wh or kWh."""
    joules = energy_mj / 1000
    for size, unit in ((3.6e6, "kWh"), (3.6e3, "Wh")):
        if joules >= size:
            return f"{significant(joules / size)} {unit}"
    return f"{significant(joules)} J"


def mass(grams: float) -> str:
    for size, unit in ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg")):
        if abs(grams) >= size:
            return f"{significant(grams / size)} {unit} CO2e"
    return f"{significant(grams * 1e6)} µg CO2e" if grams else "0 g CO2e"
