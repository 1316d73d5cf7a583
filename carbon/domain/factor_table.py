"""The factors that ship, with their sources side by side.

Published footprints of one GPU differ by four times. The one with the best tier is the
default: a maker's own ISO 14067 footprint or a teardown knows the product, a parametric model
knows its size. Its bounds reach over all the sources, so that no source is hidden. Host parts
(chassis, CPU, memory) are other devices and in none of the GPU figures.
"""

from __future__ import annotations

from carbon.domain.cloud_factors import CLOUD_PUES
from carbon.domain.cloud_region_factors import CLOUD_REGIONS
from carbon.domain.factor import CRADLE_TO_GATE, Factor, FactorKind, LifeCycleStage, Tier, Unit
from carbon.domain.footprint import cpu_kg, dimm_kg, scaled_by_memory_kg
from carbon.domain.source_factors import SOURCE_FACTORS

CITED = "a single figure, cited"
NVIDIA_PCF = "https://images.nvidia.com/aem-dam/Solutions/documents/HGX-{}-PCF-Summary.pdf"
BOAVIZTA = "https://doc.api.boavizta.org/Explanations/components/{}/"
BOAVIZTA_SERVER = "https://doc.api.boavizta.org/Explanations/devices/server/"
FALK = "https://arxiv.org/abs/2509.00093"
CCF = "https://www.cloudcarbonfootprint.org/docs/embodied-emissions/"
ECOLOGITS = "https://ecologits.ai/latest/methodology/llm_inference/"
CHIEN = "https://doi.org/10.1145/3604930.3605705"
ECODIAG = "https://ecoinfo.cnrs.fr/ecodiag-calcul/"

GENERIC_FLAG = "generic_factor"
MODELLED = ("modelled", "low_confidence")
#: We hold the figure from others who cite the source, and have not read the source itself.
SECOND_HAND = ("second_hand",)

GATE_AND_END = (*CRADLE_TO_GATE, LifeCycleStage.TRANSPORT, LifeCycleStage.END_OF_LIFE)

#: Half-width of even a footprint by the book: our assumption.
BEST_HALF_WIDTH = 0.2
#: Where both exist (H100), the parametric figure is 3.5 times its maker's.
PARAMETRIC_LOW = 164.0 / 575.2


def embodied_factor(
    id_: str,
    name: str,
    kg: float,
    bounds: tuple[float, float],
    source: str,
    vintage: str,
    tier: Tier,
    *,
    flags: tuple[str, ...] = (),
    stages: tuple[LifeCycleStage, ...] = CRADLE_TO_GATE,
    note: str = "",
) -> Factor:
    subject = id_.split("/")[1]
    return Factor(
        id=id_,
        kind=FactorKind.EMBODIED,
        subject=subject,
        name=name,
        value=kg,
        unit=Unit.KG,
        low=bounds[0],
        high=bounds[1],
        source=source,
        licence=CITED,
        vintage=vintage,
        tier=tier,
        life_cycle_stages=stages,
        flags=flags,
        note=note,
    )


