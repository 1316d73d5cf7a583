"""Names, constants and evidence as people read them on the pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from markupsafe import Markup

from carbon.domain.energy import Method
from carbon.web.catalogue import catalogue, say
from carbon.web.figures import rounded

_LINK: Final = re.compile(r"https?://[^\s,;]+")
#: A clock that is nearer than this agrees.
_AGREES_S: Final = 0.05


def sentence(text: str) -> str:
    """Begun with a capital, as a heading is; the rest as it stands (`SCI`, `kWh`)."""
    return text[:1].upper() + text[1:]


def short_model(model: str | None) -> str:
    """A device's model without its maker, who is the same of nearly all."""
    return (model or "").removeprefix("NVIDIA ")


def day_words(ms: int, timezone: str) -> str:
    """`Fri 27 Nov`"""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone)).strftime("%a %d %b")


def weekday(ms: int, timezone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone)).strftime("%a")


def plain(value: float) -> str:
    """A constant as its source writes it: 4, not 4.00."""
    return rounded(value, 3) if value != int(value) else str(int(value))


def measured_share(methods: Mapping[str, float]) -> float:
    """Of energy by method, what sensors back."""
    return min(1.0, sum(share for name, share in methods.items() if Method.of(name).is_measured))


def sourced(text: str) -> Markup:
    """A source with its addresses as links, each named by its host and last part."""
    told = Markup("")
    end = 0
    for found in _LINK.finditer(text):
        told += text[end : found.start()]
        told += Markup('<a href="{}" rel="noreferrer">{}</a>').format(
            found.group(), _short(found.group())
        )
        end = found.end()
    return told + text[end:]


def _short(address: str) -> str:
    parts = urlsplit(address)
    last = parts.path.strip("/").rpartition("/")[2]
    host = parts.netloc.removeprefix("www.")
    return f"{host}/…/{last}" if last else host


def skew(seconds: float) -> str:
    """How far a sender's clock is ahead; one that agrees is neither ahead nor behind."""
    if abs(seconds) < _AGREES_S:
        return "0\N{NO-BREAK SPACE}s"
    sign = "+" if seconds > 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(seconds):.1f}\N{NO-BREAK SPACE}s"


def evidence_words(evidence: Mapping[str, object]) -> str:
    """What a finding rests on, each figure with its unit: `650 idle hours, 46.1 kWh idle`."""
    return ", ".join(_one_of_evidence(name, value) for name, value in evidence.items())


def _one_of_evidence(name: str, value: object) -> str:
    is_share = name.endswith("_share")
    if isinstance(value, float | int):
        told = rounded(100 * value, 2) if is_share else plain(value)
    else:
        told = str(value)
    known = f"evidence.{name}"
    return say(known, value=told) if known in catalogue() else f"{name.replace('_', ' ')} {told}"
