"""Styles, scripts and images: read once, named by their content, cached for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import Request, Response

from carbon.bundled import bundled
from carbon.errors import NotFound

_FOLDERS: Final = ("styles", "scripts", "images", "vendor")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    compressed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    #: Hash over all files: one name for one set, so that they may import each other.
    version: str
    by_path: dict[str, Asset]

    def url(self, path: str) -> str:
        """Raises KeyError for a file that is not there: a template's mistake."""
        self.by_path[path]
        return f"/static/{self.version}/{path}"


@cache
def assets() -> Assets:
    root = bundled("dashboards") / "web"
    found = {
        path.relative_to(root).as_posix(): _read(path)
        for folder in _FOLDERS
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in _TYPES
    }
    digest = hashlib.sha256()
    for name, asset in sorted(found.items()):
        digest.update(name.encode() + b"\0" + asset.content)
    return Assets(digest.hexdigest()[:16], found)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, gzip.compress(content, 9, mtime=0), _TYPES[path.suffix])


def asset_response(request: Request, version: str, path: str) -> Response:
    """Raises NotFound for another version too: its content would be cached under a wrong name."""
    known = assets()
    asset = known.by_path.get(path) if version == known.version else None
    if asset is None:
        raise NotFound("unknown_file", "there is no such file; load the page again")
    headers = {
        "Cache-Control": _FOR_EVER,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, media_type=asset.media_type, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)
