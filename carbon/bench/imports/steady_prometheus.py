"""A Prometheus of many GPUs, fast enough not to be what is measured: a process of its own.

`python steady_prometheus.py PORT GPUS`
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

DCGM: Final = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
#: mJ between two readings of 30 s, by how many of them have passed: never the same twice.
_STEP_S: Final = 30


def answer(query: str, start_s: int, end_s: int, gpus: int) -> bytes:
    """A query_range over readings that lie `gpu % 30` seconds and some ms before each step."""
    first = -(-start_s // _STEP_S)
    steps = range(first, end_s // _STEP_S + 1)
    rows = []
    for gpu in range(gpus):
        labels = f'"UUID":"GPU-{gpu:08x}","Hostname":"n{gpu // 8}"'
        if query.startswith("timestamp("):
            late = gpu % _STEP_S + 0.125
            values = ",".join([f'[{n * _STEP_S},"{n * _STEP_S - late}"]' for n in steps])
        elif query == DCGM:
            mj = 9_000_000 + gpu * 1_000
            values = ",".join([f'[{n * _STEP_S},"{n * mj + n % 7 * 1_000}"]' for n in steps])
        else:
            continue
        rows.append(f'{{"metric":{{{labels}}},"values":[{values}]}}')
    data = f'{{"resultType":"matrix","result":[{",".join(rows)}]}}'
    return f'{{"status":"success","data":{data}}}'.encode()


def serve(port: int, gpus: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            if self.path.startswith("/api/v1/label"):
                body = f'{{"status":"success","data":["{DCGM}"]}}'.encode()
            else:
                start_s, end_s = (int(float(asked[name][0])) for name in ("start", "end"))
                body = answer(asked["query"][0], start_s, end_s, gpus)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
