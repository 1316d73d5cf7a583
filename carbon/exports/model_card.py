"""`co2_eq_emissions` of a Hugging Face model card, with the words that belong beside it.

Keys and units: Hugging Face Hub, "Displaying carbon emissions for your model": grams of CO2
equivalent. It has no place for an interval or embodied carbon, hence the section below it.
"""

from __future__ import annotations

from typing import Any

import yaml

from carbon.errors import InvalidInput
from carbon.exports.issued import Issued, boundary_text, energy_text, mass_texts
from carbon.wire.answer import SciAnswer
from carbon.wire.reports import ReportLine


def write(issued: Issued) -> str:
    """Markdown with front matter. Raises InvalidInput(`one_workload`): a card is of one model."""
    lines = issued.statement.lines
    if len({line.answer.workload for line in lines}) != 1:
        raise InvalidInput("one_workload", "a model card is of one model: report one workload")
    front = yaml.safe_dump({"co2_eq_emissions": _emissions(issued, lines[0])}, sort_keys=False)
    return f"---\n{front}---\n\n## Environmental impact\n\n" + "\n".join(_words(issued, lines))


def _emissions(issued: Issued, line: ReportLine) -> dict[str, Any]:
    hardware = sorted({part.model for part in line.operational if part.kind == "gpu"})
    devices = {part.device for part in line.operational if part.kind == "gpu"}
    known = {
        "emissions": round(line.answer.total_g, 3),
        "source": f"carbon, SCI report {issued.report.id}, {issued.report.statement_hash}",
        "geographical_location": ", ".join(line.answer.zones),
        "hardware_used": f"{len(devices)} x {', '.join(hardware)}" if hardware else "",
    }
    return {key: value for key, value in known.items() if value != ""}


def _words(issued: Issued, lines: list[ReportLine]) -> list[str]:
    a = lines[0].answer
    (operational, embodied), total = mass_texts(
        [round(a.operational_g * 1e9), round(a.embodied_g * 1e9)]
    )
    told = [
        f"- **Window:** {a.start} to {a.end}",
        f"- **Energy (IT):** {energy_text(a.energy_mj)}, {_methods(a)}",
        f"- **Carbon:** {total} CO2e, of which operational {operational} (location-based) and "
        f"embodied {embodied}",
        *(_score(line.answer) for line in lines),
        f"- **Boundary:** {boundary_text(a)}",
    ]
    marks = ", ".join(issued.statement.marks)
    return [*told, *([f"- **Mind:** {marks}"] if marks else []), ""]


def _score(a: SciAnswer) -> str:
    if a.sci_g_per_unit is None:
        return f"- **SCI per {a.unit}:** none ({a.reason})"
    return f"- **SCI per {a.unit}:** {a.sci_g_per_unit:.6g} g (95 %: {a.low:.4g} to {a.high:.4g})"


def _methods(a: SciAnswer) -> str:
    return ", ".join(f"{share:.0%} {method}" for method, share in a.methods.items()) or "not read"
