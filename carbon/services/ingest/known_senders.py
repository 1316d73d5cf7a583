"""What committed batches told of their senders, so that the next one asks nobody."""

from __future__ import annotations

from collections import defaultdict

from carbon.services.ingest.sent_columns import WhoText

#: Names; beyond, all is asked anew.
_MOST = 200_000


class KnownSenders:
    """Ids by what a sender calls them. Only what a commit has made true stands here."""

    def __init__(self) -> None:
        self._devices: dict[int, dict[str, int]] = defaultdict(dict)
        self._meters: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._subjects: dict[str, dict[WhoText, int]] = defaultdict(dict)
        self._count = 0

    def devices(self, source_id: int) -> dict[str, int]:
        """The devices that a source may write for."""
        return self._devices[source_id]

    def meters(self, source_id: int) -> dict[str, tuple[int, int]]:
        """The ids of each device that a source has read, and of its meter of it."""
        return self._meters[source_id]

    def subjects(self, team: str) -> dict[WhoText, int]:
        """By what a team's keys call them; such alone whose claim need not be looked at again."""
        return self._subjects[team]

    def learn(
        self,
        source_id: int,
        devices: dict[str, int],
        meters: dict[str, tuple[int, int]],
        team: str,
        subjects: dict[WhoText, int],
    ) -> None:
        self._count += len(devices) + len(meters) + len(subjects)
        if self._count > _MOST:
            self._count = 0
            for known in (self._devices, self._meters, self._subjects):
                known.clear()
        self._devices[source_id].update(devices)
        self._meters[source_id].update(meters)
        self._subjects[team].update(subjects)
