"""What rented machines draw, by the name of their type: always an estimate.

Watts of a virtual CPU at half load, and of memory, are the coefficients that Cloud Carbon Footprint
publishes (https://www.cloudcarbonfootprint.org/docs/methodology, Compute and Memory; means over
SPECpower's servers, of GCP medians). It adds memory only beyond what those servers have, which a
type's name does not tell: here all of it counts, so that the estimate is rather high. A GPU is
taken at half of its data sheet's power, between a tenth (idle, with its memory held) and the whole.
A type whose size cannot be told from its name is none that we know: it is told, and not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: W of a vCPU, idle and full; at 50 % load it is their mean.
_VCPU_W: Final = {"aws": (0.74, 3.5), "gcp": (0.71, 4.26), "azure": (0.78, 3.76)}
_VCPU_SOURCE: Final = "Cloud Carbon Footprint, methodology"
#: W a GB.
_MEMORY_W: Final = 0.392
#: GB a vCPU of general types; what a name says of more or less is within the estimate.
_GB_PER_VCPU: Final = 4.0
#: Board power of each GPU in the form that clouds rent, W, and the maker's page that states it.
GPU_W: Final = {
    "V100": (300, "NVIDIA V100 data sheet, SXM2"),
    "A100": (400, "NVIDIA A100 data sheet, SXM4"),
    "A100 PCIe": (300, "NVIDIA A100 PCIe data sheet, 80 GB"),
    "H100": (700, "NVIDIA H100 data sheet, SXM5"),
    "T4": (70, "NVIDIA T4 data sheet"),
    "A10G": (300, "AWS G5: NVIDIA A10G; no data sheet, nvidia-smi's limit"),
    "L4": (72, "NVIDIA L4 data sheet"),
}
#: Of a GPU's board power what it draws idle with its memory held, as a share: an assumption.
_GPU_IDLE: Final = 0.1
#: Type → (vCPUs, GPU, how many). Prefixes end in `*`, and then the size tells the vCPUs.
_WITH_GPUS: Final = {
    "p3.2xlarge": (8, "V100", 1),
    "p3.8xlarge": (32, "V100", 4),
    "p3.16xlarge": (64, "V100", 8),
    "p4d.24xlarge": (96, "A100", 8),
    "p4de.24xlarge": (96, "A100", 8),
    "p5.48xlarge": (192, "H100", 8),
    "g4dn.12xlarge": (48, "T4", 4),
    "g4dn.*": (0, "T4", 1),
    "g5.12xlarge": (48, "A10G", 4),
    "g5.24xlarge": (96, "A10G", 4),
    "g5.48xlarge": (192, "A10G", 8),
    "g5.*": (0, "A10G", 1),
    "g6.12xlarge": (48, "L4", 4),
    "g6.24xlarge": (96, "L4", 4),
    "g6.48xlarge": (192, "L4", 8),
    "g6.*": (0, "L4", 1),
    "a2-highgpu-1g": (12, "A100", 1),
    "a2-highgpu-2g": (24, "A100", 2),
    "a2-highgpu-4g": (48, "A100", 4),
    "a2-highgpu-8g": (96, "A100", 8),
    "a3-highgpu-8g": (208, "H100", 8),
    "g2-standard-24": (24, "L4", 2),
    "g2-standard-48": (48, "L4", 4),
    "g2-standard-96": (96, "L4", 8),
    "g2-standard-*": (0, "L4", 1),
    "standard_nc24ads_a100_v4": (24, "A100 PCIe", 1),
    "standard_nc48ads_a100_v4": (48, "A100 PCIe", 2),
    "standard_nc96ads_a100_v4": (96, "A100 PCIe", 4),
    "standard_nd96asr_v4": (96, "A100", 8),
    "standard_nd96isr_h100_v5": (96, "H100", 8),
}
#: Families with accelerators: those not above draw more than their CPUs, and nobody knows what.
_ACCELERATED: Final = {
    "aws": re.compile(r"(?:p|g|gr|f|inf|trn|dl|vt)\d[a-z0-9-]*\..+"),
    "gcp": re.compile(r"(?:a|g)\d[a-z]*-.+"),
    "azure": re.compile(r"standard_n[a-z]*\d.*"),
}
#: vCPUs of AWS' sizes below one xlarge.
_AWS_SIZES: Final = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4}
_AWS: Final = re.compile(r"[a-z][a-z0-9-]*\.(?:(\d*)(xlarge)|(nano|micro|small|medium|large))")
_GCP: Final = re.compile(r"[a-z]\w*-(?:standard|highmem|highcpu|highgpu)-(\d+)g?")
_AZURE: Final = re.compile(r"standard_[a-z]+(\d+)(?:-\d+)?[a-z]*(?:_\w+)*")


@dataclass(frozen=True, slots=True)
class InstancePower:
    """W of a running machine of a type at half load; `low_w` idle, `high_w` all of it at work."""

    watts: float
    low_w: float
    high_w: float
    #: `published`: CPUs and memory by coefficients; `data_sheet`: GPUs by their board power, too.
    tier: str
    source: str


def instance_power(provider: str, kind: str) -> InstancePower | None:
    """None for a type that we do not know."""
    name = kind.lower()
    vcpus = _vcpus(provider, name)
    with_gpus = _WITH_GPUS.get(name) or next(
        (
            found
            for key, found in _WITH_GPUS.items()
            if key[-1] == "*" and name.startswith(key[:-1])
        ),
        None,
    )
    if with_gpus is not None:
        vcpus = with_gpus[0] or vcpus
    if not vcpus or provider not in _VCPU_W:
        return None
    if with_gpus is None and _ACCELERATED[provider].fullmatch(name):
        return None
    memory_w = vcpus * _GB_PER_VCPU * _MEMORY_W
    low_w, high_w = (vcpus * watts + memory_w for watts in _VCPU_W[provider])
    if with_gpus is None:
        return InstancePower((low_w + high_w) / 2, low_w, high_w, "published", _VCPU_SOURCE)
    board_w, source = GPU_W[with_gpus[1]]
    gpus_w = board_w * with_gpus[2]
    return InstancePower(
        (low_w + high_w) / 2 + gpus_w / 2,
        low_w + gpus_w * _GPU_IDLE,
        high_w + gpus_w,
        "data_sheet",
        f"{source}; {_VCPU_SOURCE}",
    )


def _vcpus(provider: str, name: str) -> int:
    if provider == "aws" and (found := _AWS.fullmatch(name)):
        return int(found[1] or 1) * 4 if found[2] else _AWS_SIZES[found[3]]
    pattern = {"gcp": _GCP, "azure": _AZURE}.get(provider)
    found = pattern.fullmatch(name) if pattern else None
    return int(found[1]) if found else 0
