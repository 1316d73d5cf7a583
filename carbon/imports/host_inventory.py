"""Hosts as other inventories list them: a CSV file, Slurm's nodes, Kubernetes' nodes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from carbon.errors import InvalidInput
from carbon.grid.cloud_regions import region_zone

Host = dict[str, Any]

#: Columns of a CSV file, as `POST /v1/hosts` names them.
COLUMNS: Final = (
    "name",
    "site",
    "zone",
    "pue",
    "owner",
    "region",
    "server",
    "gpus",
    "commissioned",
    "retired",
    "valid_from",
    "trackers",
)
_MOMENTS: Final = ("commissioned", "retired", "valid_from")
#: What `spec.providerID` begins with, and whose regions these are.
_PROVIDERS: Final = {"aws": "aws", "gce": "gcp", "azure": "azure"}
_REGION: Final = "topology.kubernetes.io/region"
_ZONE: Final = "topology.kubernetes.io/zone"


def hosts_from_csv(text: str) -> list[Host]:
    """A heading, then one host a line; addresses of `trackers` stand apart by blanks.

    Raises InvalidInput (`column_missing`, `unknown_column`, `invalid_host`) with the line.
    """
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    heading = [name.strip() for name in rows.fieldnames or []]
    if "name" not in heading:
        raise InvalidInput("column_missing", f"a heading with `name`; known: {', '.join(COLUMNS)}")
    unknown = [name for name in heading if name not in COLUMNS]
    if unknown:
        raise InvalidInput(
            "unknown_column", f"column {unknown[0]!r}; known are {', '.join(COLUMNS)}"
        )
    return [_from_row(line, row) for line, row in enumerate(rows, 2)]


def _moment(line: int, column: str, text: str) -> str:
    """A date is its first moment, UTC. All lines are read before any host is stored."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return f"{text}T00:00:00Z"
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(
            "invalid_host",
            f"line {line}: {column} {text!r} is neither a date such as 2026-01-31 nor RFC 3339 "
            "with an offset",
        )
    return text


def _from_row(line: int, row: Mapping[str, Any]) -> Host:
    found: Host = {
        key.strip(): value.strip()
        for key, value in row.items()
        if isinstance(value, str) and value.strip()
    }
    if "name" not in found or None in row:
        raise InvalidInput("invalid_host", f"line {line}: a name, and no more cells than columns")
    for key in _MOMENTS:
        if key in found:
            found[key] = _moment(line, key, found[key])
    if "pue" in found:
        try:
            found["pue"] = float(found["pue"])
        except ValueError:
            raise InvalidInput(
                "invalid_host", f"line {line}: PUE {found['pue']!r} is no number"
            ) from None
    if "gpus" in found:
        if not found["gpus"].isascii() or not found["gpus"].isdigit():
            raise InvalidInput(
                "invalid_host", f"line {line}: {found['gpus']!r} is no number of GPUs"
            )
        found["gpus"] = int(found["gpus"])
    if "trackers" in found:
        found["trackers"] = found["trackers"].split()
    return found


def hosts_from_slurm(text: str) -> list[Host]:
    """Of `scontrol show nodes`, as text or with `--json`: the names that jobs run on.

    Raises InvalidInput(`no_hosts`).
    """
    if text.lstrip().startswith("{"):
        nodes = _json(text).get("nodes", [])
        names = [node.get("hostname") or node.get("name") for node in nodes]
    else:
        names = [
            (re.search(r"\bNodeHostName=(\S+)", block) or re.search(r"\bNodeName=(\S+)", block))
            for block in re.split(r"(?m)^(?=NodeName=)", text)
        ]
        names = [match[1] for match in names if match]
    return _some([{"name": name} for name in names if name], "scontrol show nodes")


def hosts_from_kubernetes(text: str) -> list[Host]:
    """Of `kubectl get nodes -o json`: names, when they were made, and where the cloud says that
    they stand. Raises InvalidInput(`no_hosts`)."""
    return _some([_from_node(node) for node in _json(text).get("items", [])], "kubectl get nodes")


def _from_node(node: dict[str, Any]) -> Host:
    meta = node.get("metadata", {})
    labels = meta.get("labels", {})
    provider = str(node.get("spec", {}).get("providerID", "")).partition(":")[0]
    found = {
        "name": labels.get("kubernetes.io/hostname") or meta.get("name"),
        "site": labels.get(_ZONE) or labels.get(_REGION),
        "commissioned": meta.get("creationTimestamp"),
        "zone": region_zone(_PROVIDERS.get(provider, provider), labels.get(_REGION, "")),
    }
    return {key: value for key, value in found.items() if value}


def _json(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput("malformed_json", f"the inventory is not JSON: {error}") from None


def _some(hosts: list[Host], command: str) -> list[Host]:
    if not hosts:
        raise InvalidInput("no_hosts", f"no node found: is this what `{command}` prints?")
    return hosts
