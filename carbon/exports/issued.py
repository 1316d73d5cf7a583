"""An issued report as the formats read it, with the arithmetic that printing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import UNSET

from carbon.domain.reports import shown
from carbon.domain.uncertainty import Interval
from carbon.domain.units import NG_PER_G
from carbon.wire.answer import SciAnswer
from carbon.wire.reports import ReportAnswer, ReportLine, Statement


@dataclass(frozen=True, slots=True)
class Contact:
    """Who answers for a report; formats that must name them refuse without."""

    name: str = ""
    email: str = ""
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    report: ReportAnswer
    statement: Statement
    contact: Contact = Contact()

    @classmethod
    def of(cls, report: ReportAnswer, contact: Contact | None = None) -> Issued:
        statement = msgspec.json.decode(report.statement, type=Statement)
        return cls(report, statement, contact or Contact())

    @property
    def title(self) -> str:
        return self.report.title or f"SCI report {self.report.id}"


@dataclass(frozen=True, slots=True)
class ComponentSum:
    """O and M of all devices of one kind."""

    name: str
    energy_mj: int
    operational_ng: int
    embodied_ng: int

    @property
    def total_ng(self) -> int:
        return self.operational_ng + self.embodied_ng


def components(line: ReportLine) -> list[ComponentSum]:
    """By kind of device; they sum to the line's totals exactly."""
    sums: dict[str, list[int]] = {}
    for o in line.operational:
        row = sums.setdefault(o.kind, [0, 0, 0])
        row[0] += o.energy_mj
        row[1] += o.operational_ng
    for m in line.embodied:
        sums.setdefault(m.kind, [0, 0, 0])[2] += m.embodied_ng
    return [ComponentSum(kind, *sums[kind]) for kind in sorted(sums)]


def grams_text(mass_ng: int) -> str:
    """Grams to the nanogram: texts of parts sum to the text of the whole."""
    text = f"{Decimal(mass_ng) / NG_PER_G:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_MASSES: Final = ((10**15, "t"), (10**12, "kg"), (10**9, "g"), (10**6, "mg"))


def mass_texts(parts_ng: Sequence[int]) -> tuple[list[str], str]:
    """(each part, their sum) in the sum's own unit and five of its digits: the printed parts sum
    to the printed sum."""
    whole_ng = sum(parts_ng)
    size, unit = next((pair for pair in _MASSES if whole_ng >= pair[0]), _MASSES[-1])
    whole = Decimal(whole_ng) / size
    decimals = max(0, 4 - whole.adjusted()) if whole else 0
    so_far, printed, texts = 0, Decimal(0), []
    for part_ng in parts_ng:
        so_far += part_ng
        until = round(Decimal(so_far) / size, decimals)
        texts.append(f"{until - printed:,f} {unit}")
        printed = until
    return texts, f"{printed:,f} {unit}"


def energy_text(energy_mj: int) -> str:
    kwh = energy_mj / 3.6e9
    return f"{kwh:,.1f} kWh" if kwh >= 1000 else f"{kwh:.4g} kWh"


def per_unit_texts(masses_ng: Sequence[int], count: float) -> tuple[list[str], str]:
    """(each mass per unit, their sum per unit) as texts that sum exactly, in 12 digits."""
    total = Decimal(sum(masses_ng)) / NG_PER_G / Decimal(count)
    decimals = 11 - total.adjusted() if total else 0
    so_far, printed, texts = Decimal(0), Decimal(0), []
    for mass_ng in masses_ng:
        so_far += Decimal(mass_ng) / NG_PER_G / Decimal(count)
        until = round(so_far, decimals)
        texts.append(f"{until - printed:f}")
        printed = until
    return texts, f"{printed:f}"


def score_texts(answer: SciAnswer) -> tuple[str, str, str] | None:
    """Value, low and high in the digits that the interval justifies; None without a rate."""
    if answer.sci_g_per_unit is None or answer.low is None or answer.high is None:
        return None
    return shown(Interval(answer.sci_g_per_unit, answer.low, answer.high))


def cell_text(text: str) -> str:
    """Text from outside, which must not end a table's cell or begin another line."""
    return text.replace("|", "\\|").replace("\n", " ")


def boundary_text(answer: SciAnswer) -> str:
    included = ", ".join(answer.boundary["included"])
    excluded = "; ".join(
        f"{part['component']} ({part['reason']}{_share(part.get('share'))})"
        for part in answer.boundary["excluded"]
    )
    version, persona = answer.boundary["version"], answer.boundary["persona"]
    return f"Version {version}, {persona}. Included: {included}. Excluded: {excluded or 'nothing'}."


def unit_text(answer: SciAnswer) -> str:
    """The functional unit with all that was said of it."""
    meant = answer.unit_meaning
    if meant is UNSET:
        return answer.unit
    basis = f", {meant.basis}" if meant.basis else ""
    told = f"{answer.unit}{basis}"
    if meant.definition:
        told += f": {meant.definition}"
    if meant.converted_from:
        told += (
            f" (converted: one {meant.converted_from} is {meant.factor:.10g} {answer.unit}, by "
            f"{meant.source})"
        )
    return told


def _share(share: float | None) -> str:
    return "" if share is None else f", estimated {share:.1%} of the total"
