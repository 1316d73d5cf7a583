"""Options that take one word of a few, and those that take NAME=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from carbon.domain.intensity import EmissionScope, Signal
from carbon.errors import InvalidInput

#: Which of a zone's series an intensity command asks for.
SignalOption = Annotated[str, typer.Option("--signal", help="average or marginal.")]
ScopeOption = Annotated[
    str | None,
    typer.Option("--scope", help="lifecycle or direct; by default the zone's best source decides."),
]

Word = TypeVar("Word", bound=StrEnum)


def choice(kind: type[Word], text: str, option: str) -> Word:
    """Raises InvalidInput(`invalid_choice`), which names the words."""
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidInput("invalid_choice", f"{option} is one of {known}") from None


def series_query(signal: str, scope: str | None) -> dict[str, str]:
    """The query of a series. Raises InvalidInput(`invalid_choice`)."""
    query = {"signal": str(choice(Signal, signal, "--signal"))}
    if scope is not None:
        query["scope"] = str(choice(EmissionScope, scope, "--scope"))
    return query


def pairs_of(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """Raises InvalidInput(`invalid_pair`)."""
    pairs = [text.partition("=") for text in texts or ()]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise InvalidInput("invalid_pair", f"--{option} {name!r}: write it as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def scalar(text: str) -> str | float:
    """A number where it reads as one."""
    try:
        return float(text)
    except ValueError:
        return text