def _from(kg: float, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """Bounds that reach at least `BEST_HALF_WIDTH` from the value."""
    margin = kg * BEST_HALF_WIDTH
    return min(kg - margin, low or kg), max(kg + margin, high or kg)


A100_SXM_40 = embodied_factor(
    "embodied/gpu/a100-sxm-40gb@falk-2025",
    "NVIDIA A100 SXM 40GB",
    127.6,
    _from(127.6, high=275.7),
    FALK,
    "2025",
    Tier.MEASURED,
    flags=SECOND_HAND,
    note="A teardown with elemental analysis of this very card.",
)
A100_80 = embodied_factor(
    "embodied/gpu/a100-80gb@scaled",
    "NVIDIA A100 80GB",
    scaled_by_memory_kg(127.6, 40, 80),
    _from(181.2, low=127.6, high=546.7),
    f"{FALK}, its memory doubled by the memory share of {NVIDIA_PCF.format('H100')}",
    "2025",
    Tier.PARAMETRIC,
    flags=MODELLED,
)
H100 = embodied_factor(
    "embodied/gpu/h100@nvidia-pcf-2025",
    "NVIDIA H100 SXM 80GB",
    1312 / 8,
    _from(1312 / 8, low=150.0, high=575.2),
    NVIDIA_PCF.format("H100"),
    "2025",
    Tier.SUPPLIER,
    flags=SECOND_HAND,
    note="An eighth of the HGX board: GPUs, NVLink, heat sinks. ISO 14067, reviewed.",
)
H200 = embodied_factor(
    "embodied/gpu/h200@scaled",
    "NVIDIA H200 141GB",
    scaled_by_memory_kg(164, 80, 141),
    _from(216.5, low=164.0, high=1067.0),
    f"{NVIDIA_PCF.format('H100')}, its memory share scaled from 80 to 141 GB",
    "2025",
    Tier.PARAMETRIC,
    flags=MODELLED,
    note="No footprint of this GPU has been published. The upper bound is Boavizta's formula.",
)
B200 = embodied_factor(
    "embodied/gpu/b200@nvidia-pcf-2025",
    "NVIDIA B200 180GB",
    2274 / 8,
    _from(2274 / 8, high=2.0 * 575.2),
    NVIDIA_PCF.format("B200"),
    "2025",
    Tier.SUPPLIER,
    flags=SECOND_HAND,
    note="An eighth of the HGX board. It agrees with NVIDIA's own 0.50 gCO2e/EFLOP.",
)
L4 = embodied_factor(
    "embodied/gpu/l4@boavizta",
    "NVIDIA L4 24GB",
    113.6,
    (113.6 * PARAMETRIC_LOW, 150.0),
    BOAVIZTA.format("gpu"),
    "2026",
    Tier.PARAMETRIC,
    flags=("modelled",),
    stages=GATE_AND_END,
)
GENERIC_GPU = embodied_factor(
    "embodied/gpu/generic@boavizta",
    "",
    575.1,
    (60.0, 1067.0),
    BOAVIZTA.format("gpu"),
    "2026",
    Tier.GENERIC,
    flags=(GENERIC_FLAG,),
    stages=GATE_AND_END,
    note="The highest of the generic figures: not to name a GPU must never look better than to. "
    "The lower bound is a desktop card's (EcoDiag, 60 kg).",
)

GENERIC_CPU = embodied_factor(
    "embodied/cpu/generic@boavizta",
    "",
    cpu_kg(24),
    (cpu_kg(4) / 2, cpu_kg(128)),
    BOAVIZTA.format("cpu"),
    "2026",
    Tier.GENERIC,
    flags=(GENERIC_FLAG,),
    note="24 cores.",
)
GENERIC_DRAM = embodied_factor(
    "embodied/dram/generic@boavizta",
    "",
    12 * dimm_kg(32),
    (dimm_kg(16, 2.375), 12 * dimm_kg(64)),
    BOAVIZTA.format("ram"),
    "2026",
    Tier.GENERIC,
    flags=(GENERIC_FLAG,),
    note="384 GB in 12 modules, a two-socket server.",
)
GENERIC_SERVER = embodied_factor(
    "embodied/server/generic@ccf",
    "",
    1000.0,
    (500.0, 5700.0),
    CCF,
    "2021",
    Tier.GENERIC,
    flags=(GENERIC_FLAG,),
    note="A two-socket rack server without GPUs. Makers' sheets often include the use phase "
    "(HPE DL360 Gen10, 6270 kg) and cannot stand here.",
)
R740 = embodied_factor(
    "embodied/server/r740@boavizta",
    "Dell PowerEdge R740",
    967.9,
    (500.0, 1500.0),
    BOAVIZTA_SERVER,
    "2026",
    Tier.PARAMETRIC,
)
P5 = embodied_factor(
    "embodied/server/p5.48xlarge@boavizta",
    "AWS p5.48xlarge without GPUs",
    5700.0,
    (2850.0, 8550.0),
    ECOLOGITS,
    "2025",
    Tier.PARAMETRIC,
    flags=("modelled",),
)

#: Words that a model's text must have -> the factor that holds. The most words win; of equals
#: the higher figure.
MODELS: tuple[tuple[str, frozenset[str], Factor], ...] = tuple(
    (factor.subject, frozenset(words.split()), factor)
    for words, factor in (
        ("a100", A100_SXM_40),
        ("a100 80gb", A100_80),
        ("h100", H100),
        ("h200", H200),
        ("b200", B200),
        ("l4", L4),
        ("r740", R740),
        ("p5 48xlarge", P5),
    )
)

GENERIC = {
    "gpu": GENERIC_GPU,
    "cpu": GENERIC_CPU,
    "dram": GENERIC_DRAM,
    "server": GENERIC_SERVER,
}


def _other(of: Factor, suffix: str, kg: float, source: str, vintage: str, note: str = "") -> Factor:
    return embodied_factor(
        f"{of.id.split('@')[0]}@{suffix}",
        of.name,
        kg,
        _from(kg),
        source,
        vintage,
        Tier.GENERIC if of.tier is Tier.GENERIC else Tier.PARAMETRIC,
        note=note,
    )


#: What others say of the same products; chosen by nobody, shown beside the default.
DISAGREEING: tuple[Factor, ...] = (
    _other(A100_SXM_40, "boavizta", 273.4, BOAVIZTA.format("gpu"), "2026"),
    _other(A100_SXM_40, "boavizta-pcie", 275.7, BOAVIZTA.format("gpu"), "2026", "PCIe card."),
    _other(A100_SXM_40, "hubblo", 181.0, "Hubblo, GPU calculator", "2025", "PCIe card."),
    _other(A100_SXM_40, "chien-2023", 318.0, CHIEN, "2023", "With an eighth of the server."),
    _other(H100, "boavizta", 575.2, BOAVIZTA.format("gpu"), "2026", "Memory is 431 kg of it."),
    _other(H100, "ecologits-0.11", 273.0, ECOLOGITS, "2026", "It was 164 until 2025-11."),
    _other(H200, "boavizta", 1067.0, BOAVIZTA.format("gpu"), "2026", "Its formula, our inputs."),
    _other(GENERIC_GPU, "ccf", 150.0, CCF, "2021", "Also the default of Impact Framework."),
    _other(GENERIC_GPU, "ecodiag", 60.0, ECODIAG, "2023", "A desktop's card."),
)

LIFESPAN = Factor(
    id="lifespan/default",
    kind=FactorKind.LIFESPAN,
    subject="",
    name="",
    value=4.0,
    unit=Unit.YEAR,
    low=3.0,
    high=6.0,
    source="https://sci-guide.greensoftware.foundation/M/",
    licence=CITED,
    vintage="2024",
    tier=Tier.GENERIC,
    flags=("default_lifespan",),
    note="3 years at Boavizta and EcoLogits, 4 in the SCI guide, 5 to 6 at hyperscalers.",
)
PUE = Factor(
    id="pue/unset",
    kind=FactorKind.PUE,
    subject="",
    name="",
    value=1.0,
    unit=Unit.RATIO,
    low=1.0,
    high=1.58,
    source="https://journal.uptimeinstitute.com/global-pues-are-they-going-anywhere/",
    licence=CITED,
    vintage="2023",
    tier=Tier.GENERIC,
    flags=("pue_unset",),
    note="Nobody stated one, so only IT energy counts. The upper bound is the surveyed mean.",
)

SHIPPED: tuple[Factor, ...] = (
    *(factor for _, _, factor in MODELS),
    *GENERIC.values(),
    *DISAGREEING,
    LIFESPAN,
    PUE,
    *CLOUD_PUES,
    *CLOUD_REGIONS,
    *SOURCE_FACTORS,
)
