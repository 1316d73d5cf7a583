"""How quickly an agent is up to date again once its server is back."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from carbon.bench.agent.outage import serving
from carbon.bench.figure import Figure, Options, at_least
from carbon.clock import SystemClock
from carbon.collect.server_address import ServerAddress
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb
from carbon.collect.upload import Uploader
from carbon.wire.energy import EnergyBatch, EnergyInterval

_PERIOD_MS = 10_000
_GPUS, _SUBJECTS = 8, 6


def catch_up(options: Options) -> list[Figure]:
    """Periods of a node of eight GPUs, one batch each, from a spool on disk over a socket to a
    server that answers at once."""
    periods = 100 if options.quick else 1_000
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as name, serving() as (_, url):
        spool = Spool(SpoolDb(Path(name) / "spool.db"))
        first_ms = clock.now_ms() - periods * _PERIOD_MS
        for number in range(periods):
            spool.append_energy(_period(first_ms + number * _PERIOD_MS))
        uploader = Uploader(spool, lambda: ServerAddress(url, "k"), clock)
        started = time.perf_counter()
        is_done = uploader.deliver_pending()
        took_s = time.perf_counter() - started
        spool.db.close()
    times = periods * _PERIOD_MS / 1000 / took_s if is_done else 0.0
    note = f"{periods} periods of {_GPUS} GPUs with {_SUBJECTS} subjects each in {took_s:.1f} s"
    return [at_least("catching up after an outage", times, "x real time", 1_000, note)]


def _period(start_ms: int) -> EnergyBatch:
    intervals = [
        EnergyInterval(
            f"GPU-{gpu}", start_ms, start_ms + _PERIOD_MS, 500_000 + gpu, "counter", subject=f"s{n}"
        )
        for gpu in range(_GPUS)
        for n in range(_SUBJECTS)
    ]
    return EnergyBatch("agent-bench", "boot", 0, intervals)
