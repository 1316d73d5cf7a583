"""What a key looks like: `ck_<id>_<secret><checksum>`.

The prefix and the checksum let a secret scanner tell a leaked key from noise without asking
anybody, and let the service refuse a mistyped one without a query.
"""

from __future__ import annotations

import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Final

from carbon.errors import Unauthorized

#: 60 random bits name a key; they are no secret.
_ID_LENGTH: Final = 12
_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_SECRET_BYTES: Final = 32
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_LENGTH: Final = 6
_KEY: Final = re.compile(r"ck_([a-z2-7]{12})_([A-Za-z0-9_-]{43})([0-9A-Za-z]{6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyText:
    key_id: str
    #: 43 characters of base64url: 256 random bits. Never printed by accident.
    secret: str

    def __str__(self) -> str:
        body = f"ck_{self.key_id}_{self.secret}"
        return body + checksum(body)

    def __repr__(self) -> str:
        return f"KeyText({self.key_id!r}, …)"

    @classmethod
    def generate(cls) -> KeyText:
        key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        return cls(key_id, secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> KeyText:
        """Raises Unauthorized(`key_malformed`) where form or checksum is wrong."""
        match = _KEY.fullmatch(text)
        if match is None or checksum(text[:-_CHECKSUM_LENGTH]) != match[3]:
            raise Unauthorized(
                "key_malformed", "this is no whole key; copy it again, from ck_ to its last letter"
            )
        return cls(match[1], match[2])


def checksum(text: str) -> str:
    """CRC-32 in six characters of base 62, which hold 35 bits."""
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, 62)
        digits = _BASE62[digit] + digits
    return digits
