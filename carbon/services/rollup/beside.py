"""A process that computes for another one, so that the two work at once: in one process Python
would let but one of them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from sqlalchemy import Engine

from carbon.errors import Unavailable
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class Beside(Generic[Asked, Answer]):
    """Calls `work(engine, settings, …)` there, for a database that others can open, and answers in
    the order in which it was asked. It ends with this process, however that ends."""

    def __init__(
        self, context: Context, work: Callable[Concatenate[Engine, Settings, Asked], Answer]
    ) -> None:
        url = context.engine.url.render_as_string(hide_password=False)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt is for this process, which ends that one
        )
        self._tell((work, url, context.settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._process.communicate()

    def kill(self) -> None:
        self._process.kill()

    def ask(self, *asked: Asked.args, **named: Asked.kwargs) -> None:
        self._tell((asked, named))

    def answer(self) -> Answer:
        """Raises what the other process raised, and Unavailable(`process_ended`)."""
        assert self._process.stdout is not None
        try:
            error, answer = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError) as error:
            raise Unavailable("process_ended", "the process that computes ended") from error
        if error is not None:
            raise error
        made: Answer = answer
        return made

    def _tell(self, what: Any) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Unavailable("process_ended", "the process that computes ended") from error


def main() -> None:
    """Computes what it is asked for on its input, until that ends."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    work, url, settings = pickle.load(asked)
    engine = create_engine(url)
    while True:
        try:
            some, named = pickle.load(asked)
        except EOFError:
            return
        try:
            answer: tuple[Exception | None, object] = None, work(engine, settings, *some, **named)
        except Exception as error:
            answer = error, None
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main()
