"""The time range of a screen, as its address says it."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Query

from carbon.services.context import Context
from carbon.services.sci.time_range import TimeRange, time_range


class TimeQuery:
    """`last=7d`, or `start=` and `end=`; resolved inside of the page, where errors are shown."""

    def __init__(
        self,
        last: Annotated[str | None, Query(max_length=20)] = None,
        start: Annotated[str | None, Query(max_length=40)] = None,
        end: Annotated[str | None, Query(max_length=40)] = None,
    ) -> None:
        self.last, self.start, self.end = last, start, end

    def resolve(self, context: Context) -> TimeRange:
        """Raises InvalidInput as `time_range`."""
        zone = ZoneInfo(context.settings.timezone)
        return time_range(self.last, self.start, self.end, context.clock.now_ms(), zone)


Times = Annotated[TimeQuery, Depends()]
