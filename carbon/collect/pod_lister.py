"""`python -m carbon.collect.pod_lister`: writes down who a node's pods are, again and again.

Beside the agent in its DaemonSet, so that the agent itself needs no account of the cluster.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx2

log = logging.getLogger(__name__)

#: What Kubernetes gives each pod's containers.
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API: Final = "https://kubernetes.default.svc"
EVERY_S: Final = 15.0


def list_once(client: httpx2.Client, account: Path, node: str, into: Path) -> bool:
    """False where the cluster does not answer; the file then stays as it was."""
    try:
        # Read each time: the cluster replaces it every hour.
        token = (account / "token").read_text().strip()
        answer = client.get(
            "/api/v1/pods",
            params={"fieldSelector": f"spec.nodeName={node}"},
            headers={"Authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        fresh = into.with_suffix(".new")
        fresh.write_bytes(answer.content)
        fresh.replace(into)
    except (OSError, httpx2.HTTPError) as error:
        log.warning("the node's pods are not listed: %s", error)
        return False
    return True


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--into", type=Path, required=True)
    given = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    authority = str(ACCOUNT / "ca.crt")
    with httpx2.Client(base_url=API, verify=authority, timeout=10.0) as client:
        while True:
            list_once(client, ACCOUNT, given.node, given.into)
            time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
