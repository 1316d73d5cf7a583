"""Cloud bills in the FOCUS format (FinOps Open Cost and Usage Specification) as estimated energy.

Energy follows hours of machines, never money: credits, refunds, taxes, purchases and corrections of
a bill take nothing away and add nothing, and no currency is converted.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec

from carbon.errors import InvalidInput
from carbon.grid.cloud_regions import region_zone
from carbon.imports.harvest import Harvest
from carbon.imports.instance_power import InstancePower, instance_power
from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval

_NEEDED: Final = ("ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "ConsumedQuantity")
_PROVIDERS: Final = (("amazon", "aws"), ("aws", "aws"), ("google", "gcp"), ("microsoft", "azure"))
_TYPE_COLUMNS: Final = (
    "x_InstanceType",
    "x_SkuInstanceType",
    "InstanceType",
    "x_SkuMeterSubcategory",
)
_TYPE_KEYS: Final = ("InstanceType", "x_InstanceType", "instanceType", "MachineType", "machineType")
#: A type's name as some bills write it within a text.
_TYPE_IN_TEXT: Final = re.compile(
    r"\b([a-z][a-z0-9-]*\.(?:\d*xlarge|nano|micro|small|medium|large)"
    r"|[a-z]\w*-(?:standard|highmem|highcpu|highgpu)-\d+g?|Standard_\w+)\b"
)
_HOURS: Final = frozenset({"hours", "hour", "hrs", "instance-hours"})
_UNNAMEABLE: Final = re.compile(r"[^\w.:@+-]+")
_AT_ONCE: Final = 5_000
_CURRENCIES: Final = ("BillingCurrency", "PricingCurrency")

#: Zone, then the account that is the host.
Place = tuple[str | None, str]


class Machine(msgspec.Struct):
    """What a type of a bill was taken to draw, and why."""

    provider: str
    type: str
    hours: float
    watts: float
    low_w: float
    high_w: float
    tier: str
    source: str


class Machines:
    """Types of a bill, as they come."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Machine] = {}

    def add(self, provider: str, kind: str, power: InstancePower, hours: float) -> None:
        known = self._found.get((provider, kind))
        if known is None:
            drawn = (power.watts, power.low_w, power.high_w, power.tier, power.source)
            known = self._found[provider, kind] = Machine(provider, kind, 0.0, *drawn)
        known.hours += hours

    def by_energy(self) -> list[Machine]:
        return sorted(self._found.values(), key=lambda one: -one.hours * one.watts)


def read_focus(
    lines: Iterable[str],
    harvest: Harvest,
    workload_tag: str = "app",
    machines: Machines | None = None,
) -> Iterator[EnergyBatch]:
    """Machine hours of a bill as estimated energy by instance type; what is none is told. Which
    power each type was taken at is noted in `machines`.

    Raises InvalidInput(`column_missing`).
    """
    machines = Machines() if machines is None else machines
    rows = csv.DictReader(lines)
    missing = [name for name in _NEEDED if name not in (rows.fieldnames or [])]
    if missing:
        raise InvalidInput(
            "column_missing", f"no column {missing[0]!r}: this is no bill in the FOCUS format"
        )
    currencies: Counter[str] = Counter()
    last_ms = 0
    summed: dict[tuple[Place, str, int, int, str], int] = defaultdict(int)
    for line, row in enumerate(rows, 2):
        currencies.update({row.get(name) or "" for name in _CURRENCIES} - {""})
        last_ms = max(last_ms, _end_or_0(row))
        try:
            found = _usage(row, harvest, workload_tag, machines)
        except (ValueError, InvalidInput) as error:
            harvest.tell("line_unreadable", f"line {line}", str(error), 0)
            continue
        if found is not None:
            key, energy_mj = found
            summed[key] += energy_mj
    _tell_currencies(currencies, harvest, last_ms)
    yield from _batches(summed)


