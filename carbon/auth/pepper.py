"""The secret that is in the data folder and not in the database.

A copy of the database alone then lets nobody try keys against it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from carbon.errors import CarbonError
from carbon.settings import Settings, make_private_dir

_PEPPER_BYTES = 32


def hash_secret(settings: Settings, text: str) -> bytes:
    """HMAC-SHA256 under the pepper, 32 bytes.

    A fast hash is right here: what is hashed is 256 random bits, which nobody can guess.
    """
    return hmac.digest(read_pepper(settings), text.encode(), hashlib.sha256)


def read_pepper(settings: Settings) -> bytes:
    """Of `<data_dir>/pepper`, which is made on first use.

    Raises CarbonError(`pepper_damaged`): a shorter one would quietly void every key.
    """
    path = settings.data_dir / "pepper"
    try:
        pepper = path.read_bytes()
    except FileNotFoundError:
        pepper = _make_pepper(path)
    if len(pepper) != _PEPPER_BYTES:
        raise CarbonError(
            "pepper_damaged",
            f"{path} is not {_PEPPER_BYTES} bytes long; restore it from a backup, or remove it "
            "and make all keys anew",
        )
    return pepper


def _make_pepper(path: Path) -> bytes:
    """Of two processes that start at once the first wins; both go on with its pepper."""
    make_private_dir(path.parent)
    own = path.with_name(f"pepper.{os.getpid()}.{secrets.token_hex(4)}")
    write_private(own, secrets.token_bytes(_PEPPER_BYTES))
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()
    return path.read_bytes()


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file that only this user can read. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
