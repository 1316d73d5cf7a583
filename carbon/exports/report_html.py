"""A report as one printable document: no script, no address outside, nothing to load.

A cover with every score, then each workload once: its components, what they rest on, and where
its energy came from; at the end how shared things were allocated, the proof, and who signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from carbon.domain.reports import Mark
from carbon.domain.units import NG_PER_G
from carbon.exports.html_table import cell_table, style
from carbon.exports.issued import (
    Issued,
    boundary_text,
    components,
    energy_text,
    mass_texts,
    score_texts,
    unit_text,
)
from carbon.wire.answer import FactorUsed
from carbon.wire.reports import OperationalPart, ReportLine

_LOCATION_BASED = (
    "Software Carbon Intensity by ISO/IEC 21031:2024, location-based: no certificate, contract or "
    "offset enters any figure."
)


def write(issued: Issued) -> str:
    workloads = [list(lines) for _, lines in groupby(issued.statement.lines, _workload)]
    body = [
        f"<header>{''.join(_cover(issued))}</header>",
        *(f"<section>{''.join(_section(lines))}</section>" for lines in workloads),
        f"<section>{_policies(issued)}{_proof(issued)}</section>",
    ]
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(issued.title)}"
        f"</title><style>{style(issued.report.id)}</style></head><body>{''.join(body)}</body>"
        "</html>\n"
    )


def _workload(line: ReportLine) -> str:
    return line.answer.workload


def _cover(issued: Issued) -> Iterator[str]:
    report, statement = issued.report, issued.statement
    facts = [
        ("Report", report.id),
        ("Team", report.team),
        ("Window", f"{statement.start} to {statement.end}"),
        ("Issued", f"{report.issued_at} by key {report.issued_by}"),
        ("Accountable", ", ".join(filter(None, _accountable(issued))) or "not stated"),
        ("Statement", report.statement_hash),
    ]
    yield f"<h1>{escape(issued.title)}</h1><p class='quiet'>{_LOCATION_BASED}</p>"
    yield cell_table(("", ""), facts, headless=True)
    yield _notice(issued)
    yield _marks(statement.marks, statement.lines)
    yield "<h2>Scores</h2>"
    yield cell_table(
        ("Workload", "Per", "gCO2e", "95 % interval", "Counted", "Coverage"),
        [_score_row(line) for line in statement.lines],
        numbers=(2, 3, 4, 5),
    )
    yield "<h2>Carbon in all</h2>"
    firsts = {_workload(line): line for line in reversed(statement.lines)}
    yield cell_table(
        ("Workload", "Operational, measured", "estimated", "Embodied", "Together"),
        [_mass_row(firsts[name]) for name in dict.fromkeys(map(_workload, statement.lines))],
        numbers=(1, 2, 3, 4),
    )


def _mass_row(line: ReportLine) -> tuple[str, ...]:
    """A rate may fall while its total rises: both stand on the cover."""
    a = line.answer
    parts = [round(grams * NG_PER_G) for grams in (a.measured_g, a.estimated_g, a.embodied_g)]
    texts, total = mass_texts(parts)
    return (a.workload, *texts, total)


def _accountable(issued: Issued) -> tuple[str, str, str]:
    contact = issued.contact
    return contact.name, contact.organization, contact.email


def _notice(issued: Issued) -> str:
    report = issued.report
    if report.superseded_by:
        why = f" Notice: {escape(report.notice)}." if report.notice else ""
        return (
            "<p class='notice'>This report was restated. It stands as it was issued; "
            f"{report.superseded_by} supersedes it.{why}</p>"
        )
    if report.restates:
        why = escape(report.restatement.reason) if report.restatement else ""
        return f"<p class='notice'>Restates {report.restates}: {why}</p>"
    return ""


_IN_WORDS = {
    Mark.COVERAGE_BELOW_FLOOR: "Less of the device-time was read than this report asks for.",
    Mark.COVERAGE_UNKNOWN: "How much of the device-time was read is not known.",
    Mark.EXCLUDED_SHARE: "What the boundary leaves out is estimated at more than 5 % of the total.",
    Mark.WINDOW_OPEN: "The window was not over when the report was issued.",
    Mark.UNITS_SET_ASIDE: "Some units were counted while nothing was metered; they are set aside.",
    Mark.UNIT_BASIS: "Whether the unit counts all that was done or what was of use is not said.",
    Mark.SERVER_UNKNOWN: "GPUs are counted without the servers in which they stand: nobody stated "
    "these.",
    Mark.NOT_MEASURED: "More than half of the operational carbon is estimated or modelled.",
}


def _marks(marks: Sequence[str], lines: Sequence[ReportLine]) -> str:
    """What must be known before the numbers, in words; each beside its own code and of what."""
    told = "".join(
        f"<br>{escape(_IN_WORDS[Mark(mark)])} <code>{escape(mark)}</code>{_of(mark, lines)}"
        for mark in marks
    )
    return f"<p class='notice'>Before you read the figures:{told}</p>" if marks else ""


def _of(mark: str, lines: Sequence[ReportLine]) -> str:
    """Of which scores a mark speaks, where it is not all of them."""
    own = [line.answer for line in lines if mark in line.marks]
    if len(own) in (0, len(lines)):
        return ""
    return escape(": " + ", ".join(f"{one.workload} per {one.unit}" for one in own))


def _score_row(line: ReportLine) -> tuple[str, ...]:
    a, texts = line.answer, score_texts(line.answer)
    coverage = "unknown" if a.coverage is None else f"{a.coverage:.1%}"
    if texts is None:
        return a.workload, a.unit, f"No rate: {a.reason}", "–", f"{a.count:,}", coverage
    interval = f"{texts[1]} to {texts[2]}"
    return a.workload, a.unit, texts[0], interval, f"{a.count:,.10g}", coverage


def _section(lines: Sequence[ReportLine]) -> Iterator[str]:
    """One workload. What its scores share is told once."""
    answer = lines[0].answer
    yield f"<h2>{escape(answer.workload)}</h2>"
    units = [(unit_text(line.answer), _counted(line)) for line in lines]
    yield f"<h3>Functional units</h3>{cell_table(('Unit', 'Counts'), units)}"
    yield f"<h3>Boundary</h3><p>{escape(boundary_text(answer))}</p>"
    for alike in _alike(lines):
        if len(alike) < len(lines):
            yield f"<h3>Per {escape(', '.join(line.answer.unit for line in alike))}</h3>"
        yield from _shared(alike[0])
    yield from (_drawn(line) for line in lines)


def _counted(line: ReportLine) -> str:
    a = line.answer
    aside = f"; {a.count_set_aside:,.10g} set aside" if a.count_set_aside else ""
    return f"{a.count:,.10g} counted{aside}"


def _alike(lines: Sequence[ReportLine]) -> list[list[ReportLine]]:
    """Lines of one workload by what they were computed from: mostly it is all the same."""
    groups: list[list[ReportLine]] = []
    for line in lines:
        for group in groups:
            if (line.operational, line.embodied) == (group[0].operational, group[0].embodied):
                group.append(line)
                break
        else:
            groups.append([line])
    return groups


def _shared(line: ReportLine) -> Iterator[str]:
    a = line.answer
    parts_ng = [round(grams * NG_PER_G) for grams in (a.measured_g, a.estimated_g)]
    (measured, estimated), total = mass_texts(parts_ng)
    yield (
        f"<p>{energy_text(a.energy_mj)} of IT energy. Operational {total}, of which measured "
        f"{measured} and estimated {estimated}.</p>"
    )
    yield f"<h3>Components</h3>{_component_table(line)}{_notes(a.flags)}"
    yield f"<h3>Factors</h3>{_factor_table(a.factors)}"
    yield f"<h3>Energy and its price</h3>{_energy_table(line.operational)}"


#: What a reader would otherwise ask of the tables.
_NOTES = {
    "parts_in_server": "The making of CPUs and memory is counted in that of their server.",
    "gaps_filled": "Time that was held and not read is filled, as estimated.",
    "gaps_interpolated": "Of that, one or two intervals in a row lie on the line between the power "
    "before and after.",
    "fully_depreciated": "A device is older than its expected life: its making is paid for.",
    "pue_unset": "Nobody stated a PUE: 1.0 is counted.",
    "zone_unknown": "Nobody stated where it ran: the world's mean intensity is counted.",
    "window_snapped": "The window's edges are whole buckets: finer readings are gone with age.",
}


def _notes(flags: Sequence[str]) -> str:
    told = "<br>".join(_NOTES[flag] for flag in _NOTES if flag in flags)
    return f"<p class='quiet'>{told}</p>" if told else ""


def _component_table(line: ReportLine) -> str:
    """In texts whose parts sum to the printed total."""
    parts = components(line)
    whole_ng = sum(part.total_ng for part in parts)
    columns = [
        mass_texts([part.operational_ng for part in parts]),
        mass_texts([part.embodied_ng for part in parts]),
        mass_texts([part.total_ng for part in parts]),
    ]
    names = [part.name.replace("_", " ") for part in parts]
    shares = [f"{part.total_ng / whole_ng:.1%}" if whole_ng else "–" for part in parts]
    rows = zip(names, *(texts for texts, _ in columns), shares, strict=True)
    whole = ("Total", *(total for _, total in columns), "100.0%" if whole_ng else "–")
    head = ("Component", "Operational", "Embodied", "Together", "Share")
    return cell_table(head, rows, whole, numbers=range(1, 5))


def _factor_table(factors: Sequence[FactorUsed]) -> str:
    rows = [
        (f.id, f"{f.value:.6g} {f.unit}", f"{f.low:g} to {f.high:g}", f.source, ", ".join(f.flags))
        for f in factors
    ]
    return cell_table(("Factor", "Value", "95 %", "Source", "Mind"), rows)


def _energy_table(parts: Sequence[OperationalPart]) -> str:
    masses, total = mass_texts([part.operational_ng for part in parts])
    energy_mj = sum(part.energy_mj for part in parts)
    rows = [
        (
            p.device,
            "" if p.energy_mj == 0 else p.model,
            p.method,
            f"{p.zone}, {p.source}",
            energy_text(p.energy_mj) if p.energy_mj else "–",
            f"{p.operational_ng * 3.6 / p.energy_mj:.4g}" if p.energy_mj else "–",
            mass,
        )
        for p, mass in zip(parts, masses, strict=True)
    ]
    head = ("Device", "Model", "Method", "Intensity", "Energy", "g/kWh, PUE in", "CO2e")
    whole = ("Total", "", "", "", energy_text(energy_mj), "", total)
    return cell_table(head, rows, whole, numbers=(4, 5, 6))


def _drawn(line: ReportLine) -> str:
    drawn, unit = line.simulated, escape(line.answer.unit)
    if drawn.first_order_low is None or drawn.first_order_high is None:
        return f"<p class='quiet'>Per {unit}: inputs <code>{line.answer.input_hash}</code></p>"
    return (
        f"<p class='quiet'>Per {unit}: the interval holds 95 % of {drawn.draws:,} seeded draws; by "
        f"first order it is {drawn.first_order_low:.4g} to {drawn.first_order_high:.4g} g. Inputs "
        f"<code>{line.answer.input_hash}</code></p>"
    )


def _policies(issued: Issued) -> str:
    rows = [(name.replace("_", " "), text) for name, text in issued.statement.policies.items()]
    return f"<h2>How shared things were allocated</h2>{cell_table(('What', 'How'), rows)}"


def _proof(issued: Issued) -> str:
    report, line = issued.report, "……………………………………"
    told = [one for one in _accountable(issued)[:2] if one]
    return (
        "<h2>Proof</h2>"
        f"<p>Statement <code>{report.statement_hash}</code><br>Entry {report.audit_entry} of the "
        f"audit log <code>{report.audit_hash}</code></p><p>Every figure walks back to its "
        f"readings: <code>carbon report explain {report.id}</code>. Who has no access checks the "
        f"audit pack with Python alone: <code>carbon export audit-pack {report.id}</code>.</p>"
        f"<p class='signed'>Accountable: {escape(', '.join(told)) or line}</p>"
        f"<p class='signed'>Date, signature: {line}</p>"
        f"<p class='signed'>Reviewed by, date, signature: {line}</p>"
    )
