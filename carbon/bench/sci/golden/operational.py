"""Cases of energy and what it emits."""

from __future__ import annotations

import math
from collections.abc import Callable

from carbon.bench.sci.golden.stated import (
    Inputs,
    Results,
    intensity,
    mass_g,
    number,
    scored,
    seconds,
)
from carbon.domain import energy, energy_model, units
from carbon.domain.emissions import implied_g_per_kwh
from carbon.domain.sci import relative_change
from carbon.domain.statement import Component


def teads_kwh(inputs: Inputs) -> float:
    return energy_model.cpu_kwh(
        number(inputs["TDP"]),
        number(inputs["utilization"]),
        seconds(inputs["duration"]),
        inputs["vcpus_allocated"] / inputs["vcpus_total"],
    )


def resampled(inputs: Inputs) -> Results:
    """Rows of any length cut to 5 s, in integer millijoules."""
    total_mj, at_ms = 0, 0
    for row in inputs["rows"]:
        end_ms = at_ms + round(seconds(row["duration"]) * units.MS_PER_S)
        pieces = energy.cut(at_ms, end_ms, units.energy_mj(number(row["energy"])), width_ms=5000)
        total_mj += sum(piece_mj for _, _, piece_mj in pieces)
        at_ms = end_ms
    return {"total": units.kwh(total_mj)}


def rated_power(inputs: Inputs) -> Results:
    hours = number(inputs["h"]) * number(inputs["chips"])
    return {"E": energy_model.power_kwh(number(inputs["TDP"]), hours, number(inputs["coef"]))}


def traffic(inputs: Inputs) -> Results:
    kwh = energy_model.amount_kwh(number(inputs["GB"]), number(inputs["k"]))
    part = Component("net", energy_kwh=kwh, intensity_g_per_kwh=intensity(inputs))
    return {"E": kwh, "O": scored(part).operational_g}


def two_powers(inputs: Inputs) -> Results:
    watts = math.fsum((number(inputs["P_cpu"]), number(inputs["P_mem"])))
    return {"E": energy_model.power_kwh(watts, number(inputs["h"]))}


def priced_energy(inputs: Inputs) -> Results:
    part = Component("c", energy_kwh=number(inputs["E"]), intensity_g_per_kwh=intensity(inputs))
    return {"O": scored(part).operational_g}


def memory_energy(inputs: Inputs) -> Results:
    gigabyte_hours = number(inputs["GB"]) * number(inputs["h"])
    it_kwh = energy_model.amount_kwh(gigabyte_hours, number(inputs["k"]))
    return {"E": energy_model.facility_kwh(it_kwh, number(inputs["PUE"]))}


def implied_intensity(inputs: Inputs) -> Results:
    of_memory = implied_g_per_kwh(mass_g(inputs["O_mem"]), number(inputs["E_mem"]))
    of_cpu = implied_g_per_kwh(mass_g(inputs["O_cpu"]), number(inputs["E_cpu"]))
    if of_memory is None or of_cpu is None or not math.isclose(of_memory, of_cpu, rel_tol=1e-9):
        raise ValueError("two components of one region imply different intensities")
    return {"I": of_memory}


def power_over_time(inputs: Inputs) -> Results:
    kwh = energy_model.power_kwh(number(inputs["P"]), number(inputs["t"]))
    return priced_energy({"E": kwh, "I": inputs["I"]})


def joules(inputs: Inputs) -> Results:
    return {"E": units.kwh(round(number(inputs["J"]) * units.MJ_PER_J))}


def gpu_hours(inputs: Inputs) -> Results:
    kwh = energy_model.power_kwh(number(inputs["P"]) * 1000, number(inputs["GPUh"]))
    return {"E": kwh, **priced_energy({"E": kwh, "I": inputs["I"]})}


def effect(baseline: str, treatment: str) -> Callable[[Inputs], Results]:
    return lambda inputs: {
        "effect": relative_change(number(inputs[baseline]), number(inputs[treatment]))
    }
