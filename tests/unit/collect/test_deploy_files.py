"""The files that bring an agent onto a machine or a cluster, held to what the agent needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from carbon.collect.naming import SiteRules, read_rules

DEPLOY = Path(__file__).parents[3] / "deploy"
if not DEPLOY.is_dir():
    pytest.skip("deploy/ is part of the checkout", allow_module_level=True)


def manifests() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the manifest")
    return list(yaml.safe_load_all((DEPLOY / "daemonset.yaml").read_text("utf-8")))


def kind(name: str) -> dict[str, Any]:
    return next(manifest for manifest in manifests() if manifest["kind"] == name)


def test_the_unit_has_a_user_of_its_own_and_one_capability() -> None:
    unit = (DEPLOY / "carbon-agent.service").read_text("utf-8")
    assert re.search(r"^User=carbon$", unit, re.MULTILINE)
    assert re.search(r"^AmbientCapabilities=CAP_SYS_PTRACE$", unit, re.MULTILINE)
    assert re.search(r"^CapabilityBoundingSet=CAP_SYS_PTRACE$", unit, re.MULTILINE)
    assert "ProtectProc=" not in unit.replace("No PrivateDevices (the GPUs), ProtectProc", "")


def test_the_rule_opens_the_counters_to_the_units_group_alone() -> None:
    rule = (DEPLOY / "99-carbon-rapl.rules").read_text("utf-8")
    assert 'KERNEL=="intel-rapl:*"' in rule
    assert "chgrp carbon" in rule
    assert "g+r" in rule
    assert "a+r" not in rule


def test_the_daemon_set_sees_the_hosts_processes_and_its_counters() -> None:
    pod = kind("DaemonSet")["spec"]["template"]["spec"]
    assert pod["hostPID"] is True
    agent = pod["containers"][0]
    variables = {entry["name"]: entry.get("value") for entry in agent["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in agent["volumeMounts"]}
    assert variables["CARBON_POWERCAP"] == f"{mounts['sys']}/class/powercap"
    assert set(mounts) <= {volume["name"] for volume in pod["volumes"]}
    assert "SYS_PTRACE" in agent["securityContext"]["capabilities"]["add"]
    assert {"CARBON_URL", "CARBON_JOIN", "CARBON_HOSTNAME"} <= set(variables)
    assert variables["CARBON_RULES"] == f"{mounts['rules']}/rules.toml"


def test_its_rules_are_rules_and_its_list_is_where_they_look(tmp_path: Path) -> None:
    text = kind("ConfigMap")["data"]["rules.toml"]
    (tmp_path / "rules.toml").write_text(text)
    rules = read_rules(tmp_path / "rules.toml")
    assert rules != SiteRules()
    lister = kind("DaemonSet")["spec"]["template"]["spec"]["containers"][1]
    assert f"--into={rules.pods.file}" in lister["args"]


def test_its_account_may_list_pods_and_nothing_else() -> None:
    (rule,) = kind("ClusterRole")["rules"]
    assert rule == {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
