"""Parametric footprints: embodied emissions of hardware from its size, memory and mass.

For hardware without a footprint by its maker. All in kg CO2e from cradle to gate, unless said
otherwise. The constants are those that the named sources publish.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CPU_KG_PER_MM2 = 0.0197
CPU_PACKAGE_KG = 9.14
#: Die area of one core, mm², in Boavizta's model of a Dell R740.
CPU_MM2_PER_CORE = 24.5

MEMORY_KG_PER_CM2 = 2.20
DIMM_KG = 5.22
SSD_KG = 6.34
#: GB per cm² of memory die, in the same model.
DRAM_GB_PER_CM2 = 1.79


def cpu_kg(cores: int, mm2_per_core: float = CPU_MM2_PER_CORE) -> float:
    """One CPU package: die area plus a constant for package and test.

    Source: Boavizta, bottom-up methodology (Green Cloud Computing, UBA Texte 94/2021).
    """
    return cores * mm2_per_core * CPU_KG_PER_MM2 + CPU_PACKAGE_KG


def dimm_kg(capacity_gb: float, gb_per_cm2: float = DRAM_GB_PER_CM2) -> float:
    """One memory module: die area plus its board. Source: as `cpu_kg`."""
    return capacity_gb / gb_per_cm2 * MEMORY_KG_PER_CM2 + DIMM_KG


def ssd_kg(capacity_gb: float, gb_per_cm2: float) -> float:
    """One SSD: flash area plus the rest. Source: as `cpu_kg`."""
    return capacity_gb / gb_per_cm2 * MEMORY_KG_PER_CM2 + SSD_KG


WAFER_DIAMETER_MM = 300.0
KERF_MM = 0.2  #: sawn away between two dies
DEFECTS_PER_CM2 = 0.1


def wafer_mm2(die_mm2: float) -> float:
    """Wafer area that one working die costs: kerf, the wafer's round edge, and yield.

    Dies per wafer by the usual count of squares in a circle; yield by exp(-√(A·D)).
    Source: Boavizta, GPU component, after Falk et al. (arXiv 2509.00093).
    """
    die = (math.sqrt(die_mm2) + KERF_MM) ** 2
    wafer = math.pi * (WAFER_DIAMETER_MM / 2) ** 2
    dies = wafer / die - math.pi * WAFER_DIAMETER_MM / math.sqrt(2 * die)
    usable = math.exp(-math.sqrt(die / 100 * DEFECTS_PER_CM2))
    return wafer / dies / usable


@dataclass(frozen=True, slots=True)
class GpuCard:
    """What a GPU card is made of."""

    die_wafer_mm2: float  #: wafer area of the compute die, see `wafer_mm2`
    vram_gb: float
    vram_dies: int
    board_cm2: float
    casing_kg: float
    heatsink_kg: float
    mass_kg: float
    boat_km: float = 19_000.0
    truck_km: float = 1_000.0


VRAM_MM2_PER_GB = 15.5
GPU_CASING = 8.2542  #: kg per kg
GPU_HEATSINK = 5.7412  #: kg per kg
GPU_BOARD = 0.032549  #: kg per cm²
GPU_DIE = 0.042592  #: kg per mm² of wafer
GPU_VRAM = 0.18379  #: kg per mm² of wafer
GPU_UPSTREAM_TRANSPORT = 0.25955  #: kg per kg
GPU_BOAT = 1.33e-5  #: kg per kg and km
GPU_TRUCK = 5.04e-5  #: kg per kg and km
GPU_END_OF_LIFE = 1.5062  #: kg per kg


def gpu_kg(card: GpuCard) -> float:
    """One GPU card, with its transport and end of life.

    Source: Boavizta, GPU component (factors of ADEME Base Empreinte). Memory is three quarters
    of it for a card with 80 GB, which its maker's own footprint does not bear out.
    """
    return math.fsum(
        (
            card.casing_kg * GPU_CASING,
            card.heatsink_kg * GPU_HEATSINK,
            card.board_cm2 * GPU_BOARD,
            card.die_wafer_mm2 * GPU_DIE,
            _vram_wafer_mm2(card) * GPU_VRAM,
            card.mass_kg
            * (
                GPU_UPSTREAM_TRANSPORT
                + card.boat_km * GPU_BOAT
                + card.truck_km * GPU_TRUCK
                + GPU_END_OF_LIFE
            ),
        )
    )


def _vram_wafer_mm2(card: GpuCard) -> float:
    return wafer_mm2(card.vram_gb * VRAM_MM2_PER_GB / card.vram_dies) * card.vram_dies


#: Part of NVIDIA's HGX H100 footprint that is memory (its product carbon footprint summary).
HBM_SHARE = 0.42


def scaled_by_memory_kg(known_kg: float, known_gb: float, memory_gb: float) -> float:
    """A GPU like a known one but for its memory: only the memory's part grows."""
    return known_kg * (1 + HBM_SHARE * (memory_gb / known_gb - 1))


@dataclass(frozen=True, slots=True)
class ServerModel:
    """A baseline server and what each further part adds, all in GRAMS.

    Source: Cloud Carbon Footprint and Teads (after Dell R740), as Green Software Foundation's
    Impact Framework carries them in `SciEmbodied`. There the memory constant is in kg among
    grams, so that users who state it in grams, or in kg elsewhere, are wrong by up to 8x.
    """

    baseline_g: float = 1_000_000.0
    baseline_vcpus: float = 1.0
    baseline_memory_gb: float = 16.0
    vcpu_g: float = 100_000.0
    memory_g_per_gb: float = 533_000.0 / 384.0
    ssd_g: float = 50_000.0
    hdd_g: float = 100_000.0
    gpu_g: float = 150_000.0

    def total_g(
        self,
        vcpus: float | None = None,
        memory_gb: float | None = None,
        ssds: int = 0,
        hdds: int = 0,
        gpus: int = 0,
    ) -> float:
        """TE of one server; absent vCPUs or memory are the baseline's."""
        extra_vcpus = 0.0 if vcpus is None else vcpus - self.baseline_vcpus
        extra_gb = 0.0 if memory_gb is None else memory_gb - self.baseline_memory_gb
        return (
            self.baseline_g
            + extra_vcpus * self.vcpu_g
            + extra_gb * self.memory_g_per_gb
            + ssds * self.ssd_g
            + hdds * self.hdd_g
            + gpus * self.gpu_g
        )
