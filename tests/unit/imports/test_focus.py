"""Cloud bills in the FOCUS format."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from carbon.errors import InvalidInput
from carbon.imports.focus import Machines, read_focus
from carbon.imports.harvest import Harvest
from carbon.imports.instance_power import GPU_W, instance_power
from carbon.wire.energy import EnergyBatch

ROW = {
    "BillingCurrency": "USD",
    "BilledCost": "3.06",
    "ChargePeriodStart": "2026-03-01T08:00:00Z",
    "ChargePeriodEnd": "2026-03-01T09:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ConsumedQuantity": "1",
    "ConsumedUnit": "Hours",
    "ProviderName": "Amazon Web Services",
    "RegionId": "eu-central-1",
    "ResourceId": "i-1",
    "ServiceCategory": "Compute",
    "ServiceName": "EC2",
    "SkuPriceDetails": '{"InstanceType":"p3.2xlarge"}',
    "SubAccountName": "search",
    "CommitmentDiscountStatus": "",
    "Tags": '{"app":"chat"}',
}


def read(*rows: dict[str, Any]) -> tuple[list[EnergyBatch], set[str]]:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROW))
    writer.writeheader()
    writer.writerows({**ROW, **row} for row in rows)
    harvest = Harvest()
    batches = list(read_focus(text.getvalue().splitlines(), harvest))
    return batches, {code for code, _ in harvest.troubles} - {"bill_currency"}


def energy(batches: list[EnergyBatch]) -> int:
    return sum(one.energy_mj for batch in batches for one in batch.intervals)


P3 = instance_power("aws", "p3.2xlarge")
assert P3 is not None
AN_HOUR = round(P3.watts * 3_600_000)


def test_machine_hours_are_estimated_energy_of_the_instance_type() -> None:
    [batch], told = read({})
    [one] = batch.intervals
    assert (one.device, one.workload, one.method) == ("i-1", "search/chat", "estimated")
    assert (batch.zone, batch.is_import, told) == ("DE", True, set())
    assert batch.devices[0].model == "p3.2xlarge"
    assert one.energy_mj == AN_HOUR


def test_hours_split_over_rows_are_one() -> None:
    assert energy(read({"ConsumedQuantity": ".4"}, {"ConsumedQuantity": ".6"})[0]) == AN_HOUR


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"ChargeCategory": "Credit", "ConsumedQuantity": "1"}, "credit_or_correction"),
        ({"ChargeCategory": "Adjustment"}, "credit_or_correction"),
        ({"ChargeClass": "Correction", "ConsumedQuantity": "-1"}, "credit_or_correction"),
        ({"ConsumedQuantity": "-1"}, "implausible_hours"),
        ({"ConsumedQuantity": "9"}, "implausible_hours"),
        ({"CommitmentDiscountStatus": "Unused"}, "unused_commitment"),
        ({"ConsumedUnit": "GB"}, "not_machine_hours"),
        ({"SkuPriceDetails": ""}, "not_machine_hours"),
        ({"SkuPriceDetails": '{"InstanceType":"x9.metal"}'}, "unknown_instance_type"),
        ({"ChargePeriodStart": "March"}, "line_unreadable"),
    ],
)
def test_what_is_no_machines_hours_is_told_and_neither_adds_nor_takes_away(
    row: dict[str, str], code: str
) -> None:
    batches, told = read({}, {"ResourceId": "i-2", **row})
    assert (energy(batches), told) == (AN_HOUR, {code})


def test_a_bill_in_another_currency_has_the_same_energy() -> None:
    assert energy(read({"BillingCurrency": "JPY", "BilledCost": "459"})[0]) == AN_HOUR


@pytest.mark.parametrize("currency", ["EUR", "JPY"])
def test_a_bill_tells_its_currency_whichever_it_is(currency: str) -> None:
    """Of one wholly in another, too: nobody would miss what no line says."""
    harvest = Harvest()
    told = ",".join({**ROW, "BillingCurrency": currency})
    values = io.StringIO()
    csv.DictWriter(values, list(ROW)).writerow({**ROW, "BillingCurrency": currency})
    list(read_focus([told, values.getvalue()], harvest))
    [trouble] = harvest.troubles.values()
    assert (trouble.code, trouble.about) == ("bill_currency", currency)
    assert f"{currency} (1 rows)" in trouble.detail
    assert trouble.last_ms == 1_772_355_600_000


def test_a_bill_in_several_currencies_is_told() -> None:
    batches, told = read({}, {"BillingCurrency": "EUR", "ResourceId": "i-2"})
    assert (energy(batches), told) == (2 * AN_HOUR, {"several_currencies"})


def test_a_bill_priced_in_another_currency_than_it_is_billed_in_is_told() -> None:
    priced = {**ROW, "PricingCurrency": "EUR"}
    harvest = Harvest()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(priced))
    writer.writeheader()
    writer.writerow(priced)
    assert energy(list(read_focus(text.getvalue().splitlines(), harvest))) == AN_HOUR
    [trouble] = harvest.troubles.values()
    assert (trouble.code, "EUR (1 rows)" in trouble.detail) == ("several_currencies", True)


def test_storage_taxes_and_purchases_are_no_machines() -> None:
    others = [
        {"ServiceCategory": "Storage"},
        {"ChargeCategory": "Tax"},
        {"ChargeCategory": "Purchase"},
    ]
    assert read(*others) == ([], set())


def test_another_table_is_refused_in_one_line() -> None:
    with pytest.raises(InvalidInput) as caught:
        list(read_focus(["a,b", "1,2"], Harvest()))
    assert caught.value.code == "column_missing"


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ("aws", "m5.large"),
        ("aws", "c6i.32xlarge"),
        ("aws", "g5.xlarge"),
        ("gcp", "n2-standard-8"),
        ("gcp", "a2-highgpu-1g"),
        ("gcp", "g2-standard-4"),
        ("azure", "Standard_D8s_v5"),
        ("azure", "Standard_ND96asr_v4"),
    ],
)
def test_types_that_a_name_tells(provider: str, kind: str) -> None:
    power = instance_power(provider, kind)
    assert power is not None
    assert 0 < power.low_w < power.watts < power.high_w
    assert power.source


def test_a_gpu_counts_half_of_its_board_power_between_idle_and_all_of_it() -> None:
    """p3.2xlarge by hand: 8 vCPUs of 0.74 to 3.5 W, 32 GB of 0.392 W, a V100 of 300 W."""
    assert P3 is not None
    memory_w = 32 * 0.392
    assert P3.watts == pytest.approx(8 * 2.12 + memory_w + 150)
    assert (P3.low_w, P3.high_w) == pytest.approx(
        (8 * 0.74 + memory_w + 30, 8 * 3.5 + memory_w + 300)
    )
    assert P3.tier == "data_sheet"


@pytest.mark.parametrize("gpu", sorted(GPU_W))
def test_each_gpu_names_where_its_watts_come_from(gpu: str) -> None:
    watts, source = GPU_W[gpu]
    assert 50 <= watts <= 1_000
    assert gpu in source


def test_a_bill_tells_what_power_each_type_was_taken_at() -> None:
    machines = Machines()
    rows = [
        ROW,
        {**ROW, "ResourceId": "i-2"},
        {**ROW, "SkuPriceDetails": '{"InstanceType":"m5.large"}'},
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROW))
    writer.writeheader()
    writer.writerows(rows)
    list(read_focus(text.getvalue().splitlines(), Harvest(), machines=machines))
    told = [(one.provider, one.type, one.hours, one.tier) for one in machines.by_energy()]
    assert told == [
        ("aws", "p3.2xlarge", 2.0, "data_sheet"),
        ("aws", "m5.large", 1.0, "published"),
    ]


def test_larger_sizes_draw_more_and_gpus_more_again() -> None:
    kinds = ("m5.large", "m5.xlarge", "m5.4xlarge", "g5.4xlarge", "p4d.24xlarge", "p5.48xlarge")
    powers = [instance_power("aws", kind) for kind in kinds]
    watts = [power.watts if power else 0.0 for power in powers]
    assert watts == sorted(watts)
    assert watts[0] > 0


@pytest.mark.parametrize("kind", ["", "metal", "m5.metal", "e2-custom", "db.r5"])
def test_types_that_no_name_tells_are_unknown(kind: str) -> None:
    assert instance_power("aws", kind) is None


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ("aws", "g6e.xlarge"),
        ("aws", "p2.xlarge"),
        ("aws", "p5en.48xlarge"),
        ("aws", "inf2.xlarge"),
        ("aws", "trn1.32xlarge"),
        ("gcp", "a3-highgpu-1g"),
        ("gcp", "g4-standard-48"),
        ("azure", "Standard_NC6s_v3"),
        ("azure", "Standard_NV36ads_A10_v5"),
    ],
)
def test_an_accelerator_that_we_do_not_know_is_no_machine_of_its_cpus_alone(
    provider: str, kind: str
) -> None:
    """Such a type was counted with its CPUs, a tenth of what it draws, and nothing said so."""
    assert instance_power(provider, kind) is None


@pytest.mark.parametrize(
    ("provider", "kind", "vcpus", "gpus_w"),
    [
        ("aws", "g6.4xlarge", 16, 72),
        ("aws", "g6.12xlarge", 48, 4 * 72),
        ("aws", "g6.48xlarge", 192, 8 * 72),
        ("gcp", "g2-standard-32", 32, 72),
        ("gcp", "g2-standard-24", 24, 2 * 72),
        ("gcp", "g2-standard-96", 96, 8 * 72),
        ("azure", "Standard_NC96ads_A100_v4", 96, 4 * 300),
        ("azure", "Standard_ND96asr_v4", 96, 8 * 400),
    ],
)
def test_a_machine_counts_all_of_its_boards(
    provider: str, kind: str, vcpus: int, gpus_w: int
) -> None:
    """Between idle and full lie nine tenths of the boards, and some 3 W of each CPU."""
    power = instance_power(provider, kind)
    assert power is not None
    beyond = power.high_w - power.low_w - 0.9 * gpus_w
    assert 2.7 <= beyond / vcpus <= 3.6
