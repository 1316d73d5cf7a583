"""How long to wait after a failure: doubled each time, with jitter, so that many agents do not
come back in step."""

from __future__ import annotations

import random

from msgspec import Struct, field


class Backoff(Struct):
    first_s: float = 1.0
    longest_s: float = 60.0
    _random: random.Random = field(default_factory=random.Random)
    _failures: int = 0

    def failed(self, asked_s: float | None = None) -> float:
        """Seconds to wait; never less than the server asked for (Retry-After)."""
        ceiling_s = min(self.longest_s, self.first_s * 2 ** min(self._failures, 16))
        self._failures += 1
        wait_s = max(self.first_s, self._random.uniform(ceiling_s / 2, ceiling_s))
        return max(wait_s, asked_s or 0.0)

    def succeeded(self) -> None:
        self._failures = 0
