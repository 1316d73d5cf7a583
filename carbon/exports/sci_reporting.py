"""The GSF's machine-readable report (sci-reporting, reporting_requirements.md): YAML.

One document for each line of the report, since the format holds one score.
"""

from __future__ import annotations

import json
from uuid import NAMESPACE_URL, uuid5

from carbon.errors import InvalidInput
from carbon.exports.issued import Issued, boundary_text, unit_text
from carbon.wire.reports import ReportLine

#: Of the specification that is ISO/IEC 21031:2024.
SCI_VERSION = 1.1


def write(issued: Issued) -> str:
    """Raises InvalidInput (`missing_contact`, `no_score`): the format must name who answers."""
    contact = issued.contact
    if not contact.name or not contact.email:
        raise InvalidInput(
            "missing_contact", "sci-reporting must name who answers: contact_name, contact_email"
        )
    return "---\n".join(_document(issued, line) for line in issued.statement.lines)


def _document(issued: Issued, line: ReportLine) -> str:
    answer, report = line.answer, issued.report
    if answer.sci_g_per_unit is None:
        raise InvalidInput("no_score", f"{answer.workload} has no rate per {answer.unit}")
    metadata: dict[str, object] = {
        "name": answer.workload,
        "contact-name": issued.contact.name,
        "contact-email": issued.contact.email,
        "organization": issued.contact.organization,
        "guid": str(uuid5(NAMESPACE_URL, f"carbon:{report.id}:{answer.workload}:{answer.unit}")),
        "entity-version": f"boundary {answer.boundary['version']}",
        "sci-version": SCI_VERSION,
        "calculation-date": report.issued_at[:10],
        "calculation-information": (
            f"report {report.id}, {answer.start} to {answer.end}, {answer.input_hash}, "
            f"95 %: {answer.low!r} to {answer.high!r} gCO2e/{answer.unit}, "
            f"coverage {answer.coverage}, methods {', '.join(answer.methods)}"
        ),
    }
    sci: dict[str, object] = {
        "software-boundary": boundary_text(answer),
        "sci": answer.sci_g_per_unit,
        "r": answer.count,
        "r-source": f"{unit_text(answer)}; counted by the workload's own source",
    }
    lines = ["sci:", *_members(sci), "metadata:", *_members(metadata)]
    return "\n".join(lines) + "\n"


def _members(members: dict[str, object]) -> list[str]:
    """JSON scalars are YAML scalars; what is empty is left out."""
    return [
        f"  {name}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in members.items()
        if value != ""
    ]
