"""Cases of hosted language models, and of water."""

from __future__ import annotations

from carbon.bench.sci.golden.stated import (
    Inputs,
    Results,
    intensity,
    mass_g,
    number,
    scored,
    seconds,
)
from carbon.domain import energy_model
from carbon.domain.llm_inference import InferenceRequest, InferenceServer, footprint
from carbon.domain.sci import relative_change
from carbon.domain.statement import Component


def inference_request(inputs: Inputs) -> InferenceRequest:
    return InferenceRequest(
        number(inputs["P_active"]),
        number(inputs["P_total"]),
        number(inputs["tokens_out"]),
        seconds(inputs["latency"]),
        batch=inputs.get("B", 64),
        weight_bits=inputs.get("Q", 16),
    )


def language_model(inputs: Inputs) -> Results:
    machine = InferenceServer(
        gpu_embodied_g=mass_g(inputs["TE_gpu"]),
        server_embodied_g=mass_g(inputs["TE_server"]),
        lifespan_s=seconds(inputs["lifetime"]),
    )
    pue = number(inputs["PUE"])
    used = footprint(inference_request(inputs), pue, machine)
    part = Component("llm", energy_kwh=used.it_kwh, intensity_g_per_kwh=intensity(inputs), pue=pue)
    return {
        "E": used.energy_kwh,
        "O": scored(part).operational_g,
        "M": used.embodied_g,
        "W": water({**inputs, "E_it": used.it_kwh})["W"],
    }


def restated_gpu(inputs: Inputs) -> Results:
    request = inference_request(inputs)
    first, second = (
        footprint(request, server=InferenceServer(gpu_embodied_g=mass_g(inputs[name]))).embodied_g
        for name in ("factor_v1", "factor_v2")
    )
    return {"M_v1": first, "M_v2": second, "ratio": 1 + relative_change(first, second)}


def water(inputs: Inputs) -> Results:
    litres = energy_model.water_l(
        number(inputs["E_it"]),
        number(inputs["WUE"]),
        number(inputs["PUE"]),
        number(inputs["WUE_off"]),
    )
    return {"W": litres}
