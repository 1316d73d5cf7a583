"""Energy for the technical documentation of a general-purpose AI model: Regulation (EU) 2024/1689,
Annex XI, section 1, point 2 (d) and (e).

What the report does not know is said to be not known; an estimate says that it is one.
"""

from __future__ import annotations

from collections.abc import Iterator

from carbon.domain.energy import Method
from carbon.errors import InvalidInput
from carbon.exports.issued import Issued, boundary_text, cell_text, mass_texts
from carbon.wire.answer import SciAnswer
from carbon.wire.reports import ReportLine

_MEASURED = frozenset(method.label for method in Method if method.is_measured)


def write(issued: Issued) -> str:
    """Markdown. Raises InvalidInput(`one_workload`): the sheet is of one model."""
    lines = issued.statement.lines
    if len({line.answer.workload for line in lines}) != 1:
        raise InvalidInput("one_workload", "the sheet is of one model: report one workload")
    rows = "\n".join(
        f"| {point} | {what} | {cell_text(value)} |" for point, what, value in _rows(lines[0])
    )
    contact = issued.contact
    return (
        f"# Energy consumption of {cell_text(lines[0].answer.workload)}\n\n"
        "Regulation (EU) 2024/1689 (AI Act), Annex XI, section 1, point 2. Figures of SCI report "
        f"{issued.report.id} ({issued.report.statement_hash}).\n\n"
        f"| Point | What | Known or estimated |\n|-|-|-|\n{rows}\n\n"
        f"Provider: {contact.organization or 'not stated'}. "
        f"Contact: {contact.name or 'not stated'} {contact.email}\n"
    )


def _rows(line: ReportLine) -> Iterator[tuple[str, str, str]]:
    a = line.answer
    hours = sum(part.covered_ms for part in line.operational if part.kind == "gpu") / 3.6e6
    models = sorted({part.model for part in line.operational})
    yield "2(d)", "Floating-point operations", "not known to the meter; state them yourself"
    yield "2(d)", "Time", f"{a.start} to {a.end}; {hours:,.1f} GPU-hours read"
    yield "2(d)", "Hardware", ", ".join(filter(None, models)) or "not known"
    yield "2(e)", "Energy of the computing (IT)", f"{a.energy_mj / 3.6e12:,.6g} MWh, {_kind(a)}"
    yield "2(e)", "Methods, by share of the energy", _methods(a)
    yield "2(e)", "Coverage of the device-time", _coverage(a)
    total = mass_texts([round(a.operational_g * 1e9)])[1]
    yield "beside", "Operational carbon, location-based, PUE in", f"{total} CO2e"
    yield "beside", "Boundary", boundary_text(a)


def _kind(a: SciAnswer) -> str:
    measured = sum(share for method, share in a.methods.items() if method in _MEASURED)
    if measured >= 1 - 1e-9:
        return "known (measured)"
    return f"estimated ({measured:.0%} of it measured)"


def _methods(a: SciAnswer) -> str:
    return ", ".join(f"{method} {share:.1%}" for method, share in a.methods.items()) or "none"


def _coverage(a: SciAnswer) -> str:
    return "not known" if a.coverage is None else f"{a.coverage:.1%}"
