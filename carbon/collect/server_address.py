"""Where the server is: what was said explicitly, else what `carbon up` left in the data folder."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import Struct

FILE_NAME = "server.json"


class ServerAddress(Struct, frozen=True):
    url: str
    key: str | None


def find_server(
    data_dir: Path, url: str | None = None, key: str | None = None, key_name: str = "agent_key"
) -> ServerAddress | None:
    """Read at every attempt, as the server may come back on another port.

    An explicit `url` or `key` overrides the file's; a foreign url never gets the local key.
    `key_name` is `agent_key` or `admin_key`. None where no address is known.
    """
    if url is not None:
        return ServerAddress(url.rstrip("/"), key)
    try:
        local = json.loads((data_dir / FILE_NAME).read_text())
        return ServerAddress(str(local["url"]).rstrip("/"), key or local.get(key_name))
    except (OSError, ValueError, KeyError, TypeError):
        return None
