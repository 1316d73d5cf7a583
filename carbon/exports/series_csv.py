"""Intensity and prices of a zone as CSV: each row with its source, and what that source asks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

INTENSITY_COLUMNS = (
    "start",
    "end",
    "g_per_kwh",
    "kind",
    "signal",
    "scope",
    "source",
    "vintage",
    "flags",
    "attribution",
)
PRICE_COLUMNS = ("start", "end", "per_kwh", "currency", "source", "vintage", "attribution")


def intensity_csv(answer: Mapping[str, Any]) -> str:
    """Of an answer of `GET /v1/intensity/{zone}`; flags with blanks between them."""
    lines = {source["source"]: source["attribution"] for source in answer["sources"]}
    rows = (
        point | {"flags": " ".join(point["flags"]), "attribution": lines.get(point["source"], "")}
        for point in answer["points"]
    )
    return _csv(INTENSITY_COLUMNS, rows)


def prices_csv(answer: Mapping[str, Any]) -> str:
    """Of an answer of `GET /v1/prices/{zone}`."""
    licences = answer["licences"]
    rows = (
        point | {"attribution": licences.get(point["source"], "")} for point in answer["points"]
    )
    return _csv(PRICE_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
