"""A report as one printable page: no script, no address outside, nothing to load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from carbon.domain.reports import Mark
from carbon.exports.issued import (
    Issued,
    boundary_text,
    components,
    grams_text,
    per_unit_texts,
    score_texts,
    unit_text,
)
from carbon.wire.reports import ReportLine

_STYLE = """
@page { size: A4; margin: 18mm }
body { font: 10.5pt/1.5 system-ui, sans-serif; color: #1b2420; max-width: 178mm; margin: 12mm auto }
h1 { font-size: 20pt; line-height: 1.2; margin: 0 0 2mm }
h2 { font-size: 13pt; margin: 9mm 0 2mm; break-after: avoid }
h3 { font-size: 10.5pt; margin: 5mm 0 1mm; break-after: avoid }
p { margin: 0 0 2mm }
.score { font-size: 17pt; font-weight: 600 }
.quiet { color: #56635c }
.notice { border: 0.6mm solid #a33b1f; padding: 2mm 3mm; margin: 3mm 0 }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; margin: 1mm 0 3mm }
th, td { text-align: left; padding: 0.8mm 2mm 0.8mm 0; border-bottom: 0.2mm solid #c9d1cc;
  vertical-align: top }
.long { overflow-wrap: anywhere }
thead { display: table-header-group }
tr { break-inside: avoid }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.sum td { font-weight: 600; border-top: 0.4mm solid #1b2420 }
code { font-size: 8pt; overflow-wrap: anywhere }
section + section { break-before: page }
@media print { body { margin: 0 } }
"""


def write(issued: Issued) -> str:
    report, statement = issued.report, issued.statement
    body = [
        f"<h1>{escape(issued.title)}</h1>",
        f"<p class='quiet'>Report {report.id}, issued {report.issued_at} for team "
        f"{escape(report.team)}. Window {statement.start} to {statement.end}. "
        "Software Carbon Intensity by ISO/IEC 21031:2024, location-based.</p>",
        _notice(issued),
        _marks(statement.marks),
        *(f"<section>{''.join(_line(line))}</section>" for line in statement.lines),
        _policies(issued),
        _proof(issued),
    ]
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(issued.title)}"
        f"</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


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
    Mark.NOT_MEASURED: "More than half of the operational carbon is estimated or modelled.",
}


def _marks(marks: Sequence[str]) -> str:
    """What must be known before the number, in words; each beside its own code."""
    told = "".join(
        f"<br>{escape(_IN_WORDS[Mark(mark)])} <code>{escape(mark)}</code>" for mark in marks
    )
    return f"<p class='notice'>Before you read the figures:{told}</p>" if marks else ""


def _line(line: ReportLine) -> Iterable[str]:
    a = line.answer
    texts = score_texts(a)
    yield f"<h2>{escape(a.workload)}</h2>"
    if texts:
        yield (
            f"<p class='score'>{texts[0]} gCO2e per {escape(a.unit)}</p>"
            f"<p>95 % interval {texts[1]} to {texts[2]}; {a.count:,} counted.</p>"
        )
    else:
        yield f"<p class='score'>No rate: {escape(str(a.reason))}</p>"
    coverage = "unknown" if a.coverage is None else f"{a.coverage:.1%} of the expected device-time"
    yield (
        f"<p>{a.energy_mj / 3.6e9:.6g} kWh of IT energy. Measured {a.measured_g:.6g} g, estimated "
        f"{a.estimated_g:.6g} g. Coverage {coverage}.</p>"
    )
    yield _component_table(line)
    yield f"<h3>Functional unit</h3><p>{escape(unit_text(a))}</p>"
    yield f"<h3>Boundary</h3><p>{escape(boundary_text(a))}</p>"
    yield _factor_table(line)
    yield _energy_table(line)
    yield _drawn(line)


def _component_table(line: ReportLine) -> str:
    a, parts = line.answer, components(line)
    masses = [part.total_ng for part in parts]
    scores, total = per_unit_texts(masses, a.count) if a.count else (["–"] * len(parts), "–")
    rows = [
        (part.name, grams_text(part.operational_ng), grams_text(part.embodied_ng), score)
        for part, score in zip(parts, scores, strict=True)
    ]
    whole = (
        "Total",
        grams_text(sum(part.operational_ng for part in parts)),
        grams_text(sum(part.embodied_ng for part in parts)),
        total,
    )
    head = ("Component", "Operational g", "Embodied g", f"g per {a.unit}")
    return f"<h3>Components</h3>{_table(head, rows, whole, numbers=range(1, 4))}"


def _factor_table(line: ReportLine) -> str:
    rows = [
        (f.id, f"{f.value:.6g} {f.unit}", f"{f.low:g} to {f.high:g}", f.source, ", ".join(f.flags))
        for f in line.answer.factors
    ]
    head = ("Factor", "Value", "95 %", "Source", "Mind")
    return f"<h3>Factors</h3>{_table(head, rows)}"


def _energy_table(line: ReportLine) -> str:
    rows = [
        (
            p.device,
            p.model,
            p.method,
            f"{p.zone}, {p.source}",
            f"{p.energy_mj / 3.6e9:.6g}",
            grams_text(p.operational_ng),
        )
        for p in line.operational
    ]
    head = ("Device", "Model", "Method", "Intensity", "kWh", "g")
    return f"<h3>Energy and its price</h3>{_table(head, rows, numbers=(4, 5))}"


def _drawn(line: ReportLine) -> str:
    drawn = line.simulated
    if drawn.first_order_low is None or drawn.first_order_high is None:
        return ""
    return (
        f"<p class='quiet'>The interval holds 95 % of {drawn.draws:,} seeded draws; by first order "
        f"it is {drawn.first_order_low:.4g} to {drawn.first_order_high:.4g} g per "
        f"{escape(line.answer.unit)}. Inputs <code>{line.answer.input_hash}</code></p>"
    )


def _policies(issued: Issued) -> str:
    rows = [(name.replace("_", " "), text) for name, text in issued.statement.policies.items()]
    return f"<h2>How shared things were allocated</h2>{_table(('What', 'How'), rows)}"


def _proof(issued: Issued) -> str:
    report = issued.report
    signed = issued.contact.name or "………………………………………………"
    return (
        "<h2>Proof</h2>"
        f"<p>Statement <code>{report.statement_hash}</code><br>Entry {report.audit_entry} of the "
        f"audit log <code>{report.audit_hash}</code></p>"
        f"<p>Accountable: {escape(signed)} {escape(issued.contact.organization)}</p>"
    )


_RIGHT = " class='n'"
#: A word longer than this may be broken, as an address; no other may.
_LONGEST_WORD = 16


def _wrapped(text: str) -> str:
    is_long = any(len(word) > _LONGEST_WORD for word in text.split())
    return " class='long'" if is_long else ""


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    whole: Sequence[str] | None = None,
    numbers: Iterable[int] = (),
) -> str:
    right = frozenset(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{_RIGHT if i in right else _wrapped(text)}>{escape(text)}</{tag}>"
            for i, text in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    total = f"<tr class='sum'>{cells('td', whole)}</tr>" if whole else ""
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}{total}</tbody></table>"
