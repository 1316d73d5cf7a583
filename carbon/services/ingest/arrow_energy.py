"""POST /v1/energy as an Arrow IPC stream.

The columns are the fields of an interval (`wire.energy.EnergyInterval`): whole numbers, and text
that may be dictionary-encoded; the fields of the batch stand in the schema's metadata, text as it
is and all else as JSON. Nothing becomes an object for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from carbon.clock import LAST_MS
from carbon.errors import InvalidInput, MalformedInput, UnsupportedMedia
from carbon.services.ingest.arrow_messages import has_compressed_buffers
from carbon.services.ingest.sent_columns import SentBatch, SentColumns, WhoText, distinct_whos
from carbon.storage.interval_columns import Ints
from carbon.wire.decode import check_storable, nul_told
from carbon.wire.energy import EnergyBatch, Rejection

if TYPE_CHECKING:
    import pyarrow as pa  # loaded with the first such batch: a server may never see one

#: Metadata that is text as it stands; the others are JSON.
_TEXTS = frozenset({"source", "boot_id", "host", "zone"})
_FIELDS = {field.name for field in structs.fields(EnergyBatch)} - {"intervals"}
_LONGEST_TEXT = 200
_MOST_MJ = 1 << 53


def decode_arrow(body: bytes) -> SentBatch:
    """Raises MalformedInput(`malformed_arrow`), InvalidInput(`invalid_body`) and
    UnsupportedMedia(`arrow_compression`)."""
    import pyarrow as pa

    if has_compressed_buffers(body):  # their size is not known before they are unpacked
        raise UnsupportedMedia(
            "arrow_compression", "send plain Arrow buffers; Content-Encoding: zstd packs them all"
        )
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise MalformedInput("malformed_arrow", f"the body is no Arrow stream: {first}") from None
    return _read(table.unify_dictionaries().combine_chunks())


def _read(table: pa.Table) -> SentBatch:
    batch = _batch(table.schema.metadata or {})
    faults = _Faults(table.num_rows)
    devices, device = _words(table, "device", faults)
    methods, method = _words(table, "method", faults)
    start_ms = _numbers(table, "start_ms", LAST_MS, faults)
    end_ms = _numbers(table, "end_ms", LAST_MS, faults)
    energy_mj = _numbers(table, "energy_mj", _MOST_MJ, faults)
    whos, who = _whos(table, faults)
    columns = SentColumns(
        devices,
        device,
        methods,
        method,
        whos,
        who,
        start_ms,
        end_ms,
        energy_mj,
        np.arange(table.num_rows),
    )
    return SentBatch(batch, columns.kept(faults.none), list(faults.rejections()))


def _batch(metadata: dict[bytes, bytes]) -> EnergyBatch:
    fields: dict[str, Any] = {"intervals": []}
    for name in _FIELDS:
        said = metadata.get(name.encode())
        if said is None:
            continue
        try:
            fields[name] = said.decode() if name in _TEXTS else msgspec.json.decode(said)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput("invalid_body", f"metadata {name}: {error}") from None
    try:
        batch = msgspec.convert(fields, EnergyBatch)
    except msgspec.ValidationError as error:
        raise InvalidInput("invalid_body", f"metadata of the schema: {error}") from None
    check_storable(batch)
    return batch


class _Faults:
    """What cannot be read of which rows; of a row the first fault is told."""

    def __init__(self, rows: int) -> None:
        self.none = np.ones(rows, dtype=bool)
        self._told: list[tuple[Ints, str, str]] = []

    def add(self, where: NDArray[np.bool_], code: str, detail: str) -> None:
        if not where.any():
            return
        fresh = np.flatnonzero(where & self.none)
        if fresh.size:
            self._told.append((fresh, code, detail))
            self.none[fresh] = False

    def rejections(self) -> Iterator[Rejection]:
        for rows, code, detail in self._told:
            for row in rows.tolist():
                yield Rejection(row, code, detail)


def _column(table: pa.Table, name: str) -> pa.Array:
    """Raises InvalidInput(`invalid_body`) where it is absent."""
    import pyarrow as pa

    at = table.schema.get_all_field_indices(name)
    if len(at) != 1:
        raise InvalidInput("invalid_body", f"the stream needs one column {name!r}")
    chunks = table.column(at[0]).chunks
    return chunks[0] if chunks else pa.array([], table.schema.field(at[0]).type)


def _numbers(table: pa.Table, name: str, most: int, faults: _Faults) -> Ints:
    import pyarrow as pa

    column = _column(table, name)
    if not pa.types.is_integer(column.type):
        raise InvalidInput("invalid_body", f"the column {name!r} holds {column.type}, not integers")
    if column.null_count:
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        faults.add(is_null, "missing_field", f"{name} is missing")
        column = column.fill_null(0)
    values = column.to_numpy()
    if values.size and (values.min() < 0 or values.max() > most):
        code = "negative_energy" if name == "energy_mj" else "invalid_field"
        faults.add(values < 0, code, f"{name} is below 0")
        faults.add(values > most, "invalid_field", f"{name} is above {most}")
    numbers: Ints = values.astype(np.int64)
    return numbers


def _coded(column: pa.Array, name: str) -> tuple[list[str | None], Ints]:
    """The distinct texts, None first where a row has none, and the place of each row's among
    them."""
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return [None], np.zeros(len(column), dtype=np.int64)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode() if _is_text(column.type) else column
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        raise InvalidInput("invalid_body", f"the column {name!r} holds {column.type}, not text")
    texts = column.dictionary.to_pylist()
    if not column.null_count:
        return texts, column.indices.to_numpy().astype(np.int64)
    codes: Ints = column.indices.fill_null(-1).to_numpy().astype(np.int64)
    return [None, *texts], codes + 1


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _words(table: pa.Table, name: str, faults: _Faults) -> tuple[Sequence[str], Ints]:
    texts, codes = _coded(_column(table, name), name)
    if _are_plain(texts):
        return texts, codes
    if None in texts:
        is_missing = np.array([text is None for text in texts], dtype=bool)
        faults.add(is_missing[codes], "missing_field", f"{name} is missing")
    is_bad = np.array(
        [text is not None and not 0 < len(text) <= _LONGEST_TEXT for text in texts], dtype=bool
    )
    told = f"{name} must have 1 to {_LONGEST_TEXT} characters"
    faults.add(is_bad[codes], "invalid_field", told)
    _refuse_nul(name, texts, codes, faults)
    return [text or "" for text in texts], codes


def _are_plain(texts: Sequence[str | None]) -> TypeGuard[Sequence[str]]:
    """Whether nothing is wrong with any of them, told by one look at all."""
    there = [text for text in texts if text]
    if len(there) < len(texts) or not there:
        return False
    return max(map(len, there)) <= _LONGEST_TEXT and "\0" not in "".join(there)


def _refuse_nul(name: str, texts: Sequence[str | None], codes: Ints, faults: _Faults) -> None:
    if not any("\0" in text for text in texts if text):
        return
    has_nul = np.array([text is not None and "\0" in text for text in texts], dtype=bool)
    faults.add(has_nul[codes], "invalid_field", nul_told(name))


def _whos(table: pa.Table, faults: _Faults) -> tuple[Sequence[WhoText], Ints]:
    parts: list[tuple[Sequence[str | None], Ints]] = []
    for name in ("workload", "run", "subject"):
        if name in table.schema.names:
            texts, codes = _coded(_column(table, name), name)
            _refuse_nul(name, texts, codes, faults)
            parts.append((texts, codes))
        else:
            parts.append(([None], np.zeros(table.num_rows, dtype=np.int64)))
    workloads, runs, subjects = parts
    return distinct_whos(workloads, runs, subjects)
