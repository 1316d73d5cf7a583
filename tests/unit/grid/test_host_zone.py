"""Where a machine stands: as told, by its cloud, by its clock, or nowhere in particular."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.yearly import ZONE_NAMES, country_of
from carbon.grid import cloud_regions
from carbon.grid.cloud_metadata import cloud_provider, cloud_zone
from carbon.grid.cloud_regions import region_zone
from carbon.grid.host_zone import HostZone, ZoneOrigin, host_zone
from carbon.grid.timezones import system_timezone, timezone_country


def no_cloud() -> None:
    return None


@given(st.text(max_size=30))
def test_any_time_zone_gives_a_zone_with_a_figure(name: str) -> None:
    assert host_zone(None, no_cloud, lambda: name).zone in ZONE_NAMES


def test_what_is_told_goes_before_all() -> None:
    told = host_zone("de", lambda: ("SE", "aws eu-north-1"), lambda: "Asia/Tokyo")
    assert told == HostZone("DE", ZoneOrigin.EXPLICIT)
    assert told.flags == ()


def test_a_cloud_region_goes_before_the_clock() -> None:
    placed = host_zone(None, lambda: ("SE", "aws eu-north-1"), lambda: "Etc/UTC")
    assert placed == HostZone("SE", ZoneOrigin.CLOUD, "aws eu-north-1")


def test_the_clock_is_a_guess_and_flagged() -> None:
    guessed = host_zone(" ", no_cloud, lambda: "Europe/Oslo")
    assert guessed == HostZone("NO", ZoneOrigin.TIMEZONE, "Europe/Oslo")
    assert guessed.flags == ("zone_guessed",)


@pytest.mark.parametrize("name", [None, "", "Etc/UTC", "UTC", "CET", "EST", "Nowhere/At_All"])
def test_a_clock_that_names_no_country_is_the_world(name: str | None) -> None:
    assert host_zone(None, no_cloud, lambda: name).zone == "WORLD"


def test_a_country_without_a_figure_is_the_world() -> None:
    assert timezone_country("Europe/Vaduz") == "LI"
    assert host_zone(None, no_cloud, lambda: "Europe/Vaduz").zone == "WORLD"


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("Europe/Berlin", "DE"),
        ("America/Los_Angeles", "US"),
        ("US/Pacific", "US"),
        ("Asia/Calcutta", "IN"),
        ("Europe/Kiev", "UA"),
        ("Japan", "JP"),
    ],
)
def test_present_and_former_names_of_time_zones(name: str, country: str) -> None:
    assert timezone_country(name) == country


def test_the_system_says_its_time_zone_in_one_of_three_places(tmp_path: Path) -> None:
    assert system_timezone({}, tmp_path) is None
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Paris")
    assert timezone_country(system_timezone({}, tmp_path) or "") == "FR"
    (tmp_path / "timezone").write_text("Europe/Rome\n")
    assert system_timezone({}, tmp_path) == "Europe/Rome"
    assert system_timezone({"TZ": ":Europe/Madrid"}, tmp_path) == "Europe/Madrid"


@given(st.sampled_from(sorted(cloud_regions._ZONES.values())))
def test_every_region_stands_in_a_country_with_a_figure(zone: str) -> None:
    assert zone in ZONE_NAMES
    assert country_of(zone) in ZONE_NAMES


def test_regions_that_are_not_in_the_list_are_not_guessed() -> None:
    assert region_zone("aws", "eu-north-1") == "SE"
    assert region_zone("aws", "moon-1") is None
    assert region_zone("gcp", "eu-north-1") is None


class Metadata(BaseHTTPRequestHandler):
    """The three services on one port, as strict about headers as the real ones."""

    def do_PUT(self) -> None:
        wanted = "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
        self._answer("a-token" if wanted else None)

    def do_GET(self) -> None:
        path, headers = self.path.partition("?")[0], self.headers
        if path == "/latest/meta-data/placement/region":
            trusted = headers.get("X-aws-ec2-metadata-token") == "a-token"
            self._answer("eu-north-1" if trusted else None)
        elif path == "/computeMetadata/v1/instance/zone":
            trusted = headers.get("Metadata-Flavor") == "Google"
            self._answer("projects/123/zones/europe-west9-b" if trusted else None)
        elif path == "/metadata/instance/compute/location":
            self._answer("polandcentral" if headers.get("Metadata") == "true" else None)
        else:
            self._answer(None)

    def _answer(self, text: str | None) -> None:
        body = (text or "").encode()
        self.send_response(200 if text else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def metadata_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def machine(folder: Path, vendor: str) -> Path:
    (folder / "sys_vendor").write_text(vendor + "\n")
    return folder


@pytest.mark.parametrize(
    ("vendor", "placed"),
    [
        ("Amazon EC2", ("SE", "aws eu-north-1")),
        ("Google", ("FR", "gcp europe-west9")),
        ("Microsoft Corporation", ("PL", "azure polandcentral")),
    ],
)
def test_each_cloud_is_asked_in_its_own_way(
    metadata_url: str, tmp_path: Path, vendor: str, placed: tuple[str, str]
) -> None:
    assert cloud_zone(metadata_url, machine(tmp_path, vendor)) == placed


def test_a_machine_that_no_cloud_built_asks_nobody(tmp_path: Path) -> None:
    assert cloud_provider(machine(tmp_path, "LENOVO")) is None
    assert cloud_zone("http://127.0.0.1:1", tmp_path) is None
    assert cloud_zone("http://127.0.0.1:1", tmp_path / "absent") is None


def test_a_cloud_without_its_metadata_service_is_no_error(tmp_path: Path) -> None:
    assert cloud_zone("http://127.0.0.1:1", machine(tmp_path, "Amazon EC2")) is None
