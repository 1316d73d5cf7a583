"""The rows of `report_csv` with types, as one Parquet file."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import Final

from carbon.exports.issued import Issued
from carbon.exports.report_csv import COLUMNS, table

_FLOATS: Final = {
    "count",
    "energy_kwh",
    "reserved_s",
    "g_co2e",
    "low_g_per_unit",
    "high_g_per_unit",
}


def write(issued: Issued) -> bytes:
    # 0.3 s to load, of which a server's start has no need; and it declares no types.
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    rows = list(table(issued))
    arrays = {
        name: pa.array([_typed(name, row.get(name)) for row in rows], _type(pa, name))
        for name in COLUMNS
    }
    out = BytesIO()
    metadata = {"statement_hash": issued.report.statement_hash, "report": issued.report.id}
    pq.write_table(pa.table(arrays).replace_schema_metadata(metadata), out, compression="zstd")
    return out.getvalue()


def _type(pa: object, name: str) -> object:
    kind = "float64" if name in _FLOATS else "int64" if name == "boundary" else "string"
    return getattr(pa, kind)()


def _typed(name: str, value: object) -> object:
    return float(str(value)) if name in _FLOATS and value is not None else value
