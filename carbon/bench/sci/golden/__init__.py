"""Worked cases from public sources, each reproduced by the project's own arithmetic.

A case gives inputs with units, the exact result, and what its source printed. These modules only
turn units and pick the function; where a case can be stated in the fields of
POST /v1/sci/calculate it goes through that call's own function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from carbon.bench.sci.golden import language_models, making, operational, scores
from carbon.bench.sci.golden.stated import Case, Inputs, Results, as_stated


def read_cases(data: Path | None) -> dict[str, Case]:
    """The cases beside a folder of traces, by id; none where they are not at hand."""
    path = data.parent / "golden" / "sci_cases.json" if data else None
    if path is None or not path.is_file():
        return {}
    return {case["id"]: case for case in json.loads(path.read_text("utf-8"))}


#: Sources whose printed figure does not follow from their own inputs, and why.
INCONSISTENT = {
    "sci-ai-cv-provider": "three different values printed in one example",
    "if-embodied-scenario2-units": "a memory constant in grams where kilograms are expected",
    "if-embodied-ignored-inputs": "inputs of an older version are ignored silently",
    "if-timesync-energy": "resampling copies energy instead of spreading it",
    "gsf-website-month": "a mean of daily ratios instead of a ratio of sums",
    "eshoppen-app-M": "a transposed digit",
    "eshoppen-network": "another energy than the traffic gives",
    "graphdb-neo4j-E": "a decimal slip",
    "graphdb-grand-total": "parts that do not sum to the total",
    "farm-pi": "days of the year multiplied twice",
    "codecarbon-gcp-weak": "a tolerance in decimals hides 330 %",
    "ecologits-water-double-pue": "PUE counted twice",
}


BY_ID: dict[str, Callable[[Inputs], Results]] = {
    "sci-spec-timeshare": scores.embodied_share,
    "sci-ai-llm-consumer": scores.sci_of_o_and_m,
    "sci-ai-llm-provider": scores.sci_of_o_and_m,
    "sci-ai-cv-consumer": scores.sci_of_c,
    "sci-ai-cv-provider": scores.sci_of_c,
    "sci-ai-agentic-total": scores.agentic,
    "if-sci-basic": scores.sci_of_c,
    "if-sci-duration-invariant": scores.sci_of_c,
    "if-embodied-2vcpu": making.framework_embodied,
    "if-embodied-4vcpu": making.framework_embodied,
    "if-embodied-scenario1-hdd": making.framework_embodied,
    "if-embodied-scenario2-units": making.framework_embodied,
    "if-embodied-test-config": making.framework_embodied,
    "if-embodied-ignored-inputs": scores.embodied_share,
    "if-teads-1pct": lambda inputs: {"E": operational.teads_kwh(inputs)},
    "if-teads-10pct": lambda inputs: {"E": operational.teads_kwh(inputs)},
    "if-teads-50pct": lambda inputs: {"E": operational.teads_kwh(inputs)},
    "if-pipeline-sci-row1": scores.framework_pipeline,
    "if-pipeline-sci-row2": scores.framework_pipeline,
    "if-timesync-energy": operational.resampled,
    "sci4ai-consumer-total": scores.split_over_units,
    "sci4ai-provider-total": scores.split_over_units,
    "gsf-website-month": scores.ratio_of_sums,
    "eshoppen-app-E": operational.rated_power,
    "eshoppen-app-M": scores.embodied_share,
    "eshoppen-db-sci": scores.energy_and_hardware,
    "eshoppen-network": operational.traffic,
    "eshoppen-total": scores.sum_of_parts,
    "ntt-scale-factor": scores.throughput,
    "ntt-lb1": scores.energy_and_grams,
    "ntt-ap1": scores.energy_and_grams,
    "ntt-db1": scores.energy_and_grams,
    "graphdb-tiger-db": scores.two_shares_of_one_server,
    "graphdb-neo4j-E": operational.two_powers,
    "graphdb-grand-total": scores.sum_of_parts,
    "aveva-O": operational.priced_energy,
    "aveva-M": making.time_share,
    "farm-pi": scores.a_year_of_days,
    "endava-t3a-mem": operational.memory_energy,
    "endava-t3a-total": scores.sum_of_named,
    "endava-implied-I": operational.implied_intensity,
    "boavizta-allocate": making.capped_accrual,
    "boavizta-cpu-12c": making.processor,
    "boavizta-cpu-x2-24c": making.processor,
    "boavizta-r740": making.server_of_parts,
    "boavizta-cpu-use": operational.power_over_time,
    "boavizta-gpu-default": making.graphics_card,
    "codecarbon-forced-50": operational.priced_energy,
    "codecarbon-forced-100": operational.priced_energy,
    "codecarbon-finland": operational.priced_energy,
    "codecarbon-aws-us-east-1": operational.priced_energy,
    "codecarbon-gcp-weak": operational.priced_energy,
    "codecarbon-joule-constant": operational.joules,
    "ecologits-mixtral8x7b": language_models.language_model,
    "ecologits-restatement": language_models.restated_gpu,
    "ecologits-water-double-pue": language_models.water,
    "mlenergy-fp8-vs-bf16-b8": operational.effect("bf16", "fp8"),
    "mlenergy-fp8-vs-bf16-b256": operational.effect("bf16", "fp8"),
    "mlenergy-batching-llama8b": operational.effect("seqs8", "seqs512"),
    "google-gemini-carbon": scores.sum_of_named,
    "bloom-dynamic": operational.gpu_hours,
    "bloom-idle": operational.priced_energy,
    "nvidia-hgx-h100": making.share_of_board,
    "nvidia-b200-vs-h100": making.reduction,
    "mistral-per-token": scores.sci_of_c,
}


def compared(case: Case, stated: str) -> Iterable[tuple[str, float, float]]:
    """(name, ours, theirs) for each result in `expected` or `published`."""
    results = BY_ID[case["id"]](case["inputs"])
    r = case["inputs"].get("R")
    r_unit = r["unit"] if isinstance(r, Mapping) else ""
    for name, quantity in (case[stated] or {}).items():
        of_r = r_unit if name == "sci" else ""
        yield name, as_stated(results[name], quantity["unit"], of_r), quantity["value"]
