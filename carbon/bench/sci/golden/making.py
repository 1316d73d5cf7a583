"""Cases of embodied carbon: what hardware took to make, and whose share it is."""

from __future__ import annotations

from carbon.bench.sci.golden.stated import (
    Inputs,
    Results,
    mass_g,
    number,
    parts_in_grams,
    scored,
    seconds,
)
from carbon.domain.embodied import embodied_g
from carbon.domain.footprint import GpuCard, ServerModel, cpu_kg, gpu_kg, wafer_mm2
from carbon.domain.sci import relative_change
from carbon.domain.statement import Component, EmbodiedShare


def server(inputs: Inputs) -> EmbodiedShare:
    """Impact Framework's model; its own memory constant is in kg, ours in g like the rest."""
    model = ServerModel()
    memory_g = model.memory_g_per_gb
    if "k_memory" in inputs:
        memory_g = mass_g(inputs["k_memory"])
    elif "memory_constant" in inputs:
        memory_g = mass_g(inputs["memory_constant"])
    configured = ServerModel(
        baseline_g=number(inputs["baseline_emissions"]), memory_g_per_gb=memory_g
    )
    total_g = configured.total_g(
        vcpus=number(inputs["vCPUs"]) if "vCPUs" in inputs else None,
        memory_gb=number(inputs["memory"]) if "memory" in inputs else None,
        ssds=inputs.get("ssd", 0),
        hdds=inputs.get("hdd", 0),
        gpus=inputs.get("gpu", 0),
    )
    return EmbodiedShare(total_g, seconds(inputs["duration"]), seconds(inputs["lifespan"]), 1.0)


def framework_embodied(inputs: Inputs) -> Results:
    parts = [Component(f"row{i}", embodied=server(inputs)) for i in range(inputs.get("rows", 1))]
    result = scored(*parts)
    return {"M": result.components[0].embodied_g, "total": result.embodied_g}


def time_share(inputs: Inputs) -> Results:
    share = EmbodiedShare(mass_g(inputs["TE"]), number(inputs["TS"]), 1.0, number(inputs["RS"]))
    return {"M": scored(Component("c", embodied=share)).embodied_g}


def capped_accrual(inputs: Inputs) -> Results:
    life, total_g = seconds(inputs["lifetime"]), mass_g(inputs["I"])
    return {
        f"d{hours['value']}": embodied_g(total_g, seconds(hours), life)
        for hours in inputs["durations"]
    }


def processor(inputs: Inputs) -> Results:
    one_kg = cpu_kg(inputs["cores"], number(inputs["die"]))
    return {"gwp": one_kg * inputs.get("units", 1) * 1000}


def server_of_parts(inputs: Inputs) -> Results:
    return {"gwp": scored(*parts_in_grams(inputs.values())).total_g}


def graphics_card(inputs: Inputs) -> Results:
    die_mm2 = wafer_mm2(number(inputs["die"]))
    card = GpuCard(
        die_wafer_mm2=die_mm2,
        vram_gb=number(inputs["vram"]),
        vram_dies=inputs["vram_dies"],
        board_cm2=number(inputs["pwb"]),
        casing_kg=number(inputs["casing"]),
        heatsink_kg=number(inputs["heatsink"]),
        mass_kg=number(inputs["weight"]),
        boat_km=number(inputs["boat"]),
        truck_km=number(inputs["truck"]),
    )
    return {"gwp": gpu_kg(card) * 1000, "die_eff": die_mm2}


def share_of_board(inputs: Inputs) -> Results:
    share = EmbodiedShare(mass_g(inputs["board"]), 1.0, 1.0, 1 / inputs["n"])
    return {"gpu": scored(Component("gpu", embodied=share)).embodied_g}


def reduction(inputs: Inputs) -> Results:
    return {"reduction": -relative_change(number(inputs["h100"]), number(inputs["b200"]))}
