"""Reads a page as a test wants it: the numbers it shows, and where they stand in its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any


@dataclass
class Number:
    path: str
    value: float
    text: str = ""
    unit: str = ""


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.numbers: list[Number] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._into = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append((tag, known))
        if tag == "data":
            self.numbers.append(Number(known["data-path"] or "", float(known["value"] or "nan")))
            self._into = "number"
        elif tag == "span" and known.get("class") == "unit":
            self._into = "unit"
        else:
            self._into = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._into = ""

    def handle_data(self, text: str) -> None:
        if self._into == "number":
            self.numbers[-1].text += text
        elif self._into == "unit":
            self.numbers[-1].unit += text.strip("\N{NARROW NO-BREAK SPACE} ")
        if self._into not in ("script", "style"):
            self.text += text


def at_path(answer: Any, path: str) -> Any:
    for step in path.split("."):
        answer = answer[int(step)] if isinstance(answer, list) else answer[step]
    return answer
