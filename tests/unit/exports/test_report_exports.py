"""Exports: components sum to the total as printed, nothing from outside breaks a format."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.reports import METHOD, Mark, policies
from carbon.errors import InvalidInput
from carbon.exports.formats import FORMS, Format
from carbon.exports.html_table import style
from carbon.exports.issued import (
    Contact,
    Issued,
    components,
    grams_text,
    mass_texts,
    per_unit_texts,
)
from carbon.wire.answer import FactorUsed, IntensityUsed, SciAnswer
from carbon.wire.reports import (
    EmbodiedPart,
    OperationalPart,
    ReportAnswer,
    ReportLine,
    Simulated,
    Statement,
)

ANA = Contact('Ana: "#1"', "ana@example.org", "Example & Sons")
HOSTILE = "default/<script>|w"


def operational(device: str, kind: str, ng: int, energy_mj: int = 3_600_000_000) -> OperationalPart:
    return OperationalPart(
        device,
        kind,
        "=model|x",
        "counter",
        "DE",
        "feed",
        "average",
        "lifecycle",
        "actual",
        energy_mj,
        3_600_000,
        ng,
    )


def embodied(device: str, kind: str, ng: int) -> EmbodiedPart:
    return EmbodiedPart(device, kind, "m", "f/a/b", 164_000.0, "l/d", 10**9, 3_600_000, ng)


def line(count: float = 7, sci: float | None = 1.5, workload: str = HOSTILE) -> ReportLine:
    o = [operational("gpu-0", "gpu", 123_456_789_012), operational("cpu-0", "cpu", 1)]
    m = [embodied("gpu-0", "gpu", 4_680_365_296)]
    factor = FactorUsed("f/a/b", "embodied", 164.0, 150.0, 575.0, "kgCO2e", "https://a|b", ["x"])
    answer = SciAnswer(
        workload=workload,
        start="2026-03-01T00:00:00Z",
        end="2026-04-01T00:00:00Z",
        unit="token",
        count=count,
        count_set_aside=0,
        energy_mj=7_200_000_000,
        measured_g=123.456789013,
        estimated_g=0.0,
        operational_g=123.456789013,
        embodied_g=4.680365296,
        total_g=128.137154309,
        sci_g_per_unit=sci,
        low=sci and sci * 0.9,
        high=sci and sci * 1.1,
        reason="no_units" if sci is None else msgspec.UNSET,
        coverage=0.4,
        methods={"counter": 1.0},
        zones=["DE"],
        boundary={
            "version": 1,
            "persona": "consumer",
            "included": ["gpu"],
            "excluded": [{"component": "network", "reason": "not metered", "share": 0.02}],
        },
        factors=[factor],
        intensity=[IntensityUsed("DE", "feed", "average", "lifecycle", "actual", [], 1.0)],
        flags=[],
        input_hash="sha256:ab",
    )
    return ReportLine(answer, Simulated(10_000, "s", 1.3, 1.7), o, m, ["coverage_below_floor"])


def issued(*lines: ReportLine, contact: Contact = ANA) -> Issued:
    statement = Statement(
        METHOD,
        "2026-03-01T00:00:00Z",
        "2026-04-01T00:00:00Z",
        policies(),
        0.05,
        0.5,
        ["coverage_below_floor"],
        list(lines),
        "sha256:cd",
    )
    report = ReportAnswer(
        "rep_1",
        "March <b>",
        "default",
        "2026-04-02T08:00:00Z",
        "k1",
        "sha256:ef",
        3,
        "00ff",
        None,
        None,
        "rep_2",
        "a study",
        [],
        msgspec.Raw(msgspec.json.encode(statement)),
    )
    return Issued.of(report, contact)


def written(format: Format, *lines: ReportLine) -> str:
    return FORMS[format].write(issued(*(lines or (line(),))))


masses = st.lists(st.integers(0, 10**15), min_size=1, max_size=12)
counts = st.one_of(st.integers(1, 10**12), st.floats(1e-3, 1e12))


@given(masses, counts)
def test_printed_parts_sum_to_the_printed_total(parts_ng: list[int], count: float) -> None:
    texts, total = per_unit_texts(parts_ng, count)
    assert sum(map(Decimal, texts)) == Decimal(total)
    assert float(total) == pytest.approx(sum(parts_ng) / 1e9 / count, rel=1e-9)
    assert sum(map(Decimal, map(grams_text, parts_ng))) == Decimal(grams_text(sum(parts_ng)))


def test_components_are_kinds_of_devices_and_sum_to_the_line() -> None:
    parts = components(line())
    assert [part.name for part in parts] == ["cpu", "gpu"]
    assert sum(part.total_ng for part in parts) == 128_137_154_309


def test_the_certificate_s_breakdown_sums_to_its_headline() -> None:
    text = written(Format.GSF)
    headline = re.search(r"\*\*SCI:\*\* `([\d.]+) gCO2e/token`", text)
    breakdown = re.findall(r"^(?:cpu|gpu): ([\d.]+) gCO2e/token$", text, re.MULTILINE)
    assert headline is not None
    assert sum(map(Decimal, breakdown)) == Decimal(headline[1])
    for part in ("## Coefficients", "## Functional Unit", "## Methodologies", "Accountable Person"):
        assert part in text


def test_a_table_of_the_certificate_keeps_its_columns_whatever_a_name_holds() -> None:
    rows = [r for r in written(Format.GSF).splitlines() if r.startswith("| ")]
    assert rows
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 6, row


def test_sci_reporting_has_every_element_that_must_be_there() -> None:
    text = written(Format.SCI_REPORTING)
    members = dict(re.findall(r"^  ([\w-]+): (.*)$", text, re.MULTILINE))
    must = {"software-boundary", "sci", "r", "r-source", "name", "contact-name", "contact-email"}
    must |= {"guid", "entity-version", "sci-version", "calculation-date", "organization"}
    assert must <= members.keys()
    assert json.loads(members["contact-name"]) == ANA.name
    assert (float(members["sci"]), float(members["r"])) == (1.5, 7)
    assert json.loads(members["calculation-date"]) == "2026-04-02"
    assert re.fullmatch(r"[0-9a-f-]{36}", json.loads(members["guid"]))


def test_sci_reporting_refuses_to_leave_open_who_answers() -> None:
    with pytest.raises(InvalidInput) as caught:
        FORMS[Format.SCI_REPORTING].write(issued(line(), contact=Contact()))
    assert caught.value.code == "missing_contact"


@pytest.mark.parametrize("format", [Format.GSF, Format.SCI_REPORTING])
def test_what_has_no_rate_is_not_certified(format: Format) -> None:
    with pytest.raises(InvalidInput) as caught:
        written(format, line(0, None))
    assert caught.value.code == "no_score"


def test_several_lines_are_several_documents() -> None:
    text = written(Format.SCI_REPORTING, line(), line(workload="default/b"))
    assert len(text.split("---\n")) == 2


def test_the_table_sums_to_the_total_and_no_cell_is_a_formula() -> None:
    rows = list(csv.DictReader(StringIO(written(Format.CSV, line(), line(9)))))
    assert [row["part"] for row in rows] == ["operational", "operational", "embodied"]
    assert sum(Decimal(row["g_co2e"]) for row in rows) == Decimal("128.137154309")
    assert {row["model"] for row in rows} == {"'=model|x", "m"}
    assert {row["input_hash"] for row in rows} == {"sha256:ab"}


def test_json_is_the_report_with_its_statement_to_the_byte() -> None:
    made = issued(line())
    text = FORMS[Format.JSON].write(made)
    assert bytes(made.report.statement) in text.encode()
    assert json.loads(text)["statement_hash"] == "sha256:ef"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("made", [line(), line(0, None)])
def test_the_page_is_whole_and_loads_nothing(made: ReportLine) -> None:
    page = Page()
    text = written(Format.HTML, made)
    page.feed(text)
    assert page.open == []
    assert not page.seen & {"script", "link", "img", "iframe"}
    assert page.addresses == []
    assert "&lt;script&gt;" in text
    assert "rep_2 supersedes it" in text
    assert "coverage_below_floor" in text


def test_the_page_says_why_there_is_no_rate() -> None:
    assert "No rate: no_units" in written(Format.HTML, line(0, None))


def test_the_cover_states_the_whole_carbon_beside_the_rates() -> None:
    cover = written(Format.HTML, line()).split("Functional units")[0]
    assert "Carbon in all" in cover
    assert mass_texts([part.total_ng for part in components(line())])[1] in cover


def test_a_printed_report_says_what_was_done_to_its_figures() -> None:
    made = line()
    answer = msgspec.structs.replace(made.answer, flags=["gaps_filled", "parts_in_server"])
    text = written(Format.HTML, msgspec.structs.replace(made, answer=answer))
    assert "held and not read is filled" in text
    assert "counted in that of their server" in text
    assert "paid for" not in text


def test_a_printed_report_says_every_mark_in_words() -> None:
    for mark in Mark:
        marked = issued(line())
        statement = msgspec.structs.replace(marked.statement, marks=[str(mark)])
        page = FORMS[Format.HTML].write(replace(marked, statement=statement))
        assert f"<code>{mark}</code>" in page
        assert re.search(rf"[a-z.]\s*<code>{mark}</code>", page)


@given(masses)
def test_printed_masses_sum_to_the_printed_sum(parts_ng: list[int]) -> None:
    texts, whole = mass_texts(parts_ng)
    numbers = [Decimal(text.split()[0].replace(",", "")) for text in (*texts, whole)]
    assert sum(numbers[:-1]) == numbers[-1]
    assert len({text.split()[1] for text in (*texts, whole)}) == 1


def test_what_scores_of_one_workload_share_is_printed_once() -> None:
    one = line()
    other = msgspec.structs.replace(
        one, answer=msgspec.structs.replace(one.answer, unit="request", count=3)
    )
    text = FORMS[Format.HTML].write(issued(one, other))
    assert isinstance(text, str)
    assert text.count("Energy and its price") == 1
    more = msgspec.structs.replace(other, embodied=[])
    text = FORMS[Format.HTML].write(issued(one, more))
    assert isinstance(text, str)
    assert text.count("Energy and its price") == 2
    assert "<h3>Per request</h3>" in text


def test_a_footer_cannot_leave_the_style() -> None:
    assert "</style>" not in style('x"} </style><script>')


def test_a_mark_says_of_which_scores_it_speaks() -> None:
    one, other = line(), line(workload="default/v")
    text = FORMS[Format.HTML].write(issued(one, msgspec.structs.replace(other, marks=[])))
    assert isinstance(text, str)
    assert "coverage_below_floor</code>: default/&lt;script&gt;|w per token" in text


def test_a_model_card_states_grams_and_where_they_come_from() -> None:
    text = written(Format.MODEL_CARD, line(workload="default/w"))
    _, front, words = text.split("---\n")
    told = yaml.safe_load(front)["co2_eq_emissions"]
    assert told["emissions"] == 128.137
    assert (told["geographical_location"], told["hardware_used"]) == ("DE", "1 x =model|x")
    assert "rep_1" in told["source"]
    assert "SCI per token:** 1.5 g (95 %: 1.35 to 1.65)" in words
    assert "coverage_below_floor" in words


def test_an_energy_sheet_says_what_is_measured_and_what_is_not_known() -> None:
    text = written(Format.AI_ACT, line(workload="default/w"))
    assert "| 2(e) | Energy of the computing (IT) | 0.002 MWh, known (measured) |" in text
    assert "not known to the meter" in text
    mixed = line(workload="default/w")
    answer = msgspec.structs.replace(mixed.answer, methods={"counter": 0.4, "modelled": 0.6})
    text = written(Format.AI_ACT, msgspec.structs.replace(mixed, answer=answer))
    assert "estimated (40% of it measured)" in text


@pytest.mark.parametrize("format", [Format.MODEL_CARD, Format.AI_ACT])
def test_a_document_of_one_model_is_of_one_workload(format: Format) -> None:
    with pytest.raises(InvalidInput) as refused:
        written(format, line(workload="default/w"), line(workload="default/v"))
    assert refused.value.code == "one_workload"


@pytest.mark.parametrize("format", [Format.MODEL_CARD, Format.AI_ACT])
def test_names_from_outside_begin_no_line_of_their_own(format: Format) -> None:
    text = written(format, line(workload="default/w\n# Another heading | cell"))
    assert not any(one.startswith("# Another") for one in text.split("\n"))
