"""The XML of ENTSO-E's Transparency Platform: generation per kind of plant in MW, prices.

Read by local names, since the namespace changes with the version of the document.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final
from xml.etree import ElementTree

from carbon.domain.price import PricePoint
from carbon.domain.units import MS_PER_HOUR
from carbon.grid.generation_mix import Output

RESOLUTIONS_MS: Final = {
    "PT15M": MS_PER_HOUR // 4,
    "PT30M": MS_PER_HOUR // 2,
    "PT60M": MS_PER_HOUR,
    "PT1H": MS_PER_HOUR,
}
#: `No matching data found`: an empty answer by another name.
NO_DATA: Final = "999"
#: The name of a series that does not say of which plants it is.
ALL_PLANTS: Final = ""
KWH_PER_MWH: Final = 1_000
MOST_BYTES: Final = 32 * 1024 * 1024


class XmlInvalid(ValueError):
    """Not a document of the platform; the text says why."""


def read_generation(content: bytes) -> Mapping[str, list[Output]]:
    """Output by `psrType` (B01 to B25), of all plants together under `ALL_PLANTS`; empty where the
    platform has none.

    What plants drew, as pumps do, is left out. Points that repeat a value may be omitted
    (curve type A03): the one before holds. Raises XmlInvalid.
    """
    root = _document(content, "GL_MarketDocument")
    outputs: dict[str, list[Output]] = defaultdict(list)
    for series in _children(root, "TimeSeries"):
        if next(_children(series, "outBiddingZone_Domain.mRID"), None) is not None:
            continue
        plants = next(_children(series, "MktPSRType"), None)
        kind = ALL_PLANTS if plants is None else _text(_child(plants, "psrType"))
        for period in _children(series, "Period"):
            outputs[kind] += [Output(*step) for step in _steps(period, "quantity")]
    return outputs


def read_prices(content: bytes) -> list[PricePoint]:
    """Day-ahead prices per kWh, in order of time; empty where the platform has none.

    Of several auctions of one time the first holds: the others are local ones. Raises XmlInvalid.
    """
    root = _document(content, "Publication_MarketDocument")
    made: dict[int, PricePoint] = {}
    for series in sorted(_children(root, "TimeSeries"), key=_auction):
        currency = _text(_child(series, "currency_Unit.name"))
        unit = _text(_child(series, "price_Measure_Unit.name"))
        if unit != "MWH":
            raise XmlInvalid(f"a price per {unit!r}")
        for period in _children(series, "Period"):
            for start_ms, end_ms, price in _steps(period, "price.amount"):
                point = PricePoint(start_ms, end_ms, price / KWH_PER_MWH, currency)
                made.setdefault(start_ms, point)
    return [made[start_ms] for start_ms in sorted(made)]


def _auction(series: ElementTree.Element) -> int:
    """Place of a series' auction; 1 where it names none."""
    name = "classificationSequence_AttributeInstanceComponent.position"
    place = next(_children(series, name), None)
    return 1 if place is None else round(_number(place))


def _document(content: bytes, expected: str) -> ElementTree.Element:
    """The root, without series where the platform acknowledges that it has none."""
    root = _parse(content)
    name = _local(root.tag)
    if name == "Acknowledgement_MarketDocument":
        _expect_no_data(root)
    elif name != expected:
        raise XmlInvalid(f"a {name} and no {expected}")
    return root


def _parse(content: bytes) -> ElementTree.Element:
    """Without entities or document types: nothing may be expanded or fetched."""
    if len(content) > MOST_BYTES:
        raise XmlInvalid(f"longer than {MOST_BYTES} bytes")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise XmlInvalid("declares a document type")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise XmlInvalid(f"no XML: {error}") from None


def _expect_no_data(root: ElementTree.Element) -> None:
    reason = _child(root, "Reason")
    code = _text(_child(reason, "code"))
    if code != NO_DATA:
        text = next(_children(reason, "text"), None)
        raise XmlInvalid(f"reason {code}: {text.text if text is not None else 'none given'}")


def _steps(period: ElementTree.Element, value: str) -> Iterator[tuple[int, int, float]]:
    """(start_ms, end_ms, value) of each position."""
    interval = _child(period, "timeInterval")
    start_ms, end_ms = _time(_child(interval, "start")), _time(_child(interval, "end"))
    resolution = _text(_child(period, "resolution"))
    step_ms = RESOLUTIONS_MS.get(resolution)
    if step_ms is None or end_ms <= start_ms:
        raise XmlInvalid(f"a period of resolution {resolution!r}")
    values = {
        _number(_child(point, "position")): _number(_child(point, value))
        for point in _children(period, "Point")
    }
    held: float | None = None
    for position in range(1, (end_ms - start_ms) // step_ms + 1):
        held = values.get(position, held)
        if held is not None:
            at_ms = start_ms + (position - 1) * step_ms
            yield at_ms, at_ms + step_ms, held


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _children(parent: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in parent if _local(child.tag) == name)


def _child(parent: ElementTree.Element, name: str) -> ElementTree.Element:
    found = next(_children(parent, name), None)
    if found is None:
        raise XmlInvalid(f"a {_local(parent.tag)} without {name}")
    return found


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


def _number(element: ElementTree.Element) -> float:
    try:
        return float(_text(element))
    except ValueError:
        raise XmlInvalid(f"{_local(element.tag)} is {_text(element)!r}") from None


def _time(element: ElementTree.Element) -> int:
    try:
        return round(datetime.fromisoformat(_text(element)).timestamp() * 1000)
    except ValueError:
        raise XmlInvalid(f"{_text(element)!r} is no time") from None
