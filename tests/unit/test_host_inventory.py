"""Hosts as other inventories print them."""

from __future__ import annotations

import json

import pytest

from carbon.errors import InvalidInput
from carbon.imports.host_inventory import (
    hosts_from_csv,
    hosts_from_kubernetes,
    hosts_from_slurm,
)

SCONTROL = """NodeName=gpu-a01 Arch=x86_64 CoresPerSocket=32
   CPUAlloc=0 CPUEfctv=64 CPUTot=64 CPULoad=0.02
   NodeAddr=10.0.0.1 NodeHostName=gpu-a01.cluster Version=24.05
   State=IDLE ThreadsPerCore=1

NodeName=gpu-a02 Arch=x86_64 CoresPerSocket=32
   State=DOWN+DRAIN
"""


def test_a_csv_names_what_it_knows() -> None:
    text = "\ufeffname,zone,pue,trackers\nnode1,DE,1.2,10.0.0.1 10.0.0.2\nnode2,,,\n"
    assert hosts_from_csv(text) == [
        {"name": "node1", "zone": "DE", "pue": 1.2, "trackers": ["10.0.0.1", "10.0.0.2"]},
        {"name": "node2"},
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "column_missing"),
        ("host,zone\na,DE\n", "column_missing"),
        ("name,colour\na,blue\n", "unknown_column"),
        ("name,pue\na,good\n", "invalid_host"),
        ("name,pue\n,1.2\n", "invalid_host"),
        ("name\na,b\n", "invalid_host"),
    ],
)
def test_a_csv_that_cannot_be_meant_says_where(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        hosts_from_csv(text)
    assert refused.value.code == code


def test_slurm_names_the_machine_and_not_the_node() -> None:
    assert hosts_from_slurm(SCONTROL) == [{"name": "gpu-a01.cluster"}, {"name": "gpu-a02"}]
    as_json = json.dumps({"nodes": [{"name": "a", "hostname": "a.local"}, {"name": "b"}]})
    assert hosts_from_slurm(as_json) == [{"name": "a.local"}, {"name": "b"}]


def test_a_node_of_a_cloud_brings_the_zone_of_its_region() -> None:
    node = {
        "metadata": {
            "name": "ip-10-0-0-1",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {
                "kubernetes.io/hostname": "node-1",
                "topology.kubernetes.io/region": "eu-central-1",
                "topology.kubernetes.io/zone": "eu-central-1a",
            },
        },
        "spec": {"providerID": "aws:///eu-central-1a/i-0123"},
    }
    bare = {"metadata": {"name": "bare"}, "spec": {}}
    assert hosts_from_kubernetes(json.dumps({"items": [node, bare]})) == [
        {
            "name": "node-1",
            "site": "eu-central-1a",
            "commissioned": "2026-01-02T03:04:05Z",
            "zone": "DE",
        },
        {"name": "bare"},
    ]


@pytest.mark.parametrize("text", ["", "No nodes in the system\n", '{"nodes": []}'])
def test_an_inventory_without_hosts_is_an_error(text: str) -> None:
    with pytest.raises(InvalidInput):
        hosts_from_slurm(text)
    with pytest.raises(InvalidInput):
        hosts_from_kubernetes(text or "[")


def test_a_date_is_its_first_moment() -> None:
    [host] = hosts_from_csv("name,commissioned,retired\nn1,2026-01-02,2026-07-01T12:00:00+02:00\n")
    assert host["commissioned"] == "2026-01-02T00:00:00Z"
    assert host["retired"] == "2026-07-01T12:00:00+02:00"


@pytest.mark.parametrize("text", ["spring", "2026-13-01", "2026-01-02T03:04:05", "02.01.2026"])
def test_a_moment_that_cannot_be_meant_is_told_with_its_line_before_any_host_is_stored(
    text: str,
) -> None:
    with pytest.raises(InvalidInput) as caught:
        hosts_from_csv(f"name,valid_from\nn1,2026-01-02\nn2,{text}\n")
    assert caught.value.code == "invalid_host"
    assert caught.value.detail.startswith("line 3: valid_from")
