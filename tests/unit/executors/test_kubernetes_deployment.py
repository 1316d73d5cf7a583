"""What deploy/kubernetes ships: objects that the schemas take, and a script that fails open."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

SHIPPED = Path(__file__).parents[3] / "deploy" / "kubernetes" / "release.yaml"


def objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(SHIPPED.read_text()))


def test_every_object_is_one_of_the_published_schemas() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="pip install '.[kubernetes-tests]'")
    for thing in objects():
        schemas.validate(thing, "1.33", strict=True)


def test_carbon_may_let_jobs_go_and_nothing_else_of_note() -> None:
    (role,) = [thing for thing in objects() if thing["kind"] == "ClusterRole"]
    assert [rule["resources"] for rule in role["rules"]] == [["jobs"], ["pods"]]
    assert role["rules"][1]["verbs"] == ["list"]


def test_jobs_go_at_their_latest_start_and_where_none_is_told(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    (script,) = [t["data"]["release.sh"] for t in objects() if t["kind"] == "ConfigMap"]
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nif [ "$1" = get ]; then cat {tmp_path}/jobs; '
        f'else echo "$3 $5" >> {tmp_path}/gone; fi\n'
    )
    kubectl.chmod(0o755)
    (tmp_path / "jobs").write_text(
        "ml past 2020-01-01T00:00:00Z\nml ahead 2999-01-01T00:00:00Z\nml untold \n"
        "ml odd 2999-01-01T00:00:00+01:00\n"
    )
    subprocess.run(
        [bash, "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=30
    )
    assert (tmp_path / "gone").read_text() == "past ml\nuntold ml\nodd ml\n"
