"""Which factor holds for a device, and what other sources say of it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from carbon.domain.factor import Factor, FactorKind, LifeCycleStage, Tier, Unit
from carbon.domain.factor_table import (
    BOAVIZTA,
    GENERIC,
    GENERIC_CPU,
    GENERIC_DRAM,
    GENERIC_FLAG,
    GENERIC_GPU,
    LIFESPAN,
    MODELS,
    PUE,
    SHIPPED,
    embodied_factor,
)
from carbon.domain.footprint import cpu_kg, dimm_kg

__all__ = [
    "GENERIC_FLAG",
    "LIFESPAN",
    "PUE",
    "SHIPPED",
    "Factor",
    "FactorKind",
    "LifeCycleStage",
    "Tier",
    "Unit",
    "cpu_factor",
    "dram_factor",
    "factor_for_device",
    "same_thing",
    "sources_beside",
    "words",
]


@lru_cache(maxsize=1024)
def factor_for_device(kind: str, model: str) -> Factor:
    """The embodied factor of a device, never 0.

    `kind` is `gpu`, `cpu`, `dram`, `module` or `server`, `model` the text that its driver or
    maker gives, in any case. Memory goes by the size in the text, a CPU by its cores; what the
    text does not tell gets the generic factor, flagged `generic_factor`. A kind that we do not
    know counts as a GPU and is flagged `unknown_kind` too.
    """
    kind = kind.lower()
    if kind == "dram":
        return _dram(model)
    if kind == "cpu":
        return _cpu(model)
    if kind == "module":
        return _known("gpu", model) or GENERIC_GPU
    if kind in GENERIC:
        return _known(kind, model) or GENERIC[kind]
    return replace(GENERIC_GPU, flags=(*GENERIC_GPU.flags, "unknown_kind"))


def sources_beside(factor: Factor) -> tuple[Factor, ...]:
    """What other sources say of the same product or class."""
    return tuple(other for other in SHIPPED if same_thing(other, factor) and other.id != factor.id)


def same_thing(one: Factor, other: Factor) -> bool:
    """Whether both speak of the same product or class."""
    return (one.kind, one.subject, one.name) == (other.kind, other.subject, other.name)


def words(model: str) -> set[str]:
    """The words of a product's name by which it is known, sizes joined: `80gb`."""
    joined = re.sub(r"(\d)\s+(gb|gib)\b", r"\1\2", model.lower()).replace("gib", "gb")
    return set(re.split(r"[^a-z0-9]+", joined))


def _known(kind: str, model: str) -> Factor | None:
    told = words(model)
    fits = [
        (len(needed), factor.value, factor)
        for subject, needed, factor in MODELS
        if subject == kind and needed <= told
    ]
    return max(fits, key=lambda fit: fit[:2])[2] if fits else None


#: `384 GB`, `1007GiB`, `2 TB`, `12 x 32GB`. A module's GB is a GiB, so both read alike.
_SIZE = re.compile(r"(?:(\d+)\s*[x×*]\s*)?(\d+(?:\.\d+)?)\s*([gt])i?b\b", re.IGNORECASE)
_DIMM_GB = 32.0


def _dram(model: str) -> Factor:
    found = _SIZE.search(model)
    size_gb = 0.0
    if found:
        modules, size, prefix = found.groups()
        size_gb = int(modules or 1) * float(size) * (1024 if prefix.lower() == "t" else 1)
    return dram_factor(size_gb) if size_gb else GENERIC_DRAM


def dram_factor(size_gb: float) -> Factor:
    """Memory in modules of 32 GB. Dell's R740 study gives the same: 533 kg for 384 GB."""
    kg_per_gb = dimm_kg(_DIMM_GB) / _DIMM_GB
    densest, thinnest = dimm_kg(_DIMM_GB, 2.375), dimm_kg(_DIMM_GB, 0.625)
    return embodied_factor(
        f"embodied/dram/{size_gb:g}gb@boavizta",
        f"{size_gb:g} GB of DRAM",
        size_gb * kg_per_gb,
        (size_gb * densest / _DIMM_GB, size_gb * thinnest / _DIMM_GB),
        BOAVIZTA.format("ram"),
        "2026",
        Tier.PARAMETRIC,
        flags=("modelled",),
    )


_CORES = re.compile(r"(\d+)[\s-]*cores?\b", re.IGNORECASE)


def _cpu(model: str) -> Factor:
    found = _CORES.search(model)
    cores = int(found.group(1)) if found else 0
    return cpu_factor(cores) if cores else GENERIC_CPU


def cpu_factor(cores: int) -> Factor:
    """One CPU package of that many cores."""
    kg = cpu_kg(cores)
    return embodied_factor(
        f"embodied/cpu/{cores}-cores@boavizta",
        f"CPU with {cores} cores",
        kg,
        (kg / 2, kg * 2),
        BOAVIZTA.format("cpu"),
        "2026",
        Tier.PARAMETRIC,
        flags=("modelled",),
    )
