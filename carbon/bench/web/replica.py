"""A process that serves a ledger and does nothing else: nothing polls, rolls up or plans, so that
what it uses of a core is what its viewers cost. `python -m carbon.bench.web.replica FOLDER PORT`"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from carbon.app import create_app, open_context
from carbon.settings import Settings


def main(folder: str, port: str) -> None:
    context = open_context(Settings(data_dir=Path(folder), timezone="UTC", feeds=False))
    app = create_app(context, background=False)
    uvicorn.run(app, port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
