"""`carbon …` within this process: what it printed, where, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from carbon.cli import main


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Of the one line that `--json` prints."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    def failed(self, code: int) -> str:
        """The one line on stderr that an error is."""
        assert (self.code, self.out) == (code, ""), (self.out, self.err)
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1, self.err
        return self.err

    def misused(self) -> str:
        """What typer says of arguments that cannot be meant."""
        assert (self.code, self.out) == (2, ""), (self.out, self.err)
        assert "Traceback" not in self.err
        return self.err


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    capfd.readouterr()
    code: Any = 0
    try:
        main(list(arguments))
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    return Ended(int(code or 0), out, err)
