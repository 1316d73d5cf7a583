"""Every word that the pages say, in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from carbon.bundled import bundled


@cache
def catalogue(language: str = "en") -> Mapping[str, str]:
    path = bundled("dashboards") / "web" / "strings" / f"{language}.json"
    strings: dict[str, str] = json.loads(path.read_text("utf-8"))
    return strings


def say(key: str, /, **values: object) -> str:
    """The string of a key, its blanks filled. Raises KeyError for a key that is not there."""
    return catalogue()[key].format_map(values)


def say_code(group: str, code: str, /, **values: object) -> str:
    """The words for a code of the service, such as a flag; a new code is shown as it is."""
    known = f"{group}.{code}"
    return say(known, **values) if known in catalogue() else code.replace("_", " ")


def strings_of(group: str) -> dict[str, str]:
    """All strings below a group, by the rest of their key: what the scripts are given."""
    prefix = f"{group}."
    return {k.removeprefix(prefix): v for k, v in catalogue().items() if k.startswith(prefix)}
