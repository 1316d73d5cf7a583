"""A process that reads and prices days for another one, so that the two work at once: in one
process Python would let but one of them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from carbon.errors import Unavailable
from carbon.services.context import Context
from carbon.services.day_prices import DayPrices, day_prices
from carbon.settings import Settings
from carbon.storage.engine import create_engine
from carbon.storage.repricing import Mark


class PricingProcess:
    """Answers in the order in which it was asked. It ends with this process, however that ends."""

    def __init__(self, context: Context) -> None:
        url = context.engine.url.render_as_string(hide_password=False)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt is for this process, which ends that one
        )
        self._tell((url, context.settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, marks: Sequence[Mark], start_ms: int, end_ms: int) -> None:
        self._tell((marks, start_ms, end_ms))

    def answer(self) -> DayPrices:
        """Raises what the other process raised, and Unavailable(`process_ended`)."""
        assert self._process.stdout is not None
        try:
            answer = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError) as error:
            raise Unavailable("process_ended", "the process that prices days ended") from error
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, DayPrices)
        return answer

    def _tell(self, what: Any) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Unavailable("process_ended", "the process that prices days ended") from error


def main() -> None:
    """Prices what it is asked for on its input, until that ends."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    url, settings = pickle.load(asked)
    assert isinstance(settings, Settings)
    engine = create_engine(url)
    while True:
        try:
            marks, start_ms, end_ms = pickle.load(asked)
        except EOFError:
            return
        try:
            answer: object = day_prices(engine, settings, marks, start_ms, end_ms)
        except Exception as error:
            answer = error
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main()
