"""Reads exporters in place, where there is no Prometheus to send their metrics on.

[[target]]                                  # the file that CARBON_SCRAPE names
url = "http://gpu-01:9400/metrics"
every_s = 30
labels = { node = "gpu-01" }                # where the exporter states none of that name
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import msgspec

from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import CarbonError, InvalidInput
from carbon.imports.exposition import read_exposition
from carbon.imports.harvest import Trouble
from carbon.services.context import Context
from carbon.services.ingest.importing import Importing
from carbon.storage.engine import writing
from carbon.storage.leases import take

log = logging.getLogger("carbon.imports")

_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 64 << 20
_AT_ONCE: Final = 8
_SCOPES: Final = frozenset({Scope.ENERGY_IMPORT, Scope.UNITS_WRITE, Scope.ALL_TEAMS})


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    every_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0
    labels: dict[str, str] = {}


class ScrapeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: list[Target]


def read_targets(path: Path) -> list[Target]:
    """Raises InvalidInput(`scrape_invalid`)."""
    try:
        targets = msgspec.toml.decode(path.read_bytes(), type=ScrapeFile).target
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("scrape_invalid", f"the targets of {path}: {error}") from None
    for target in targets:
        if urlsplit(target.url).scheme not in ("http", "https"):
            raise InvalidInput("scrape_invalid", f"{path}: {target.url!r} is no address")
    return targets


class Scraping:
    """A thread that reads each target at its pace; of all servers on one store, one does."""

    def __init__(
        self,
        context: Context,
        importing: Importing,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._context = context
        self._importing = importing
        self._targets = self._read_targets()
        self._principal = Principal("scrape", "scrape", context.settings.team, _SCOPES)
        self._holder = uuid4().hex
        self._http = httpx2.Client(timeout=_TIMEOUT_S, transport=transport)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraping", daemon=True)

    def _read_targets(self) -> list[Target]:
        """A file that cannot be read keeps no service from starting: it is told."""
        path = self._context.settings.scrape
        if path is None:
            return []
        try:
            return read_targets(path)
        except InvalidInput as fault:
            log.warning("nothing is scraped: %s", fault.detail)
            self._tell(str(path), fault)
            return []

    def start(self) -> None:
        if self._targets:
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._targets:
            self._thread.join(timeout=1.0)
        self._http.close()

    def _run(self) -> None:
        due = dict.fromkeys(self._targets_by_url(), 0.0)
        targets = self._targets_by_url()
        with ThreadPoolExecutor(_AT_ONCE, "scrape") as pool:
            while not self._stop.is_set():
                now_s = time.monotonic()
                for url in [url for url, at_s in due.items() if at_s <= now_s]:
                    due[url] = now_s + targets[url].every_s
                    pool.submit(self.scrape, targets[url])
                self._stop.wait(max(0.1, min(due.values()) - time.monotonic()))

    def _targets_by_url(self) -> dict[str, Target]:
        return {target.url: target for target in self._targets}

    def scrape(self, target: Target) -> None:
        """Once; what goes wrong is told in data quality."""
        try:
            if self._is_ours(target):
                self._read(target)
        except (CarbonError, httpx2.HTTPError) as error:
            self._tell(target.url, error)
        except Exception:
            log.exception("cannot scrape %s", target.url)

    def _is_ours(self, target: Target) -> bool:
        with writing(self._context.engine) as connection:
            now_ms = self._context.clock.now_ms()
            ttl_ms = round(target.every_s * 1500)
            return (
                take(connection, f"scrape/{target.url}", self._holder, now_ms, ttl_ms) is not None
            )

    def _read(self, target: Target) -> None:
        mapping = self._importing.mapping
        answer = self._http.get(target.url, headers={"Accept": "text/plain;version=0.0.4"})
        answer.raise_for_status()
        if len(answer.content) > _MOST_BYTES:
            raise InvalidInput("no_exposition", f"{len(answer.content)} bytes are too many")
        parts = urlsplit(target.url)
        labels = {"instance": parts.netloc, "job": parts.hostname or "", **target.labels}
        now_ms = self._context.clock.now_ms()
        series = read_exposition(answer.text, now_ms, labels, mapping.speaks_of)
        body = answer.content + str(now_ms).encode()
        self._importing.submit(self._principal, "scrape", series, body).result(timeout=60)

    def _tell(self, about: str, error: Exception) -> None:
        code = error.code if isinstance(error, CarbonError) else "scrape_failed"
        now_ms = self._context.clock.now_ms()
        trouble = Trouble(code, about[:200], str(error)[:1000], now_ms, now_ms)
        self._importing.report("scrape", [trouble])
