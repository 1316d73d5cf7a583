"""A report with all that it rests on, and a verifier that needs only Python: one zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import msgspec

from carbon.exports import report_html
from carbon.exports.issued import Issued
from carbon.wire.factors import FactorAnswer

#: Of every member: the same pack is the same bytes.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ChainEntry:
    id: int
    previous_hash: str
    #: `[at_ms, actor, action, subject, body]`, byte by byte as it was hashed.
    told: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditPack:
    issued: Issued
    #: The JSON that the report's hash in the log covers.
    record: bytes
    report_hash: str
    #: Before the record in its hash, hexadecimal; gone once its team is erased.
    salt: str
    factors: Sequence[FactorAnswer]
    #: `quarter_hours.csv`.
    table: bytes
    #: With the report; else it was read from the ledger of today.
    table_is_kept: bool
    chain: Sequence[ChainEntry]


def write(pack: AuditPack) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _members(pack):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _members(pack: AuditPack) -> Iterator[tuple[str, bytes]]:
    statement = pack.issued.statement
    boundaries = {line.answer.workload: line.answer.boundary for line in statement.lines}
    manifest = {
        "report": pack.issued.report.id,
        "report_hash": pack.report_hash,
        "salt": pack.salt,
        "head": pack.chain[-1].hash if pack.chain else "",
        "table_is_kept": pack.table_is_kept,
        "superseded_by": pack.issued.report.superseded_by,
    }
    yield "README.txt", _README.encode()
    yield "manifest.json", _json(manifest)
    yield "report.html", report_html.write(pack.issued).encode()
    yield "report_record.json", pack.record
    yield "statement.json", bytes(pack.issued.report.statement)
    yield "factors.json", _json(list(pack.factors))
    yield "boundaries.json", _json(boundaries)
    yield "quarter_hours.csv", pack.table
    yield "chain.jsonl", b"".join(msgspec.json.encode(entry) + b"\n" for entry in pack.chain)
    yield "verify.py", Path(__file__).with_name("verifier.py").read_bytes()


def _json(told: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(told, order="sorted")) + b"\n"


_README: Final = """\
One issued SCI report (ISO/IEC 21031:2024) and all that it rests on.

report.html          the report, to read and to print
statement.json       the report's figures, byte by byte as they were issued
report_record.json   what the report's hash in the audit log covers
factors.json         every factor that it used, with source, bounds and licence
boundaries.json      what each workload's figure includes and leaves out, and why
quarter_hours.csv    energy and carbon by device and quarter-hour, in mJ and ng, as the ledger
                     held them when the report was issued
chain.jsonl          the audit log, each entry with the hash of the one before
manifest.json        hashes, and the report that supersedes this one
verify.py            checks all of this: python verify.py

Compare the `head` of manifest.json with a hash that you noted earlier: it must stand in
chain.jsonl. A log cut off at its end is otherwise sound in itself.
"""
