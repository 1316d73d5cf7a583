"""Reads bodies strictly: what cannot be read is 400, what cannot be meant is 422."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, structs

from carbon.errors import InvalidInput, MalformedInput
from carbon.wire.energy import EnergyBatch, EnergyInterval, Rejection, UnitBatch, UnitCount

Body = TypeVar("Body")

#: What the decoder raises for bytes that are no JSON: syntax, encoding, nesting beyond reason.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


#: How a body spells U+0000, which PostgreSQL stores in no text. (Of a spelt-out backslash before
#: it this is a false alarm, which costs a second look.)
_NUL = b"\\u0000"
#: Nearly no body has one, which is told in a thirtieth of the time.
_BACKSLASH = b"\\"


def decode(body: bytes, kind: type[Body]) -> Body:
    """Raises MalformedInput(`malformed_json`) or InvalidInput: `invalid_body`, and `invalid_text`
    for U+0000, on SQLite too, whose ledger would not be carried to PostgreSQL any more."""
    read = _decode(body, kind)
    if _may_hold_nul(body) and (told := _nul_within(msgspec.json.decode(body))):
        raise InvalidInput("invalid_text", told)
    return read


def _may_hold_nul(body: bytes) -> bool:
    return _BACKSLASH in body and _NUL in body


def _nul_within(body: Any) -> str:
    """What is wrong with a text in it that holds U+0000; nothing where none does."""
    left = [("$", body)]
    while left:  # no recursion: a body may be nested as deep as the decoder goes
        place, value = left.pop()
        if isinstance(value, str) and "\0" in value:
            return nul_told(f"`{place}`")
        if isinstance(value, dict):
            if any("\0" in name for name in value):
                return nul_told(f"a name in `{place}`")
            left += [(f"{place}.{name}", part) for name, part in value.items()]
        elif isinstance(value, list):
            left += [(f"{place}[{index}]", part) for index, part in enumerate(value)]
    return ""


def _decode(body: bytes, kind: type[Body]) -> Body:
    """As `decode`, whatever its texts hold."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        _check_readable(body)
        raise InvalidInput("invalid_body", _in_words(error)) from None
    except _UNREADABLE as error:
        raise malformed(error) from None


def _check_readable(body: bytes) -> None:
    """A wrong type is met before the bad syntax behind it, which is the graver fault."""
    try:
        msgspec.json.decode(body)
    except _UNREADABLE as error:
        raise malformed(error) from None


def malformed(error: Exception) -> MalformedInput:
    return MalformedInput("malformed_json", f"the body is not JSON: {error}")


def _in_words(error: Exception) -> str:
    return str(error).replace("Object missing", "missing").replace(" - at `$", " at `$")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch with the items that could be read, where they stood, and what could not."""

    body: Any
    items: list[Any]
    #: Index of each item among those sent.
    positions: range | list[int]
    rejected: list[Rejection]


class _EnergyEnvelope(EnergyBatch, frozen=True, kw_only=True):
    intervals: list[Raw]  # type: ignore[assignment]  # read one by one below


class _UnitEnvelope(Struct, frozen=True):
    units: list[Raw]


def decode_energy(body: bytes) -> Decoded:
    """A POST /v1/energy body. A bad interval does not sink the good ones: where strict decoding
    of the whole fails, the intervals are read one by one and the bad ones rejected by index."""
    return _decode_each(body, EnergyBatch, _EnergyEnvelope, EnergyInterval, "intervals")


def decode_units(body: bytes) -> Decoded:
    return _decode_each(body, UnitBatch, _UnitEnvelope, UnitCount, "units")


def check_storable(batch: Struct) -> None:
    """Raises InvalidInput(`invalid_body`) for U+0000 in what a batch says beside its items."""
    beside = [*getattr(batch, "devices", ()), *getattr(batch, "reservations", ())]
    for told in map(nul_in, [batch, *beside]):
        if told:
            raise InvalidInput("invalid_body", told)


def nul_in(read: Struct) -> str:
    """What is wrong with a text of it that holds U+0000; nothing where none does."""
    for name in read.__struct_fields__:
        value = getattr(read, name)
        if isinstance(value, str) and "\0" in value:
            return nul_told(name)
    return ""


def nul_told(name: str) -> str:
    return f"{name} holds U+0000, which no text may"


def _decode_each(
    body: bytes, whole: type[Any], envelope: type[Any], item: type[Any], field: str
) -> Decoded:
    may_hold_nul = _may_hold_nul(body)
    try:
        batch = msgspec.json.decode(body, type=whole)
        if not may_hold_nul:
            items = getattr(batch, field)
            return Decoded(batch, items, range(len(items)), [])
    except msgspec.ValidationError:
        pass
    except _UNREADABLE as error:
        raise malformed(error) from None
    batch = _decode(body, envelope)
    if may_hold_nul:
        check_storable(batch)
    items, positions, rejected = [], [], []
    for index, raw in enumerate(getattr(batch, field)):
        try:
            read = msgspec.json.decode(raw, type=item)
            if may_hold_nul and (told := nul_in(read)):
                rejected.append(Rejection(index, "invalid_field", told))
                continue
            items.append(read)
            positions.append(index)
        except msgspec.ValidationError as error:
            rejected.append(Rejection(index, _code_of(raw, item), _in_words(error)))
        except _UNREADABLE as error:
            raise malformed(error) from None
    return Decoded(batch, items, positions, rejected)


#: Fields whose negative values get a code of their own, since they are met most often.
_AMOUNTS = {"energy_mj": "negative_energy", "count": "negative_count"}


def _code_of(raw: Raw, item: type[Any]) -> str:
    """`negative_energy`, `missing_field`, else `invalid_field`."""
    try:
        fields = msgspec.json.decode(raw)
    except _UNREADABLE as error:
        raise malformed(error) from None
    if not isinstance(fields, dict):
        return "invalid_field"
    for name, code in _AMOUNTS.items():
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
            return code
    required = {f.name for f in structs.fields(item) if f.required}
    return "missing_field" if required - fields.keys() else "invalid_field"
