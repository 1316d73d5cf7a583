"""How far roll-ups are behind what was acknowledged, and how much they give way because of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from carbon.clock import Clock

#: While batches arrive the roll-up rests so many times as long as it worked: whoever sends waits
#: for an answer, a roll-up only falls behind and catches up.
REST: Final = 9.0
LONGEST_REST_S: Final = 1.0
#: So far behind it gives way in full, and so far not at all: then it takes what it needs, and the
#: writer's queue slows those who send.
GIVES_WAY_S, GIVES_NO_WAY_S = 60.0, 600.0


def rest_s(worked_s: float, lag_s: float) -> float:
    """How long to rest after work while batches arrive: less the further roll-ups are behind, so
    that the oldest dirty bucket does not grow old without limit."""
    left = (GIVES_NO_WAY_S - lag_s) / (GIVES_NO_WAY_S - GIVES_WAY_S)
    return min(REST * worked_s, LONGEST_REST_S) * min(max(left, 0.0), 1.0)


class RollUpLag:
    """Time since a moment of which everything is known to be rolled up."""

    #: Who else is to know of that moment.
    tell: Callable[[int | None], None] | None = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._complete_ms: int | None = None

    def began(self) -> int:
        """A turn begins: answers when, for `caught_up`."""
        now_ms = self._clock.now_ms()
        if self._complete_ms is None:
            self.told(now_ms)
        return now_ms

    def caught_up(self, began_ms: int) -> None:
        """What was dirty when a turn began no longer is."""
        self.told(began_ms)

    def given_up(self) -> None:
        """Another replica rolls up from now on."""
        self.told(None)

    def told(self, complete_ms: int | None) -> None:
        """The moment, as it is known here or in the process beside."""
        self._complete_ms = complete_ms
        if self.tell is not None:
            self.tell(complete_ms)

    @property
    def seconds(self) -> float | None:
        """None where another replica rolls up."""
        if self._complete_ms is None:
            return None
        return max(0, self._clock.now_ms() - self._complete_ms) / 1000


_lags: WeakKeyDictionary[Engine, RollUpLag] = WeakKeyDictionary()


def lag_of(engine: Engine, clock: Clock) -> RollUpLag:
    """The one of this process."""
    return _lags.setdefault(engine, RollUpLag(clock))
