"""The mapping: shipped rules, a site's own, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.errors import InvalidInput
from carbon.imports.mapping import Misread, Placed, load_mapping, preset_names

DCGM = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"


def place(labels: dict[str, str], file: Path | None = None) -> Placed:
    placed = load_mapping(file).place(labels)
    assert isinstance(placed, Placed), placed
    return placed


def written(folder: Path, text: str) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text)
    return path


def test_every_shipped_preset_can_be_read() -> None:
    assert preset_names() == ["dcgm", "kepler", "node", "otel", "tgi", "triton", "vllm"]
    assert {"hw.energy", "vllm:generation_tokens_total", DCGM} <= load_mapping().metrics


def test_a_gpus_energy_is_its_pods_and_the_random_end_of_a_pods_name_is_not_the_workloads() -> None:
    labels = {"__name__": DCGM, "UUID": "GPU-1", "Hostname": "n1", "modelName": "H100"}
    pod = {"exported_namespace": "prod", "exported_pod": "vllm-6d5f7c9b8d-x2x9k"}
    placed = place({**labels, **pod})
    assert (placed.device, placed.host, placed.kind, placed.model) == ("GPU-1", "n1", "gpu", "H100")
    assert placed.workload == "prod/vllm"
    assert placed.subject == "pod:prod/vllm-6d5f7c9b8d-x2x9k"


def test_the_exporters_own_pod_is_nobodys_workload() -> None:
    labels = {
        "__name__": DCGM,
        "UUID": "GPU-1",
        "namespace": "gpu",
        "pod": "nvidia-dcgm-exporter-k2x9q",
    }
    placed = place(labels)
    assert (placed.subject, placed.workload) == (None, None)


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("vllm-6d5f7c9b8d-x2x9k", "vllm"),
        ("db-0", "db"),
        ("daemon-x2x9k", "daemon"),
        ("plain", "plain"),
    ],
)
def test_pods_of_one_owner_are_one_workload(pod: str, owner: str) -> None:
    labels = {"__name__": "vllm:generation_tokens_total", "namespace": "prod", "pod": pod}
    assert place(labels).workload == f"prod/{owner}"


def test_copies_of_a_series_by_two_prometheus_servers_are_one_track() -> None:
    labels = {"__name__": "vllm:generation_tokens_total", "namespace": "prod", "pod": "a"}
    one, two = (place({**labels, "prometheus_replica": name}) for name in ("r1", "r2"))
    assert one.track == two.track


def test_a_missing_label_is_told_with_what_would_do() -> None:
    misread = load_mapping().place({"__name__": DCGM, "instance": "n1:9400"})
    assert isinstance(misread, Misread)
    assert (misread.code, misread.about) == ("label_missing", f"{DCGM} of n1:9400")
    assert "UUID" in misread.detail


def test_a_renamed_metric_is_told_with_the_nearest_rule() -> None:
    misread = load_mapping().place({"__name__": "DCGM_FI_DEV_ENERGY_CONSUMPTION", "UUID": "GPU-1"})
    assert isinstance(misread, Misread)
    assert misread.code == "unmapped_metric"
    assert DCGM in misread.detail


def test_metrics_of_other_things_are_nothing() -> None:
    assert load_mapping().place({"__name__": "up", "instance": "n1"}) is None


OWN = """
[teams]
prod = "search"
[alias]
"search/vllm" = "search/chat-old"
"search/chat-old" = "search/chat"
[[rule]]
name = "psu"
metric = "psu_wh_total"
kind = "energy"
unit = "Wh"
device = "{rack}/psu"
where = { phase = "total" }
"""


def test_a_sites_own_rules_teams_and_names(tmp_path: Path) -> None:
    file = written(tmp_path, OWN)
    assert (
        place({"__name__": "psu_wh_total", "rack": "r1", "phase": "total"}, file).device == "r1/psu"
    )
    assert (
        load_mapping(file).place({"__name__": "psu_wh_total", "rack": "r1", "phase": "a"}) is None
    )
    tokens = {"__name__": "vllm:generation_tokens_total", "namespace": "prod", "pod": "vllm-0"}
    assert place(tokens, file).workload == "search/chat"


RULE = '[[rule]]\nname = "x"\nmetric = "m"\nkind = "energy"\nunit = "J"\ndevice = "{d}"\n'


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ('[alias]\n"a/b" = "a/c"\n"a/c" = "a/b"\n', "mapping_loops", "a/b = a/c = a/b"),
        ('[alias]\n"a/b" = "a/b"\n', "mapping_loops", "a/b = a/b"),
        ('presets = ["nope"]', "mapping_invalid", "nope"),
        ("no toml", "mapping_invalid", "mapping.toml"),
        (RULE.replace('"J"', '"mWh"'), "mapping_invalid", "mWh"),
        (RULE.replace('"{d}"', "[]"), "mapping_invalid", "device"),
        (RULE + 'reset = "wrap"\n', "mapping_invalid", "wraps_at"),
        (RULE + 'where = { a = "(" }\n', "mapping_invalid", "'x'"),
        (RULE + 'method = "guess"\n', "mapping_invalid", "guess"),
        (RULE + 'subject = "planet:{d}"\n', "mapping_invalid", "planet"),
        (RULE + "speed = 1\n", "mapping_invalid", "speed"),
        (RULE.replace('"energy"', '"units"'), "mapping_invalid", "workload"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_one_line(
    tmp_path: Path, text: str, code: str, told: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_mapping(written(tmp_path, text))
    assert caught.value.code == code
    assert told in caught.value.detail
    assert "\n" not in caught.value.detail


def test_a_mapping_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_mapping(tmp_path / "none.toml")
    assert caught.value.code == "mapping_unreadable"
