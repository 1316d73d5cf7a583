"""A report as a manifest of the Green Software Foundation's Impact Framework.

One row a component and no second time step: there the framework's arithmetic is sound, and
components of one functional unit sum to the total. A run of it gives the report's SCI.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from carbon.clock import from_rfc3339
from carbon.domain.units import MS_PER_S, NG_PER_G, kwh
from carbon.errors import InvalidInput
from carbon.exports.issued import ComponentSum, Issued, boundary_text, components
from carbon.wire.reports import ReportLine

_OPERATIONAL: Final = {
    "path": "builtin",
    "method": "Multiply",
    "config": {
        "input-parameters": ["energy", "grid/carbon-intensity"],
        "output-parameter": "carbon-operational",
    },
}
_CARBON: Final = {
    "path": "builtin",
    "method": "Sum",
    "config": {
        "input-parameters": ["carbon-operational", "carbon-embodied"],
        "output-parameter": "carbon",
    },
}


def write(issued: Issued) -> str:
    """YAML. Raises InvalidInput (`no_score`; `one_unit`, where a workload has several)."""
    if len(issued.statement.lines) != 1:
        raise InvalidInput(
            "one_unit", "a manifest has one functional unit; report one workload in one unit"
        )
    [line] = issued.statement.lines
    if line.answer.sci_g_per_unit is None:
        raise InvalidInput("no_score", f"{line.answer.workload} has no rate per {line.answer.unit}")
    text: str = yaml.safe_dump(_manifest(issued, line), sort_keys=False, allow_unicode=True)
    return text


def _manifest(issued: Issued, line: ReportLine) -> dict[str, Any]:
    answer = line.answer
    unit = answer.unit
    return {
        "name": answer.workload,
        "description": (
            f"Report {issued.report.id}, {answer.start} to {answer.end}, {answer.input_hash}. "
            f"{boundary_text(answer)} 95 %: {answer.low!r} to {answer.high!r} gCO2e/{unit}. "
            "grid/carbon-intensity is energy-weighted over 5-minute buckets and holds the PUE."
        ),
        "tags": {"statement-hash": issued.report.statement_hash},
        "initialize": {
            "plugins": {
                "operational": _OPERATIONAL,
                "carbon": _CARBON,
                "sci": {
                    "path": "builtin",
                    "method": "Sci",
                    "config": {"functional-unit": unit},
                    "parameter-metadata": {
                        "outputs": {
                            "sci": {
                                "unit": f"gCO2e/{unit}",
                                "description": "of components of one unit; they sum to the total",
                                "aggregation-method": {"time": "sum", "component": "sum"},
                            }
                        }
                    },
                },
            }
        },
        "aggregation": {"metrics": ["carbon", "sci"], "type": "both"},
        "tree": {
            "children": {
                part.name: {
                    "pipeline": {"compute": ["operational", "carbon", "sci"]},
                    "inputs": [_row(line, part)],
                }
                for part in components(line)
            }
        },
    }


def _row(line: ReportLine, part: ComponentSum) -> dict[str, Any]:
    answer = line.answer
    energy_kwh = kwh(part.energy_mj)
    operational_g = part.operational_ng / NG_PER_G
    duration_s = (from_rfc3339(answer.end) - from_rfc3339(answer.start)) / MS_PER_S
    return {
        "timestamp": answer.start,
        "duration": duration_s,
        "energy": energy_kwh,
        "grid/carbon-intensity": operational_g / energy_kwh if energy_kwh else 0.0,
        "carbon-embodied": part.embodied_ng / NG_PER_G,
        answer.unit: answer.count,
    }
