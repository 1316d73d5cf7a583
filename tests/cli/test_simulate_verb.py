"""`carbon simulate`: the keys of the contract, and what it says of bad files."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ended

Carbon = Callable[..., Ended]
CONTRACT_KEYS = [
    *("policy", "jobs", "carbon_g", "agnostic_g", "normalised", "oracle_g", "share_of_oracle"),
    *("late_jobs", "late_core_h", "mean_delay_h", "p95_delay_h", "seconds"),
]
POLICIES = [
    *("agnostic", "lowest-slot", "lowest-window", "carbon-time", "ecovisor", "oracle"),
    *("oracle-interruptible", "carbon", "carbon-interruptible"),
]


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """Forty jobs of an hour or five over two days."""
    rng = random.Random(3)
    rows = [f"{rng.randrange(48 * 3600)},{rng.choice([3_600, 18_000])},2" for _ in range(40)]
    rows.sort(key=lambda row: int(row.split(",")[0]))
    path = tmp_path / "jobs.csv"
    path.write_text("\n".join(["arrival_time,length,cpus", *rows]) + "\n")
    return path


@pytest.fixture
def intensity(tmp_path: Path) -> Path:
    """Two weeks with a clean noon."""
    rows = [f"{400 - 30 * min(h % 24, 24 - h % 24)},{300}" for h in range(14 * 24)]
    path = tmp_path / "intensity.csv"
    path.write_text("\n".join(["DE,FR", *rows]) + "\n")
    return path


def replayed(carbon: Carbon, jobs: Path, intensity: Path, *others: object) -> Ended:
    files = ("--jobs", jobs, "--intensity", intensity)
    return carbon("simulate", *files, "--zone", "DE", *others, "--json")


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_prints_the_keys_of_the_contract(
    carbon: Carbon, jobs: Path, intensity: Path, policy: str
) -> None:
    result = replayed(carbon, jobs, intensity, "--policy", policy).json
    assert list(result) == CONTRACT_KEYS
    assert (result["policy"], result["jobs"]) == (policy, 40)
    assert result["normalised"] == pytest.approx(result["carbon_g"] / result["agnostic_g"])
    assert result["oracle_g"] <= result["carbon_g"] + 1e-6


def test_the_oracle_is_the_whole_of_itself_and_nothing_moves_under_agnostic(
    carbon: Carbon, jobs: Path, intensity: Path
) -> None:
    oracle = replayed(carbon, jobs, intensity, "--policy", "oracle").json
    assert oracle["share_of_oracle"] == pytest.approx(1.0)
    assert oracle["carbon_g"] < oracle["agnostic_g"]
    agnostic = replayed(carbon, jobs, intensity, "--policy", "agnostic").json
    assert (agnostic["share_of_oracle"], agnostic["mean_delay_h"]) == (0.0, 0.0)


def test_where_no_hour_is_cleaner_there_is_nothing_to_save(
    carbon: Carbon, jobs: Path, intensity: Path
) -> None:
    flat = ("--zone", "FR", "--policy", "oracle")
    result = carbon("simulate", "--jobs", jobs, "--intensity", intensity, *flat, "--json").json
    assert result["share_of_oracle"] is None
    assert result["normalised"] == pytest.approx(1.0)


def test_hours_and_seconds_are_the_same_jobs(
    carbon: Carbon, tmp_path: Path, intensity: Path
) -> None:
    seconds, hours = tmp_path / "s.csv", tmp_path / "h.csv"
    seconds.write_text("arrival_time,length,cpus\n7200,3600,1\n10800,18000,2\n")
    hours.write_text("arrival_time,length,cpus\n2,1,1\n3,5,2\n")
    in_s = replayed(carbon, seconds, intensity, "--policy", "lowest-window").json
    in_h = replayed(carbon, hours, intensity, "--policy", "lowest-window", "--job-unit", "h").json
    assert in_s | {"seconds": 0} == in_h | {"seconds": 0}


def test_without_json_it_is_a_line_for_each_figure(
    carbon: Carbon, jobs: Path, intensity: Path
) -> None:
    files = ("--jobs", jobs, "--intensity", intensity)
    ended = carbon("simulate", *files, "--zone", "DE", "--policy", "agnostic")
    assert [line.split()[0] for line in ended.out.splitlines()] == CONTRACT_KEYS


@pytest.mark.parametrize(
    "options",
    [
        ("--policy", "greedy"),
        ("--policy", "oracle", "--job-unit", "min"),
        ("--policy", "oracle", "--max-wait", "6"),
        ("--policy", "oracle", "--max-wait", "short:x,long:24"),
        ("--policy", "oracle", "--max-wait", "short:-1,long:24"),
        ("--policy", "oracle", "--max-wait", "short:nan,long:24"),
        ("--policy", "oracle", "--start-hour", "99999"),
        ("--policy", "oracle", "--lengths", "guessed"),
        ("--policy", "oracle", "--forecast", "tomorrow"),
    ],
    ids=" ".join,
)
def test_options_that_cannot_be_meant_end_with_2(
    carbon: Carbon, jobs: Path, intensity: Path, options: tuple[str, ...]
) -> None:
    replayed(carbon, jobs, intensity, *options).failed(2)


GOOD = "arrival_time,length,cpus\n0,3600,1\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("arrival_time,length\n0,3600\n", "cpus"),
        ("", "arrival_time"),
        (GOOD + "x,3600,1\n", "number"),
        (GOOD + "1,,1\n", "number"),
        (GOOD + "1\n", "number"),
        (GOOD + "nan,3600,1\n", ""),
        (GOOD + "1,-5,1\n", ""),
        (GOOD + "1,inf,1\n", ""),
        ("arrival_time,length,cpus\n", ""),
        ("arrival_time,length,cpus\n\xff\xfe,1,1\n", ""),
    ],
)
def test_a_bad_file_of_jobs_ends_with_2_and_names_itself(
    carbon: Carbon, tmp_path: Path, intensity: Path, content: str, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content.encode("latin-1"))
    assert said in replayed(carbon, path, intensity, "--policy", "oracle").failed(2)


def test_a_column_or_file_that_is_not_there_ends_with_2(
    carbon: Carbon, jobs: Path, intensity: Path, tmp_path: Path
) -> None:
    files = ("--jobs", jobs, "--intensity", intensity)
    absent = carbon("simulate", *files, "--zone", "XX", "--policy", "oracle", "--json")
    assert "XX" in absent.failed(2)
    nothing = tmp_path / "nothing.csv"
    assert "nothing.csv" in replayed(carbon, nothing, intensity, "--policy", "oracle").failed(2)
    assert str(tmp_path) in replayed(carbon, tmp_path, intensity, "--policy", "oracle").failed(2)


def test_zero_intensity_is_never_green(carbon: Carbon, jobs: Path, tmp_path: Path) -> None:
    path = tmp_path / "zeros.csv"
    path.write_text("DE\n" + "0\n300\n" * 100)
    replayed(carbon, jobs, path, "--policy", "oracle").failed(2)


def test_the_engine_changes_nothing(carbon: Carbon, jobs: Path, intensity: Path) -> None:
    policy = ("--policy", "carbon")
    plain = replayed(carbon, jobs, intensity, *policy).json
    local = replayed(carbon, jobs, intensity, *policy, "--engine", "local").json
    assert {**plain, "seconds": 0} == {**local, "seconds": 0}


def test_an_engine_that_is_not_there_is_one_line(
    carbon: Carbon, jobs: Path, intensity: Path
) -> None:
    told = replayed(carbon, jobs, intensity, "--policy", "carbon", "--engine", "spark").misused()
    assert "local, ray" in told


def test_ray_gives_the_same_to_the_bit(carbon: Carbon, jobs: Path, intensity: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: it has an environment of its own")
    policy = ("--policy", "carbon-interruptible")
    local = replayed(carbon, jobs, intensity, *policy).json
    ray = replayed(carbon, jobs, intensity, *policy, "--engine", "ray").json
    assert {**local, "seconds": 0} == {**ray, "seconds": 0}


def test_without_ray_its_name_is_a_usage_error(
    carbon: Carbon, jobs: Path, intensity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.cli.engine.find_spec", lambda name: None)
    told = replayed(carbon, jobs, intensity, "--policy", "carbon", "--engine", "ray").misused()
    assert "pip install ray" in told
