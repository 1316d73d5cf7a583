"""Checks an audit pack. Needs Python 3.9 or later and nothing else: python verify.py [FOLDER]

What is checked, in order: the statement is what its hash covers; the audit log is unbroken and
holds this report and its table; the quarter-hour table sums to the statement's parts; the parts
sum to its totals; the embodied parts follow from their factors; the scores are totals over counts.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NG_PER_G = 10**9
KEYS = ("workload", "device", "method", "zone", "source", "signal", "scope", "intensity_kind")
SUMS = ("energy_mj", "covered_ms", "operational_ng")


def faults_of(folder: Path) -> Iterator[str]:
    """What does not hold, in words; nothing where all does."""
    record = (folder / "report_record.json").read_bytes()
    told = json.loads(record)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    statement = json.loads(told["statement"])
    yield from _hashes(folder, record, told, manifest)
    yield from _chain(folder, told["id"], manifest)
    yield from _table(folder, statement, manifest)
    factors = json.loads((folder / "factors.json").read_text("utf-8"))
    known = {factor["id"]: factor for factor in factors}
    for line in statement["lines"]:
        answer = line["answer"]
        for fault in _line(line, known):
            yield f"{answer['workload']} per {answer['unit']}: {fault}"


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _hashes(
    folder: Path, record: bytes, told: dict[str, Any], manifest: dict[str, Any]
) -> Iterator[str]:
    statement = told["statement"].encode("utf-8")
    if (folder / "statement.json").read_bytes() != statement:
        yield "statement.json is not the statement of the record"
    if _sha256(statement) != told["statement_hash"]:
        yield "the statement is not what its hash covers"
    if _sha256(bytes.fromhex(manifest["salt"]) + record) != manifest["report_hash"]:
        yield "the report is not what its hash covers"


def _chain(folder: Path, report_id: str, manifest: dict[str, Any]) -> Iterator[str]:
    previous = "00" * 32
    issued = []
    for text in (folder / "chain.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(text)
        if entry["previous_hash"] != previous:
            yield f"entry {entry['id']} does not follow the one before"
        data = bytes.fromhex(entry["previous_hash"]) + entry["told"].encode("utf-8")
        if hashlib.sha256(data).hexdigest() != entry["hash"]:
            yield f"entry {entry['id']} is not what its hash covers"
        _at, _actor, action, subject, body = json.loads(entry["told"])
        if (action, subject) == ("report.issued", report_id):
            issued.append(json.loads(body))
        previous = entry["hash"]
    if [body["hash"] for body in issued] != [manifest["report_hash"]]:
        yield "the audit log does not hold this report as it stands here"
    table = bytes.fromhex(manifest["salt"]) + (folder / "quarter_hours.csv").read_bytes()
    for body in issued:
        if body.get("table", _sha256(table)) != _sha256(table):
            yield "quarter_hours.csv is not the table that was kept with the report"
    if previous != manifest["head"]:
        yield "the log does not end where the manifest says"


def _table(folder: Path, statement: dict[str, Any], manifest: dict[str, Any]) -> Iterator[str]:
    sums: dict[tuple[str, ...], list[int]] = {}
    with (folder / "quarter_hours.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = tuple(row[name] for name in KEYS)
            so_far = sums.setdefault(key, [0] * len(SUMS))
            for place, name in enumerate(SUMS):
                so_far[place] += int(row[name])
    parts: dict[tuple[str, ...], list[int]] = {}
    for line in statement["lines"]:
        for part in line["operational"]:
            named = {**part, "workload": line["answer"]["workload"]}
            parts[tuple(named[key] for key in KEYS)] = [part[name] for name in SUMS]
    why = "" if manifest["table_is_kept"] else "; it was read later, when the ledger had moved on"
    for key in sorted(set(sums) | set(parts)):
        if sums.get(key, [0] * len(SUMS)) != parts.get(key, [0] * len(SUMS)):
            yield f"quarter_hours.csv does not sum to the part {' '.join(key)}{why}"


def _line(line: dict[str, Any], known: dict[str, Any]) -> Iterator[str]:
    answer = line["answer"]
    operational = sum(part["operational_ng"] for part in line["operational"])
    embodied = sum(part["embodied_ng"] for part in line["embodied"])
    for name, mass in (("operational_g", operational), ("embodied_g", embodied)):
        if mass / NG_PER_G != answer[name]:
            yield f"the parts do not sum to {name}"
    if (operational + embodied) / NG_PER_G != answer["total_g"]:
        yield "the parts do not sum to total_g"
    if sum(part["energy_mj"] for part in line["operational"]) != answer["energy_mj"]:
        yield "the parts do not sum to energy_mj"
    score = answer["sci_g_per_unit"]
    if score is not None:
        exact = (operational + embodied) / (NG_PER_G * answer["count"])
        if not math.isclose(score, exact, rel_tol=1e-12):
            yield "the score is not total over count"
        if not answer["low"] <= score <= answer["high"]:
            yield "the score lies outside of its interval"
    for part in line["embodied"]:
        yield from _embodied(part, known)


def _embodied(part: dict[str, Any], known: dict[str, Any]) -> Iterator[str]:
    for name in ("factor", "lifespan"):
        if part[name] not in known:
            yield f"factors.json does not hold {part[name]}"
    factor = known.get(part["factor"])
    if factor is not None:
        grams = factor["value"] * (1000.0 if factor["unit"] == "kgCO2e" else 1.0)
        if not math.isclose(grams, part["total_g"], rel_tol=1e-12):
            yield f"{part['factor']} is not the footprint that was charged"
    grams, per_grams = float(part["total_g"]).as_integer_ratio()
    time_ms = min(part["reserved_ms"], part["lifespan_ms"])
    shared_by = part.get("shared_by", 1)  # a server, by the devices in it
    charged_ng = grams * NG_PER_G * time_ms // (per_grams * part["lifespan_ms"] * shared_by)
    if part.get("past_life"):  # it has been paid for
        charged_ng = 0
    if charged_ng != part["embodied_ng"]:
        yield f"the embodied part of {part['device']} does not follow from its factor"


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    faults = list(faults_of(folder))
    for fault in faults:
        print("NOT SOUND: " + fault)
    print(f"{len(faults)} faults" if faults else "sound: hashes, log, table, factors, arithmetic")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
