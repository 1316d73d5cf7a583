"""Senders that keep sending, as agents do, while a service is killed, restarted or full."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from carbon.bench.serving import Service
from carbon.clock import SystemClock
from carbon.domain.units import MS_PER_DAY, floor_to

ROWS = 50
#: What a sender can send in a minute must not reach into the future: from ten days ago on it has
#: room for 17 000 batches.
STEP_MS, _FROM_DAYS = 2_000, 10


@dataclass
class Sender:
    """One source: sends its batches in order and goes on only when one is acknowledged."""

    name: str
    bodies: list[bytes] = field(default_factory=list)
    acknowledged: int = 0
    #: (status, code, Retry-After) of each refusal.
    refusals: list[tuple[int, str, str | None]] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Batches that may have arrived."""
        return len(self.bodies)

    def body(self, seq: int) -> bytes:
        while len(self.bodies) <= seq:
            self.bodies.append(_batch(self.name, len(self.bodies)))
        return self.bodies[seq]

    def work(self, url: str, key: str, stop: threading.Event) -> None:
        """Until told to stop, or the service hangs up."""
        with client(url, key) as http:
            while not stop.is_set():
                try:
                    answer = post(http, self.body(self.acknowledged))
                except httpx2.TransportError:
                    return
                if answer.status_code == 202:
                    self.acknowledged += 1
                    continue
                told = answer.json()
                retry_after = answer.headers.get("retry-after")
                self.refusals.append((answer.status_code, told["code"], retry_after))
                stop.wait(0.05)


def _batch(source: str, seq: int) -> bytes:
    first_ms = floor_to(SystemClock().now_ms(), MS_PER_DAY) - _FROM_DAYS * MS_PER_DAY
    first_ms += seq * ROWS * STEP_MS // 2
    intervals = [
        {
            "device": f"{source}-{n % 2}",
            "workload": "w",
            "start_ms": first_ms + n // 2 * STEP_MS,
            "end_ms": first_ms + (n // 2 + 1) * STEP_MS,
            "energy_mj": 1_000_000 + 1_000 * seq + n,
            "method": "counter",
        }
        for n in range(ROWS)
    ]
    return msgspec.json.encode(
        {"source": source, "boot_id": "b", "seq": seq, "intervals": intervals}
    )


def energy_of(bodies: Iterable[bytes]) -> int:
    return sum(
        row["energy_mj"] for body in bodies for row in msgspec.json.decode(body)["intervals"]
    )


def client(url: str, key: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return httpx2.Client(base_url=url, headers=headers, timeout=30)


def post(http: httpx2.Client, body: bytes) -> httpx2.Response:
    return http.post("/v1/energy", content=body)


class Load:
    """Senders at work, each on a thread, until the block ends."""

    def __init__(self, services: Sequence[Service], senders: Sequence[Sender]) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=sender.work,
                args=(services[n % len(services)].url, services[n % len(services)].key, self._stop),
            )
            for n, sender in enumerate(senders)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def wait_a_while(rng: random.Random, longest_s: float = 0.4) -> None:
    time.sleep(rng.uniform(0.02, longest_s))


def send_all_again(service: Service, senders: Sequence[Sender]) -> dict[str, int]:
    """Every batch once more; what was acknowledged must be known, all of it."""
    sums = {"accepted": 0, "duplicate": 0, "conflict": 0}
    with client(service.url, service.key) as http:
        for sender in senders:
            for seq in range(sender.sent):
                answer = post(http, sender.body(seq))
                assert answer.status_code == 202, answer.text
                told: dict[str, Any] = answer.json()
                assert told["rejected"] == []
                if seq < sender.acknowledged:
                    assert (told["accepted"], told["duplicate"]) == (0, ROWS), (sender.name, seq)
                for name in sums:
                    sums[name] += told[name]
                sender.acknowledged = max(sender.acknowledged, seq + 1)
    return sums
