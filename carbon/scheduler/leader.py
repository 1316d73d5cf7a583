"""Which process leads: one row in the database, prolonged while its holder lives."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Final

from carbon.services.context import Context
from carbon.storage.engine import writing
from carbon.storage.leases import SCHEDULER, Lease, give_up, take

#: After a leader's death the next one leads so much later, and a tick: SQLite's writers may wait
#: for one another for seconds, PostgreSQL's do not.
TTL_MS: Final = {"sqlite": 6_000, "postgresql": 1_300}


class Leader:
    def __init__(
        self, context: Context, holder: str | None = None, ttl_ms: int | None = None
    ) -> None:
        self._context = context
        self._ttl_ms = ttl_ms or TTL_MS[context.engine.dialect.name]
        self._holder = holder or (f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")
        self._lease: Lease | None = None

    def lease(self) -> Lease | None:
        """The lease, prolonged in time or newly won; None while another process leads.

        Written at a third of its life only, so that an idle leader costs next to nothing.
        """
        now_ms = self._context.clock.now_ms()
        if not self._is_fresh(now_ms):
            with writing(self._context.engine) as connection:
                self._lease = take(connection, SCHEDULER, self._holder, now_ms, self._ttl_ms)
        return self._lease

    def _is_fresh(self, now_ms: int) -> bool:
        """A wall clock set back makes a lease look long; such a one is not fresh either."""
        if self._lease is None:
            return False
        left_ms = self._lease.expires_ms - now_ms
        return 2 * self._ttl_ms / 3 < left_ms <= self._ttl_ms

    def forget(self) -> None:
        """After a write was fenced off: what this process believes of its lease is wrong."""
        self._lease = None

    def resign(self) -> None:
        """Lets the next one lead at once."""
        if self._lease is not None:
            with writing(self._context.engine) as connection:
                give_up(connection, self._lease)
            self._lease = None
