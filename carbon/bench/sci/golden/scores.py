"""Cases that state a score, or the parts of one."""

from __future__ import annotations

from carbon.bench.sci.golden.making import server
from carbon.bench.sci.golden.operational import teads_kwh
from carbon.bench.sci.golden.stated import (
    Inputs,
    Results,
    hardware,
    intensity,
    mass_g,
    number,
    parts_in_grams,
    sci_of,
    scored,
)
from carbon.domain import energy_model, units
from carbon.domain.sci import count_at_rate
from carbon.domain.statement import Component


def embodied_share(inputs: Inputs) -> Results:
    return {"M": scored(Component("c", embodied=hardware(inputs))).embodied_g}


def sci_of_o_and_m(inputs: Inputs) -> Results:
    part = Component("c", operational_g=mass_g(inputs["O"]), embodied_g=mass_g(inputs["M"]))
    return {"sci": sci_of(part, count=number(inputs["R"]))}


def sci_of_c(inputs: Inputs) -> Results:
    return {
        "sci": sci_of(Component("c", operational_g=mass_g(inputs["C"])), count=number(inputs["R"]))
    }


def agentic(inputs: Inputs) -> Results:
    parts = [
        Component(
            name,
            energy_kwh=number(part["E"]),
            intensity_g_per_kwh=intensity(inputs),
            embodied_g=mass_g(part["M"]),
        )
        for name, part in inputs["components"].items()
    ]
    result = scored(*parts, count=number(inputs["R"]))
    by_name = {part.name: part.sci_g_per_unit or 0.0 for part in result.components}
    return {"sci": result.sci_g_per_unit or 0.0, **by_name}


def framework_pipeline(inputs: Inputs) -> Results:
    part = Component(
        "c",
        energy_kwh=teads_kwh(inputs) + number(inputs["E_net"]),
        intensity_g_per_kwh=intensity(inputs),
        embodied=server(inputs),
    )
    result = scored(part)
    return {"O": result.operational_g, "M": result.embodied_g, "sci": result.total_g}


def split_over_units(inputs: Inputs) -> Results:
    result = scored(*parts_in_grams(inputs["split"].values()), count=number(inputs["R"]))
    return {"C": result.total_g, "sci": result.sci_g_per_unit or 0.0}


def ratio_of_sums(inputs: Inputs) -> Results:
    month = Component("month", operational_g=mass_g(inputs["sum_carbon"]))
    return {"sci": sci_of(month, count=number(inputs["sum_visits"]))}


def energy_and_hardware(inputs: Inputs) -> Results:
    part = Component(
        "c",
        energy_kwh=number(inputs["E"]),
        intensity_g_per_kwh=intensity(inputs),
        embodied=hardware(inputs),
    )
    return {"sci": sci_of(part)}


def two_shares_of_one_server(inputs: Inputs) -> Results:
    share = number(inputs["M_mem_share"]) + number(inputs["M_cpu_share"])
    return energy_and_hardware(inputs | {"RR": share, "ToR": 1})


def sum_of_parts(inputs: Inputs) -> Results:
    total_g = scored(*parts_in_grams(inputs["parts"])).total_g
    return {"sci": total_g, "total": total_g}


def sum_of_named(inputs: Inputs) -> Results:
    return {"C": scored(*parts_in_grams(inputs.values())).total_g}


def throughput(inputs: Inputs) -> Results:
    return {"R": count_at_rate(number(inputs["WIPS"]), 3600)}


def energy_and_grams(inputs: Inputs) -> Results:
    part = Component(
        "c",
        energy_kwh=number(inputs["E"]),
        intensity_g_per_kwh=intensity(inputs),
        embodied_g=mass_g(inputs["M"]),
    )
    return {"sci": sci_of(part, count=number(inputs["R"]))}


def a_year_of_days(inputs: Inputs) -> Results:
    days = units.MS_PER_LIFESPAN_YEAR / units.MS_PER_DAY
    part = Component(
        "pi",
        energy_kwh=energy_model.amount_kwh(days, number(inputs["E"])),
        intensity_g_per_kwh=intensity(inputs),
        embodied_g=mass_g(inputs["M"]),
    )
    return {"C": scored(part).total_g}
