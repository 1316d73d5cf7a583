"""A hosted language model that no meter sees: energy and emissions of one request, `modelled`.

Source: EcoLogits, LLM inference methodology (v0.11), fitted to the ML.ENERGY leaderboard on
H100. It leaves out networking, idle hardware and training; its batch and precision are
assumptions that move the result by 80 %. Never to be added silently to metered energy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from carbon.domain.embodied import embodied_g
from carbon.domain.energy_model import facility_kwh, power_kwh

# Energy of one GPU and output token, Wh: (ALPHA·exp(BETA·batch)·active + GAMMA).
_ENERGY_ALPHA = 1.1665273170451914e-06
_ENERGY_BETA = -0.011205921025579175
_ENERGY_GAMMA = 4.052928146734005e-05
# Seconds per output token: ALPHA·active + BETA·batch + GAMMA.
_LATENCY_ALPHA = 0.0006785088094353663
_LATENCY_BETA = 0.0003119310311688259
_LATENCY_GAMMA = 0.019473717579473387
#: Memory beyond the weights, for activations and cache.
_MEMORY_OVERHEAD = 1.2


@dataclass(frozen=True, slots=True)
class InferenceServer:
    """The machine that is assumed: an eight-GPU H100 server."""

    gpus: int = 8
    gpu_memory_gb: float = 80.0
    power_w: float = 1200.0  #: without its GPUs
    gpu_embodied_g: float = 273_000.0
    server_embodied_g: float = 5_700_000.0  #: without its GPUs
    lifespan_s: float = 3 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """Parameters in billions; `latency_s` as seen by the caller bounds the time on the GPU."""

    active_parameters: float
    total_parameters: float
    output_tokens: float
    latency_s: float = math.inf
    batch: int = 64
    weight_bits: int = 16


@dataclass(frozen=True, slots=True)
class InferenceFootprint:
    it_kwh: float
    energy_kwh: float  #: of the facility, PUE included
    embodied_g: float


def footprint(
    request: InferenceRequest, pue: float = 1.0, server: InferenceServer | None = None
) -> InferenceFootprint:
    server = server or InferenceServer()
    gpus = gpus_needed(request, server)
    seconds = generation_s(request)
    host_kwh = power_kwh(server.power_w, seconds / 3600.0, gpus / server.gpus / request.batch)
    it_kwh = host_kwh + gpus * gpu_kwh(request)
    total_g = gpus * (server.server_embodied_g / server.gpus + server.gpu_embodied_g)
    return InferenceFootprint(
        it_kwh=it_kwh,
        energy_kwh=facility_kwh(it_kwh, pue),
        embodied_g=embodied_g(total_g, seconds, server.lifespan_s, 1 / request.batch),
    )


def gpu_kwh(request: InferenceRequest) -> float:
    """Energy of one of the GPUs."""
    slope = _ENERGY_ALPHA * math.exp(_ENERGY_BETA * request.batch)
    return request.output_tokens * (slope * request.active_parameters + _ENERGY_GAMMA) / 1000.0


def generation_s(request: InferenceRequest) -> float:
    per_token_s = (
        _LATENCY_ALPHA * request.active_parameters + _LATENCY_BETA * request.batch + _LATENCY_GAMMA
    )
    return min(request.output_tokens * per_token_s, request.latency_s)


def gpus_needed(request: InferenceRequest, server: InferenceServer) -> int:
    """GPUs that hold the weights, rounded up to a power of two."""
    memory_gb = _MEMORY_OVERHEAD * request.total_parameters * request.weight_bits / 8
    return 1 << (math.ceil(memory_gb / server.gpu_memory_gb) - 1).bit_length()
