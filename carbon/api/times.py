"""Times in queries: RFC 3339 with an offset."""

from __future__ import annotations

from carbon.clock import from_rfc3339
from carbon.errors import InvalidInput


def moment(text: str | None, name: str) -> int | None:
    """Epoch ms, or None where nothing is asked. Raises InvalidInput(`invalid_time`).

    A blank before the offset is read as the `+` that an unescaped query loses.
    """
    if text is None:
        return None
    head, blank, offset = text.rpartition(" ")
    plain = f"{head}+{offset}" if blank and "T" in head else text
    try:
        return from_rfc3339(plain)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "invalid_time", f"{name}: write RFC 3339 with an offset, such as 2026-01-31T08:00:00Z"
        ) from None


def required_moment(text: str, name: str) -> int:
    """As `moment`, of what must be given."""
    found = moment(text, name)
    assert found is not None
    return found
