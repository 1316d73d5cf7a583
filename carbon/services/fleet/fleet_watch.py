"""What changes in a fleet from second to second: read anew is only what may have come."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.energy import Method
from carbon.services.context import Context
from carbon.services.fleet.live_power import AHEAD_MS, WATCHED_MS, read_roster
from carbon.services.fleet.power_columns import (
    POWER_WINDOW_MS,
    SILENT_AFTER_MS,
    Draw,
    Owners,
    Roster,
    draw_of,
)
from carbon.storage.attributed import claims_of
from carbon.storage.engine import reading
from carbon.storage.identities import workload_names
from carbon.storage.interval_columns import END, METER, SUBJECT, Ints, columns_between
from carbon.storage.recent import count_devices

#: A reading is looked for as long after its end; what comes later is found by the next whole look.
_LATE_MS: Final = 12_000
#: Everything is read anew as often, names and claims with it.
_WHOLE_MS: Final = 30_000
_TOP: Final = 10


class TopDevice(Struct, frozen=True):
    device: str
    model: str
    kind: str
    host: str
    power_w: float
    measured_w: float


class Change(Struct, frozen=True):
    """What a viewer is told: the sums, and the devices that changed."""

    at_ms: int
    #: Null where no device was heard of lately.
    power_w: float | None
    measured_w: float
    heard: int
    silent: int
    #: The strongest, strongest first.
    top: list[TopDevice]
    #: (device, W or null where it fell silent, of that measured, method, end of the last reading)
    devices: list[tuple[str, float | None, float, str | None, int | None]]


#: Who sees all teams watches under this name.
EVERYONE: Final = None


@dataclass
class _View:
    """What one team sees of the fleet; everyone's has no owners."""

    owners: Owners | None
    draw: Draw


@dataclass
class FleetWatch:
    """Not to be shared between threads: one looks after the other."""

    context: Context
    _roster: Roster = field(default_factory=lambda: Roster([], {}))
    _rows: Ints = field(default_factory=lambda: np.zeros((6, 0), dtype=np.int64))
    _views: dict[str | None, _View] = field(default_factory=dict)
    _whole_ms: int = -_WHOLE_MS

    def look(self, teams: Collection[str | None]) -> dict[str | None, Change]:
        """What changed for each team since the last look; for a new one, all of it."""
        now_ms = self.context.clock.now_ms()
        with reading(self.context.engine) as connection:
            is_whole = now_ms - self._whole_ms >= _WHOLE_MS or count_devices(connection) != len(
                self._roster
            )
            if is_whole:
                self._read_all(connection, now_ms)
            else:
                self._read_new(connection, now_ms)
            for gone in self._views.keys() - set(teams):
                del self._views[gone]
            changes = {}
            for team in teams:
                known = None if is_whole else self._views.get(team)
                before = self._views.get(team)
                view = known or self._new_view(connection, team, now_ms)
                changed = self._update(view, now_ms) if known else _differing(before, view)
                self._views[team] = view
                changes[team] = self._told(view, changed, now_ms)
        return changes

    def _read_all(self, connection: Connection, now_ms: int) -> None:
        self._roster = read_roster(connection)
        self._rows = columns_between(connection, now_ms - WATCHED_MS, now_ms + AHEAD_MS, None)
        self._whole_ms = now_ms

    def _read_new(self, connection: Connection, now_ms: int) -> None:
        """The newest seconds replace what is known of them; what no figure needs is let go."""
        since_ms = now_ms - _LATE_MS
        fresh = columns_between(connection, since_ms, now_ms + AHEAD_MS, None)
        end = self._rows[END]
        kept = (end <= since_ms) & (end > since_ms - POWER_WINDOW_MS - _LATE_MS)
        self._rows = np.concatenate([self._rows[:, kept], fresh], axis=1)

    def _new_view(self, connection: Connection, team: str | None, now_ms: int) -> _View:
        owners = None
        if team is not EVERYONE:
            own = frozenset(id_ for id_, _ in workload_names(connection, team))
            subjects = set(np.unique(self._rows[SUBJECT]).tolist())
            owners = Owners(claims_of(connection, subjects), own)
        return _View(owners, draw_of(self._roster, self._rows, now_ms, owners))

    def _update(self, view: _View, now_ms: int) -> Ints:
        """Draws anew the devices with newer readings, silences those with old ones; their
        places."""
        draw = view.draw
        places = self._roster.places(self._rows[METER])
        newest = np.zeros(len(self._roster), dtype=np.int64)
        np.maximum.at(newest, places[places >= 0], self._rows[END][places >= 0])
        renewed = newest > draw.seen_ms
        part = draw_of(
            self._roster, self._rows[:, (places >= 0) & renewed[places]], now_ms, view.owners
        )
        for name in ("power_w", "measured_w", "method", "seen_ms"):
            getattr(draw, name)[renewed] = getattr(part, name)[renewed]
        silenced = draw.is_heard & (draw.seen_ms < now_ms - SILENT_AFTER_MS)
        draw.power_w[silenced], draw.measured_w[silenced], draw.method[silenced] = np.nan, 0.0, 0
        return np.flatnonzero(renewed | silenced)

    def _told(self, view: _View, changed: Ints, now_ms: int) -> Change:
        draw = view.draw
        is_shown = draw.is_heard if view.owners is None else draw.power_w > 0
        heard = int(is_shown.sum())
        power_w = np.where(is_shown, draw.power_w, 0.0)
        top = np.argsort(-power_w, kind="stable")[:_TOP].tolist()
        if view.owners is not None:
            changed = changed[is_shown[changed]]
        return Change(
            now_ms,
            float(power_w.sum()) if heard else None,
            float(draw.measured_w[is_shown].sum()),
            heard,
            0 if view.owners is not None else len(self._roster) - heard,
            [self._top(draw, place) for place in top if is_shown[place]],
            self._lines(draw, changed),
        )

    def _top(self, draw: Draw, place: int) -> TopDevice:
        known = self._roster.devices[place]
        power_w, measured_w = float(draw.power_w[place]), float(draw.measured_w[place])
        return TopDevice(known.uuid, known.model, known.kind, known.host, power_w, measured_w)

    def _lines(
        self, draw: Draw, changed: Ints
    ) -> list[tuple[str, float | None, float, str | None, int | None]]:
        """To a tenth of a watt: no page shows more of one device."""
        devices = self._roster.devices
        columns = (
            changed.tolist(),
            np.round(draw.power_w[changed], 1).tolist(),
            np.round(draw.measured_w[changed], 1).tolist(),
            draw.method[changed].tolist(),
            draw.seen_ms[changed].tolist(),
        )
        return [
            (
                devices[place].uuid,
                power_w if method else None,
                measured_w,
                _LABELS[method],
                seen_ms or None,
            )
            for place, power_w, measured_w, method, seen_ms in zip(*columns, strict=True)
        ]


_LABELS: Final = {0: None, **{int(method): method.label for method in Method}}


def _differing(before: _View | None, after: _View) -> Ints:
    """Places that a whole look finds changed; all of them for who looks for the first time."""
    if before is None or len(before.draw.seen_ms) != len(after.draw.seen_ms):
        return np.arange(len(after.draw.seen_ms))
    old, new = before.draw, after.draw
    differs = (old.seen_ms != new.seen_ms) | (old.is_heard != new.is_heard)
    return np.flatnonzero(differs | (np.nan_to_num(old.power_w) != np.nan_to_num(new.power_w)))
