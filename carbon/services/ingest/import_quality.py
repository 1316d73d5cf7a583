"""What was wrong with what other tools sent: told by the importers, or seen by their silence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.units import MS_PER_DAY
from carbon.imports.harvest import LIVE
from carbon.services.context import Context
from carbon.storage.engine import reading, writing
from carbon.storage.imports import (
    TroubleRow,
    add_troubles,
    fallen_silent,
    last_heard,
    troubles_between,
)
from carbon.storage.screens import count_conflicts
from carbon.wire.quality import QualityAnswer, TroubleLine, TroublesBody

_MOST: Final = 500
#: A device that was not heard of for so long, while others were, has fallen silent ...
_SILENT_MS: Final = 15 * 60_000
#: ... and after so long it is no news.
_FORGOTTEN_MS: Final = 7 * MS_PER_DAY
#: Tracks of single series, which end as pods do.
_ONE_SERIES: Final = re.compile(r"[0-9a-f]{18}")


def import_quality(context: Context, start_ms: int, end_ms: int) -> QualityAnswer:
    with reading(context.engine) as connection:
        return QualityAnswer(
            to_rfc3339(start_ms),
            to_rfc3339(end_ms),
            count_conflicts(connection, start_ms, end_ms),
            troubles_in(connection, start_ms, end_ms),
        )


def troubles_in(connection: Connection, start_ms: int, end_ms: int) -> list[TroubleLine]:
    """Those met within [start, end), the latest first, and what has fallen silent since."""
    met = troubles_between(connection, start_ms, end_ms, _MOST)
    silent = [row for row in _silent(connection) if start_ms <= row.last_ms < end_ms]
    rows = sorted([*met, *silent], key=lambda row: (-row.last_ms, row.source, row.code, row.about))
    return [
        TroubleLine(
            *(row.source, row.code, row.about, row.detail, row.count),
            *(to_rfc3339(row.first_ms), to_rfc3339(row.last_ms)),
        )
        for row in rows[:_MOST]
    ]


def note_troubles(context: Context, body: TroublesBody) -> None:
    """What an importer outside of this process met; told again, it counts again."""
    rows: Sequence[TroubleRow] = [
        TroubleRow(body.source, t.code, t.about, t.detail, t.first_ms, t.last_ms, t.count)
        for t in body.troubles
    ]
    with writing(context.engine) as connection:
        add_troubles(connection, rows)


def _silent(connection: Connection) -> Iterator[TroubleRow]:
    for way in sorted(LIVE):
        newest_ms = last_heard(connection, way)
        if newest_ms is None:
            continue
        since_ms, until_ms = newest_ms - _FORGOTTEN_MS, newest_ms - _SILENT_MS
        for track in fallen_silent(connection, way, since_ms, until_ms, _MOST):
            _, title, about = track.key.split("|", 2)
            if not _ONE_SERIES.fullmatch(about):
                detail = f"nothing came of it by {title} since, while others went on"
                yield TroubleRow(
                    way, "series_silent", about, detail, track.seen_ms, track.seen_ms, 1
                )
