"""What a key looks like: `ck_<id>_<secret><checksum>`; a join token likewise, from `cj_` on.

The prefix and the checksum let a secret scanner tell a leaked key from noise without asking
anybody, and let the service refuse a mistyped one without a query.
"""

from __future__ import annotations

import re
import secrets
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from carbon.errors import Unauthorized

#: 60 random bits name a key; they are no secret.
_ID_LENGTH: Final = 12
_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_SECRET_BYTES: Final = 32
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_LENGTH: Final = 6
_FORM: Final = re.compile(r"(c[jk])_([a-z2-7]{12})_([A-Za-z0-9_-]{43})([0-9A-Za-z]{6})", re.ASCII)


class Prefix(StrEnum):
    """What a text may be used for, told by its first letters."""

    KEY = "ck"
    JOIN_TOKEN = "cj"


@dataclass(frozen=True, slots=True)
class KeyText:
    key_id: str
    #: 43 characters of base64url: 256 random bits. Never printed by accident.
    secret: str
    prefix: Prefix = Prefix.KEY

    def __str__(self) -> str:
        body = f"{self.prefix}_{self.key_id}_{self.secret}"
        return body + checksum(body)

    def __repr__(self) -> str:
        return f"KeyText({self.key_id!r}, …)"

    @classmethod
    def generate(cls, prefix: Prefix = Prefix.KEY) -> KeyText:
        key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        return cls(key_id, secrets.token_urlsafe(_SECRET_BYTES), prefix)

    @classmethod
    def parse(cls, text: str, prefix: Prefix = Prefix.KEY) -> KeyText:
        """Raises Unauthorized(`key_malformed`, `token_malformed`) where form or checksum is
        wrong."""
        match = _FORM.fullmatch(text)
        whole = match is not None and checksum(text[:-_CHECKSUM_LENGTH]) == match[4]
        if match is None or not whole or match[1] != prefix:
            raise _malformed(prefix)
        return cls(match[2], match[3], prefix)


def _malformed(prefix: Prefix) -> Unauthorized:
    code, what = (
        ("key_malformed", "key") if prefix is Prefix.KEY else ("token_malformed", "join token")
    )
    return Unauthorized(
        code, f"this is no whole {what}; copy it again, from {prefix}_ to its last letter"
    )


def id_within(text: str) -> str:
    """The id, if this is a key: without a look at its form, which costs more than to know it."""
    return text[len(Prefix.KEY) + 1 :][:_ID_LENGTH]


def checksum(text: str) -> str:
    """CRC-32 in six characters of base 62, which hold 35 bits."""
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, 62)
        digits = _BASE62[digit] + digits
    return digits
