"""Options that take one word of a few."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from carbon.errors import InvalidInput

Word = TypeVar("Word", bound=StrEnum)


def choice(kind: type[Word], text: str, option: str) -> Word:
    """Raises InvalidInput(`invalid_choice`), which names the words."""
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidInput("invalid_choice", f"{option} is one of {known}") from None
