"""CodeCarbon's figures by way of our spool: an output handler for its trackers.

    EmissionsTracker(output_handlers=[carbon.client.CodeCarbonOutput("team/model")])

CodeCarbon's own upload forgets what it could not deliver; here each figure is on the disk before
anybody is asked, and is delivered once a server answers, by this process or the next one. Where an
agent of ours measures this machine the run is the agent's to measure: nothing is counted twice.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from carbon.domain.units import MJ_PER_KWH

if TYPE_CHECKING:
    from carbon.client.session import RunSession
    from carbon.collect.host_agent import AgentOptions
    from carbon.collect.spool import Spool
    from carbon.collect.upload import Uploader

log = logging.getLogger(__name__)

#: CodeCarbon's member, the kind of device, and who tells its model.
_PARTS: Final = (
    ("cpu_energy", "cpu", "cpu_model"),
    ("gpu_energy", "gpu", "gpu_model"),
    ("ram_energy", "dram", ""),
)


class CodeCarbonOutput:
    """What CodeCarbon calls a handler; it works with each version that takes `output_handlers`.

    Never raises into the tracker, and waits for a server up to `delivery_s` only as the tracker
    stops. `workload` is by default the tracker's project. Address and key are given, or those of
    CARBON_URL and CARBON_KEY, or of the server on this machine.
    """

    def __init__(
        self,
        workload: str | None = None,
        *,
        data_dir: Path | None = None,
        url: str | None = None,
        key: str | None = None,
        delivery_s: float = 2.0,
    ) -> None:
        from carbon.client.options import local_options

        self._workload = workload
        self._delivery_s = delivery_s
        self._options: AgentOptions = local_options(data_dir, url, key)
        self._run = f"codecarbon-{uuid4().hex[:16]}"
        self._taken = dict.fromkeys((part for part, _, _ in _PARTS), 0)
        self._end_ms: int | None = None
        self._lock = threading.Lock()
        self._session: RunSession | None = self._of_agent()
        self._spool: Spool | None = None
        self._uploader: Uploader | None = None
        atexit.register(self.exit)

    # What a tracker calls

    def live_out(self, total: Any, delta: Any) -> None:
        self._take_safely(total)

    def out(self, total: Any, delta: Any) -> None:
        self._take_safely(total)
        if self._uploader is not None:
            self.deliver(self._delivery_s)

    def task_out(self, data: Any, experiment_name: str) -> None:
        """Tasks are parts of what `out` tells."""

    def deliver(self, timeout_s: float) -> int:
        """Tries for so long to deliver what lies in the spool, also of processes that are gone;
        answers how many batches still wait."""
        self._open()
        assert self._uploader is not None
        return self._uploader.flush(timeout_s)

    def exit(self) -> None:
        """Ends delivery; what is left is delivered by the next process with a handler."""
        session, self._session = self._session, None
        if session is not None:
            session.end()
            session.flush(self._delivery_s)
            session.close()
        uploader, self._uploader = self._uploader, None
        if uploader is not None:
            uploader.stop()

    def _of_agent(self) -> RunSession | None:
        """A run of this machine's agent, where one serves."""
        from carbon.client.agent_link import AgentGone, AgentLink
        from carbon.client.session import RunSession

        try:
            AgentLink(self._options.data_dir).close()
        except AgentGone:
            return None
        session = RunSession(self._options.data_dir, lambda: self._options, self._workload)
        session.start()
        return session

    def _take_safely(self, total: Any) -> None:
        try:
            with self._lock:
                self._take(total)
        except Exception as error:
            log.warning("what CodeCarbon told was not kept: %s", error)

    def _take(self, total: Any) -> None:
        """Spools what the totals have beyond those taken before."""
        if self._session is not None:
            return
        now_ms = time.time_ns() // 1_000_000
        start_ms = self._end_ms
        if start_ms is None:
            self._run = _run_id(total) or self._run
            start_ms = now_ms - round(float(total.duration) * 1000)
        told = {part: _energy_mj(total, part) for part in self._taken}
        new = {part: told[part] - self._taken[part] for part in told}
        if now_ms <= start_ms or not any(mj > 0 for mj in new.values()):
            return
        self._append(total, start_ms, now_ms, new)
        self._taken, self._end_ms = told, now_ms

    def _append(self, total: Any, start_ms: int, end_ms: int, new: dict[str, int]) -> None:
        from carbon.collect.machine import host_name
        from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval

        host = host_name()
        seen = [part for part in _PARTS if new[part[0]] > 0]
        batch = EnergyBatch(
            source=f"codecarbon/{host}",
            boot_id=self._run,
            seq=0,  # its place in the spool
            host=host,
            zone=self._options.zone,
            zone_is_guess=self._options.zone_is_guess,
            devices=[
                DeviceInfo(f"codecarbon:{host}/{kind}", kind, _model(total, model))
                for _, kind, model in seen
            ],
            intervals=[
                EnergyInterval(
                    f"codecarbon:{host}/{kind}",
                    start_ms,
                    end_ms,
                    new[part],
                    "imported",
                    self._workload or str(total.project_name or "codecarbon"),
                    self._run,
                )
                for part, kind, _ in seen
            ],
        )
        self._open().append_energy(batch)
        if self._uploader is not None:
            self._uploader.wake()

    def _open(self) -> Spool:
        if self._spool is None:
            from carbon.clock import SystemClock
            from carbon.collect.server_address import find_server
            from carbon.collect.spool import Spool
            from carbon.collect.spool_db import SpoolDb
            from carbon.collect.upload import Uploader

            folder = self._options.data_dir / "codecarbon"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            options = self._options
            self._spool = Spool(SpoolDb(folder / "spool.db"))
            self._uploader = Uploader(
                self._spool,
                lambda: find_server(options.data_dir, options.url, options.key),
                SystemClock(),
            )
            threading.Thread(target=self._uploader.run, name="codecarbon", daemon=True).start()
        return self._spool


def _run_id(total: Any) -> str | None:
    """The tracker's own: under it the ledger knows what is imported of its file later."""
    told = str(getattr(total, "run_id", None) or "")
    return told if told and told != "None" else None


def _energy_mj(total: Any, part: str) -> int:
    """IT energy: CodeCarbon has multiplied it with the PUE that it tells beside."""
    pue = float(getattr(total, "pue", 1.0) or 1.0)
    return round(float(getattr(total, part, 0.0) or 0.0) / pue * MJ_PER_KWH)


def _model(total: Any, member: str) -> str:
    told = getattr(total, member, "") if member else ""
    return str(told or "").removeprefix("1 x ")[:200]
