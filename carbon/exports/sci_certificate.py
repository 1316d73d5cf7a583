"""The Green Software Foundation's SCI report template (case-study guide of SCI for AI), filled in.

One section for each line of the report. Components are kinds of devices; their printed scores
sum to the printed total to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator

from carbon.domain.energy import Method
from carbon.errors import InvalidInput
from carbon.exports.issued import (
    ComponentSum,
    Issued,
    boundary_text,
    cell_text,
    components,
    grams_text,
    per_unit_texts,
    score_texts,
    unit_text,
)
from carbon.wire.reports import ReportLine

_MEASURED = frozenset(method.label for method in Method if method.is_measured)


def write(issued: Issued) -> str:
    """Markdown. Raises InvalidInput(`no_score`) where a line has no rate to certify."""
    sections = ["\n".join(_section(issued, line)) for line in issued.statement.lines]
    return "\n\n---\n\n".join(sections) + "\n"


def _section(issued: Issued, line: ReportLine) -> Iterator[str]:
    answer = line.answer
    texts = score_texts(answer)
    if texts is None:
        raise InvalidInput("no_score", f"{answer.workload} has no rate per {answer.unit}")
    parts = components(line)
    scores, total = per_unit_texts([part.total_ng for part in parts], answer.count)
    per = f"gCO2e/{cell_text(answer.unit)}"
    yield f"# {cell_text(answer.workload)} SCI REPORT\n"
    yield f"**SCI:** `{total} {per}` (95 %: {texts[1]} to {texts[2]})\n"
    yield "**Breakdown:**\n```"
    for part, score in zip(parts, scores, strict=True):
        yield f"{part.name}: {score} {per}"
    yield f"```\n\n{_header(issued, line)}"
    yield f"\n## Coefficients\n\n{_coefficients(line)}"
    yield f"\n## Summary\n\n{_summary(line)}"
    yield f"\n## Functional Unit\n\n**Functional Unit:** {cell_text(unit_text(answer))}\n"
    yield f"{answer.count} counted, {answer.count_set_aside} set aside outside of metered time."
    yield f"\n## Methodologies\n\n{_methodologies(line)}"
    yield "\n## Component Breakdown"
    for part, score in zip(parts, scores, strict=True):
        yield _component(line, part, f"{score} {per}")


def _header(issued: Issued, line: ReportLine) -> str:
    answer, contact = line.answer, issued.contact
    rows = {
        "Application Name": answer.workload,
        "Report": f"{issued.report.id}, issued {issued.report.issued_at}",
        "Accountable Organization": contact.organization or "not stated",
        "Accountable Person": contact.name or "not stated",
        "Accountable Contact": contact.email or "not stated",
        "Measurement Date": answer.end,
        "Measurement Timespan": f"{answer.start} - {answer.end}",
        "Software Boundary": boundary_text(answer),
        "Marks": ", ".join(line.marks) or "none",
        "Statement Hash": issued.report.statement_hash,
    }
    return "\n\n".join(f"**{name}:** {cell_text(value)}" for name, value in rows.items())


def _coefficients(line: ReportLine) -> str:
    rows = [
        "| Coefficient | Description | Value | Unit | Source |",
        "|-|-|-|-|-|",
        *(
            f"| {f.id} | {f.kind}, 95 %: {f.low:g} to {f.high:g} | {f.value:.10g} | {f.unit} "
            f"| {cell_text(f.source)} |"
            for f in line.answer.factors
        ),
        *(_intensity_row(line, zone) for zone in line.answer.zones),
    ]
    return "\n".join(rows)


def _intensity_row(line: ReportLine, zone: str) -> str:
    """What the zone's energy was priced with on average, PUE included."""
    parts = [part for part in line.operational if part.zone == zone]
    energy_mj = sum(part.energy_mj for part in parts)
    ng = sum(part.operational_ng for part in parts)
    mean = f"{ng * 3.6 / energy_mj:.6g}" if energy_mj else "none"
    sources = ", ".join(sorted({f"{p.source} ({p.signal}, {p.scope})" for p in parts}))
    return (
        f"| intensity {zone} | energy-weighted over 5-minute buckets, PUE included | {mean} "
        f"| gCO2e/kWh | {cell_text(sources)} |"
    )


def _summary(line: ReportLine) -> str:
    a = line.answer
    coverage = "unknown" if a.coverage is None else f"{a.coverage:.1%}"
    return (
        f"{a.energy_mj / 3.6e9:.6g} kWh of IT energy caused {a.operational_g:.6g} g of operational "
        f"and {a.embodied_g:.6g} g of embodied CO2e. Measured {a.measured_g:.6g} g, estimated "
        f"{a.estimated_g:.6g} g; coverage of the expected device-time {coverage}. "
        "Location-based: no certificate, offset or contract enters."
    )


_METHODOLOGIES = (
    ("Energy (E)", "Device energy", "counters and sensors of each device, cut at 5-minute marks"),
    ("Grid Carbon Intensity (I)", "Zone intensity", "of each zone and 5 minutes, location-based"),
    ("Operational Carbon (O)", "O by bucket", "sum over 5-minute buckets of E x I x PUE"),
    ("Embodied Carbon (M)", "M by reservation", "TE x reserved time / expected life, by device"),
    ("Functional Unit (R)", "Counted units", "counts of the buckets in which there is energy"),
)


def _methodologies(line: ReportLine) -> str:
    energy = "measured" if set(line.answer.methods) <= _MEASURED else "modeled"
    tags = (energy, "sourced", energy, "sourced", "measured")
    return "\n\n".join(
        f"### {group}\n\n#### {name}\n**Method:** {tag}\n\n**Description:** {text}"
        for (group, name, text), tag in zip(_METHODOLOGIES, tags, strict=True)
    )


def _component(line: ReportLine, part: ComponentSum, score: str) -> str:
    devices = {o.device for o in line.operational if o.kind == part.name}
    devices |= {m.device for m in line.embodied if m.kind == part.name}
    masses = grams_text(part.operational_ng), grams_text(part.embodied_ng)
    return (
        f"\n### {part.name}\n\n**SCI Score:** {score}\n\n**Calculation Method:** eim\n\n"
        f"**Description:** {len(devices)} device(s): operational {masses[0]} g, "
        f"embodied {masses[1]} g.\n\n"
        "**Methodologies Used:** Device energy; Zone intensity; M by reservation; Counted units"
    )
