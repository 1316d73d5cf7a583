"""A workload: `burn.py SECONDS EXIT_CODE`. It waits and ends; SIGTERM ends it with 7 and a word."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType


def asked(_number: int, _frame: FrameType | None) -> None:
    print("asked to end", flush=True)
    sys.exit(7)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, asked)
    print("burning", flush=True)
    time.sleep(float(sys.argv[1]))
    print("burnt", file=sys.stderr, flush=True)
    sys.exit(int(sys.argv[2]))
