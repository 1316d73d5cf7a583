"""`carbon factors estimate`: embodied footprints of hardware that nobody published, and energy of
what nobody meters, from size, load and time. Always `modelled`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import print_json

estimate = typer.Typer(
    help="Embodied carbon and energy from size, memory, load and time.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
_BOAVIZTA = "Boavizta, bottom-up methodology"


@estimate.command()
def cpu(
    cores: Annotated[int, typer.Option(min=1, help="Of one package.")],
    mm2_per_core: Annotated[float, typer.Option(min=0.1, help="Die area of a core, mm².")] = 24.5,
    json: Json = False,
) -> None:
    """One CPU package by its cores."""
    from carbon.domain.footprint import cpu_kg

    _print(json, "cpu", cpu_kg(cores, mm2_per_core), _BOAVIZTA)


@estimate.command()
def dram(
    gb: Annotated[float, typer.Option(min=0.1, help="Of one module.")],
    modules: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    gb_per_cm2: Annotated[float, typer.Option(min=0.01, help="Density of its dies.")] = 1.79,
    json: Json = False,
) -> None:
    """Memory modules by their capacity."""
    from carbon.domain.footprint import dimm_kg

    _print(json, "dram", modules * dimm_kg(gb, gb_per_cm2), _BOAVIZTA)


@estimate.command()
def ssd(
    gb: Annotated[float, typer.Option(min=1, help="Capacity.")],
    gb_per_cm2: Annotated[float, typer.Option(min=0.1, help="Density of its flash.")] = 50.6,
    json: Json = False,
) -> None:
    """One SSD by its capacity."""
    from carbon.domain.footprint import ssd_kg

    _print(json, "ssd", ssd_kg(gb, gb_per_cm2), _BOAVIZTA)


@estimate.command()
def gpu(
    die_mm2: Annotated[float, typer.Option(min=1, help="Area of the compute die.")],
    vram_gb: Annotated[float, typer.Option(min=1, help="Memory.")],
    vram_dies: Annotated[int, typer.Option(min=1, help="Memory dies or stacks.")],
    board_cm2: Annotated[float, typer.Option(min=0, help="Area of the board.")] = 296.0,
    casing_kg: Annotated[float, typer.Option(min=0, help="Mass of the casing.")] = 0.79,
    heatsink_kg: Annotated[float, typer.Option(min=0, help="Mass of the heat sink.")] = 0.9,
    mass_kg: Annotated[float, typer.Option(min=0, help="Mass of the card.")] = 1.69,
    json: Json = False,
) -> None:
    """One GPU card by its die and memory. It is 3.5 times the maker's own figure of an H100."""
    from carbon.domain.footprint import GpuCard, gpu_kg, wafer_mm2

    card = GpuCard(
        wafer_mm2(die_mm2), vram_gb, vram_dies, board_cm2, casing_kg, heatsink_kg, mass_kg
    )
    _print(json, "gpu", gpu_kg(card), "Boavizta, GPU component (ADEME Base Empreinte)")


@estimate.command()
def server(
    vcpus: Annotated[float | None, typer.Option(min=1, help="By default one.")] = None,
    memory_gb: Annotated[float | None, typer.Option(min=0, help="By default 16.")] = None,
    ssds: Annotated[int, typer.Option(min=0)] = 0,
    hdds: Annotated[int, typer.Option(min=0)] = 0,
    gpus: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """A whole server by what is in it (also the Impact Framework's model, in grams throughout)."""
    from carbon.domain.footprint import ServerModel

    grams = ServerModel().total_g(vcpus, memory_gb, ssds, hdds, gpus)
    _print(json, "server", grams / 1000, "Cloud Carbon Footprint and Teads, after Dell R740")


@estimate.command("cpu-energy")
def cpu_energy(
    tdp_w: Annotated[float, typer.Option(min=0.1, help="Thermal design power.")],
    load: Annotated[float, typer.Option(min=0, max=100, help="In %.")],
    seconds: Annotated[float, typer.Option(min=0, help="How long.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the chip's cores.")] = 1.0,
    json: Json = False,
) -> None:
    """Energy of a CPU from its power and load, by Teads' curve of measured Xeons."""
    from carbon.domain.energy_model import cpu_kwh

    kwh = cpu_kwh(tdp_w, load, seconds, share)
    told = {"what": "cpu", "energy_kwh": kwh, "method": "modelled", "source": "Teads, 2021"}
    _say(json, told, f"{kwh:.6g} kWh, modelled (Teads, 2021)")


@estimate.command("llm-request")
def llm_request(
    active: Annotated[float, typer.Option(min=0.01, help="Active parameters, billions.")],
    output_tokens: Annotated[float, typer.Option(min=1, help="Of the answer.")],
    total: Annotated[float | None, typer.Option(help="All parameters; by default active.")] = None,
    pue: Annotated[float, typer.Option(min=1, max=10, help="Of the host's site.")] = 1.0,
    batch: Annotated[int, typer.Option(min=1, help="Requests at once; moves it by 80 %.")] = 64,
    bits: Annotated[int, typer.Option(min=1, max=64, help="Of a weight.")] = 16,
    json: Json = False,
) -> None:
    """Energy and embodied carbon of one request to a hosted model, by EcoLogits' fit on H100."""
    from carbon.domain.llm_inference import InferenceRequest, footprint

    whole = active if total is None else total
    request = InferenceRequest(active, whole, output_tokens, batch=batch, weight_bits=bits)
    used = footprint(request, pue)
    told = {
        "what": "llm-request",
        "it_kwh": used.it_kwh,
        "energy_kwh": used.energy_kwh,
        "embodied_g": used.embodied_g,
        "method": "modelled",
        "source": "EcoLogits 0.11, ML.ENERGY on H100",
    }
    _say(json, told, f"{used.energy_kwh:.4g} kWh, {used.embodied_g:.4g} g embodied, modelled")


def _print(json: bool, what: str, kg: float, source: str) -> None:
    told = {"what": what, "embodied_kg": kg, "tier": "parametric", "source": source}
    _say(json, told, f"{kg:.6g} kgCO2e, parametric ({source}), cradle to gate")


def _say(json: bool, told: dict[str, Any], words: str) -> None:
    if json:
        print_json(told)
    else:
        typer.echo(words)