def _usage(
    row: Mapping[str, str], harvest: Harvest, tag: str, machines: Machines
) -> tuple[tuple[Place, str, int, int, str], int] | None:
    start_ms, end_ms = (_moment(row[name]) for name in _NEEDED[:2])
    category = row["ChargeCategory"]
    account = row.get("SubAccountName") or row.get("SubAccountId") or "cloud"
    if category in ("Credit", "Adjustment") or row.get("ChargeClass") == "Correction":
        harvest.tell("credit_or_correction", account, "rows of money, not of machines", end_ms)
        return None
    if category != "Usage" or row.get("ServiceCategory", "Compute") != "Compute":
        return None
    if row.get("CommitmentDiscountStatus") == "Unused":
        harvest.tell("unused_commitment", account, "paid for and not run", end_ms)
        return None
    kind = _instance_type(row)
    unit = (row.get("ConsumedUnit") or "").lower()
    if kind is None or unit not in _HOURS:
        harvest.tell("not_machine_hours", account, "compute that is no machine's hours", end_ms)
        return None
    hours = float(row["ConsumedQuantity"] or 0)
    provider = _provider(row)
    power = instance_power(provider, kind)
    if power is None:
        harvest.tell("unknown_instance_type", f"{provider} {kind}", "no power is known", end_ms)
        return None
    if not 0 < hours <= 1.01 * (end_ms - start_ms) / 3_600_000 * _machines(row):
        detail = f"{hours:g} h within {(end_ms - start_ms) / 3_600_000:g} h"
        harvest.tell("implausible_hours", f"{account} {kind}", detail, end_ms)
        return None
    region = row.get("RegionId") or ""
    place = (region_zone(provider, region) if region else None, account)
    device = row.get("ResourceId") or f"{account}/{region}/{kind}"
    energy_mj = round(power.watts * hours * 3_600_000)
    machines.add(provider, kind, power, hours)
    return (
        place,
        f"{device}\0{kind}"[:200],
        start_ms,
        end_ms,
        _workload(row, account, tag),
    ), energy_mj


def _machines(row: Mapping[str, str]) -> float:
    """A row with an id is of one machine; one without may sum up many."""
    return 1.0 if row.get("ResourceId") else 100_000.0


def _instance_type(row: Mapping[str, str]) -> str | None:
    for column in _TYPE_COLUMNS:
        if row.get(column):
            return row[column]
    details = _object(row.get("SkuPriceDetails") or row.get("x_SkuDetails") or "")
    for key in _TYPE_KEYS:
        if isinstance(details.get(key), str):
            return str(details[key])
    for column in ("SkuMeter", "ResourceType", "ChargeDescription"):
        if found := _TYPE_IN_TEXT.search(row.get(column) or ""):
            return found[1]
    return None


def _provider(row: Mapping[str, str]) -> str:
    told = (row.get("ServiceProviderName") or row.get("ProviderName") or "").lower()
    return next((ours for theirs, ours in _PROVIDERS if theirs in told), told)


def _workload(row: Mapping[str, str], account: str, tag: str) -> str:
    named = _object(row.get("Tags") or "").get(tag) or row.get("ServiceName") or "compute"
    parts = (_UNNAMEABLE.sub("-", str(part))[:90].strip("-.") for part in (account, named))
    return "/".join(part or "cloud" for part in parts)


def _object(text: str) -> dict[str, object]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _end_or_0(row: Mapping[str, str]) -> int:
    """0 where the row tells none, which is told of it elsewhere."""
    with suppress(ValueError, TypeError):
        return _moment(row["ChargePeriodEnd"])
    return 0


def _moment(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _tell_currencies(currencies: Counter[str], harvest: Harvest, at_ms: int) -> None:
    """Whichever it is: who compares bills sees at once which are in another."""
    told = ", ".join(f"{name} ({rows} rows)" for name, rows in currencies.most_common())
    detail = f"{told}; no money enters a figure, and none was converted"
    code = "several_currencies" if len(currencies) > 1 else "bill_currency"
    if currencies:
        harvest.tell(code, " ".join(sorted(currencies)), detail, at_ms)


def _batches(
    summed: Mapping[tuple[Place, str, int, int, str], int],
) -> Iterator[EnergyBatch]:
    by_place: dict[Place, list[EnergyInterval]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for (place, told, start_ms, end_ms, workload), energy_mj in sorted(summed.items(), key=str):
        device, _, kind = told.partition("\0")
        kinds[device] = kind
        by_place[place].append(
            EnergyInterval(device, start_ms, end_ms, energy_mj, "estimated", workload)
        )
    for n, ((zone, account), intervals) in enumerate(by_place.items()):
        intervals.sort(key=lambda one: (one.start_ms, one.device))
        for first in range(0, len(intervals), _AT_ONCE):
            some = intervals[first : first + _AT_ONCE]
            devices = sorted({one.device for one in some})
            yield EnergyBatch(
                "focus",
                f"{zone}/{account}"[:200],
                some[0].start_ms + n,
                some,
                host=account,
                zone=zone,
                is_import=True,
                devices=[DeviceInfo(device, "server", kinds[device]) for device in devices],
            )
