"""Whose a subject is: claims as corrections leave them, merged workloads resolved."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection

from carbon.domain.claims import Claim
from carbon.storage.corrections import final, merges, undone
from carbon.storage.names import stated_claims


def claims_of(
    connection: Connection, subject_ids: Collection[int], gone: frozenset[int] | None = None
) -> dict[int, list[Claim]]:
    """The claims that hold. `gone` are the corrections to take as undone, by default those that
    are."""
    gone = undone(connection) if gone is None else gone
    into = merges(connection, gone)
    return {
        subject: [
            replace(claim, workload=final(into, claim.workload)) if into else claim
            for claim, correction_id in stated
            if correction_id is None or correction_id not in gone
        ]
        for subject, stated in stated_claims(connection, subject_ids).items()
    }
