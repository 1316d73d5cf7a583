"""Where the agent keeps its things below the data folder."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

#: The kernel takes 107 bytes of path for a socket.
_LONGEST_SOCKET_PATH = 100


class AgentDir(Struct, frozen=True):
    data_dir: Path

    @property
    def folder(self) -> Path:
        return self.data_dir / "agent"

    @property
    def spool(self) -> Path:
        return self.folder / "spool.db"

    @property
    def rules(self) -> Path:
        """What the site says of workloads, unless CARBON_RULES names another file."""
        stated = os.environ.get("CARBON_RULES")
        return Path(stated) if stated else self.folder / "rules.toml"

    @property
    def pid_file(self) -> Path:
        return self.folder / "agent.pid"

    def create(self) -> None:
        """Readable by this user alone, as the spool tells who ran what."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def socket(self) -> Path:
        """`agent.sock` in the folder; where that path is too long for a socket, a short one in a
        folder of this user's for temporary files."""
        path = self.folder / "agent.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        import hashlib  # late, as below: most folders have a path short enough

        digest = hashlib.sha256(os.fsencode(self.folder.absolute())).hexdigest()[:16]
        return _runtime_dir() / f"{digest}.sock"


def _runtime_dir() -> Path:
    """Raises PermissionError where somebody else made the folder before us."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(given) / "carbon" if given else _own_temporary_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return folder


def _own_temporary_dir() -> Path:
    import tempfile

    return Path(tempfile.gettempdir()) / f"carbon-{os.getuid()}"
