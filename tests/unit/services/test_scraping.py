"""Exporters read in place, by the file that CARBON_SCRAPE names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from ledger import ADMIN, Ledger
from sqlalchemy import Engine

from carbon.clock import FakeClock
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.ingest.import_quality import import_quality
from carbon.services.ingest.importing import Importing
from carbon.services.ingest.scraping import Scraping, Target, read_targets

TARGET = Target("http://gpu-01:9400/metrics", labels={"node": "gpu-01"})


class Exporter:
    """A scripted dcgm-exporter."""

    def __init__(self) -> None:
        self.mj = 1_000_000_000
        self.status = 200
        self.text = ""

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._answer)

    def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        labels = 'UUID="GPU-1",exported_namespace="prod",exported_pod="chat-0"'
        text = self.text or (
            "# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION mJ\n"
            "# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n"
            f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}}} {self.mj}\n"
            'DCGM_FI_DEV_SM_CLOCK{UUID="GPU-1"} 1980\n'
        )
        return httpx2.Response(self.status, text=text)


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(memory))
    yield made
    made.close()


def scraping(ledger: Ledger, exporter: Exporter) -> Scraping:
    importing = Importing(ledger.context, ledger.writer, ledger.ingest, ledger.units)
    return Scraping(ledger.context, importing, exporter.transport())


def codes(ledger: Ledger) -> set[tuple[str, str]]:
    answer = import_quality(ledger.context, 0, ledger.context.clock.now_ms() + 1)
    return {(line.source, line.code) for line in answer.troubles}


def test_an_exporter_read_twice_is_energy(ledger: Ledger, clock: FakeClock) -> None:
    exporter = Exporter()
    reader = scraping(ledger, exporter)
    reader.scrape(TARGET)
    clock.advance(30.0)
    exporter.mj += 9_000_000
    reader.scrape(TARGET)
    assert ledger.sci("prod/chat", ADMIN).energy_mj == 9_000_000
    assert codes(ledger) == set()


def test_of_two_servers_on_one_store_one_reads(ledger: Ledger, clock: FakeClock) -> None:
    exporter = Exporter()
    one, other = scraping(ledger, exporter), scraping(ledger, exporter)
    for _ in range(3):
        one.scrape(TARGET)
        other.scrape(TARGET)
        clock.advance(30.0)
        exporter.mj += 9_000_000
    assert ledger.sci("prod/chat", ADMIN).energy_mj == 18_000_000


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (503, "", "scrape_failed"),
        (200, "DCGM_FI_DEV_POWER_USAGE{UUID= 3\n", "no_exposition"),
        (200, "DCGM_FI_DEV_ENERGY_TOTAL 3\n", "unmapped_metric"),
    ],
)
def test_what_cannot_be_read_is_told(ledger: Ledger, status: int, text: str, code: str) -> None:
    exporter = Exporter()
    exporter.status, exporter.text = status, text
    scraping(ledger, exporter).scrape(TARGET)
    assert codes(ledger) == {("scrape", code)}


@pytest.mark.parametrize(
    "text",
    [
        "[[target]]\nurl = 'file:///etc/passwd'\n",
        "[[target]]\nurl = 'http://a'\nevery_s = 0\n",
        "x",
    ],
)
def test_targets_that_cannot_be_meant_are_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "scrape.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_targets(file)
    assert caught.value.code == "scrape_invalid"
    assert "\n" not in caught.value.detail
