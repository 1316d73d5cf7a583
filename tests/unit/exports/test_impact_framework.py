"""Manifests of the Impact Framework: what ours give in the real one, and what theirs hide."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_report_exports import issued, line

from carbon.errors import InvalidInput
from carbon.exports.impact_framework import write
from carbon.exports.issued import components
from carbon.imports.impact_framework import Trap, read_manifest

SCI = {"sci": {"method": "Sci", "path": "builtin", "config": {"functional-unit": "token"}}}
ROW = {"timestamp": "2026-03-01T00:00:00Z", "duration": 3600, "token": 100}


def manifest(*rows: dict[str, Any], plugins: dict[str, Any] | None = None, **tree: Any) -> bytes:
    used = {**SCI, **(plugins or {})}
    leaf = {"pipeline": {"compute": list(used)}, "inputs": [{**ROW, **row} for row in rows]}
    told = {
        "name": "m",
        "initialize": {"plugins": used},
        "tree": {"children": {"a": leaf}, **tree},
    }
    return yaml.safe_dump(told).encode()


def exact_sci(made: Any) -> float:
    total_ng = sum(part.total_ng for part in components(made))
    return total_ng / 1e9 / float(made.answer.count)


def test_our_own_manifest_is_read_back_with_the_same_score() -> None:
    made = line()
    read = read_manifest(write(issued(made)).encode())
    assert read.traps == ()
    assert read.unit == made.answer.unit
    assert read.calculation.sci_g_per_unit == pytest.approx(exact_sci(made), rel=1e-12)


@pytest.mark.slow
def test_the_real_framework_computes_the_same_score(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are absent: the Impact Framework cannot run")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "@grnsft/if@1.1.0"]
    done = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"@grnsft/if cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    made = line()
    (tmp_path / "m.yml").write_text(write(issued(made)), "utf-8")
    run = [str(tmp_path / "node_modules" / ".bin" / "if-run"), "-m", "m.yml", "-o", "out"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = (tmp_path / "out.yaml").read_bytes()
    aggregated = yaml.safe_load(ran)["tree"]["aggregated"]
    assert aggregated["sci"] == pytest.approx(exact_sci(made), rel=1e-9)
    read = read_manifest(ran)
    assert read.stated_sci == pytest.approx(read.calculation.sci_g_per_unit, rel=1e-9)
    assert read.traps == ()


def test_a_score_over_several_steps_is_the_ratio_of_sums() -> None:
    text = manifest(
        {"carbon-operational": 100, "carbon-embodied": 0, "token": 1_000},
        {"carbon-operational": 90, "carbon-embodied": 0, "token": 10},
        aggregated={"sci": (100 / 1_000 + 90 / 10) / 2},
    )
    read = read_manifest(text)
    assert read.calculation.sci_g_per_unit == pytest.approx(190 / 1_010)
    assert [one.trap for one in read.traps] == [Trap.MEAN_OF_RATIOS, Trap.DIFFERENT_FIGURE]


EMBODIED = {"embodied": {"method": "SciEmbodied", "path": "builtin"}}
SYNC = {"sync": {"method": "TimeSync", "path": "builtin", "config": {"interval": 5}}}


@pytest.mark.parametrize(
    ("row", "plugins", "trap"),
    [
        ({"carbon-operational": 1, "token": 0}, {}, Trap.ZERO_UNITS),
        ({"carbon-operational": 1, "memory": 16}, EMBODIED, Trap.MEMORY_IN_KILOGRAMS),
        (
            {
                "carbon-operational": 1,
                "device/emissions-embodied": 1_000,
                "device/expected-lifespan": 7_200,
            },
            EMBODIED,
            Trap.IGNORED_INPUTS,
        ),
        ({"carbon-operational": 1}, SYNC, Trap.COPIED_BY_TIME_SYNC),
        (
            {"carbon-operational": 1, "vcpus-allocated": 2, "vcpus-total": 8},
            {},
            Trap.SHARE_OF_ENERGY_ALONE,
        ),
    ],
)
def test_a_known_trap_is_flagged(row: dict[str, Any], plugins: dict[str, Any], trap: Trap) -> None:
    assert trap in [one.trap for one in read_manifest(manifest(row, plugins=plugins)).traps]


def test_no_units_give_no_score() -> None:
    read = read_manifest(manifest({"carbon-operational": 5, "token": 0}))
    assert read.calculation.sci_g_per_unit is None


def test_old_embodied_inputs_count_by_their_share_of_a_life() -> None:
    row = {"device/emissions-embodied": 1_000, "device/expected-lifespan": 7_200}
    read = read_manifest(manifest({"carbon-operational": 0, **row}))
    assert read.calculation.embodied_g == pytest.approx(500)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", "not_a_manifest"),
        (b"name: x", "not_a_manifest"),
        (manifest({"energy": 1}), "missing_intensity"),
        (manifest({"carbon-operational": "much"}), "not_a_number"),
        (manifest({"energy": -1, "grid/carbon-intensity": 1}), "negative_value"),
    ],
)
def test_what_is_no_manifest_is_one_clear_error(text: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_manifest(text)
    assert refused.value.code == code


def test_a_report_of_several_units_is_no_manifest() -> None:
    with pytest.raises(InvalidInput, match="one functional unit"):
        write(issued(line(), line(workload="default/other")))
