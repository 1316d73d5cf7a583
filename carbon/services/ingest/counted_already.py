"""What an import tells and the ledger knows from nearer by: refused, so that it counts once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from carbon.domain.claims import SubjectKind
from carbon.domain.units import QUARTER_MS, floor_to
from carbon.services.ingest.column_sending import ColumnSending, Mask
from carbon.storage import metered
from carbon.storage.identities import Identities
from carbon.storage.interval_columns import Ints
from carbon.storage.trackers import tracked_among


def refuse_counted(
    ids: Identities, sending: ColumnSending, source_id: int, devices: Mapping[str, int]
) -> None:
    """`run_metered`: a run that a tracker or any other source told; `host_metered`: the sum of a
    host whose own devices were read within the same quarter-hours."""
    _refuse_runs(ids, sending, source_id)
    _refuse_sums(ids, sending, devices)


def _refuse_runs(ids: Identities, sending: ColumnSending, source_id: int) -> None:
    runs = {
        at: who.subject.key
        for at, who in sending.whos.items()
        if who.subject.kind is SubjectKind.RUN
    }
    if not runs:
        return
    connection = ids.connection
    keys = sorted(set(runs.values()))
    told = tracked_among(connection, keys) | metered.runs_told(connection, keys, source_id)
    known = {at for at, key in runs.items() if key in told}
    if not known:
        return
    sent = sending.accepted

    def detail(at: int) -> str:
        run = sent.whos[sent.who[at]][1]
        return f"the run {run} was metered as it ran: what is imported of it counts no second time"

    sending.refuse(np.isin(sent.who, list(known)), "run_metered", detail)


def _refuse_sums(ids: Identities, sending: ColumnSending, devices: Mapping[str, int]) -> None:
    sums = {info.device for info in sending.batch.devices if info.is_sum and info.device in devices}
    sent = sending.accepted
    if not sums or not len(sent):
        return
    window = (floor_to(int(sent.start_ms.min()), QUARTER_MS), int(sent.end_ms.max()))
    refused = np.zeros(len(sent), dtype=bool)
    for place, uuid in enumerate(sent.devices):
        if uuid in sums:
            parts = metered.parts_of(ids.connection, devices[uuid])
            read = np.array(metered.read_quarters(ids.connection, parts, *window), dtype=np.int64)
            refused |= (sent.device == place) & _reaches_into(sent.start_ms, sent.end_ms, read)

    def detail(at: int) -> str:
        device = sent.devices[sent.device[at]]
        return f"{device} is the sum of a host whose own devices are metered at that time"

    sending.refuse(refused, "host_metered", detail)


def _reaches_into(start_ms: Ints, end_ms: Ints, quarters: Ints) -> Mask:
    """Whether each span shares time with any of the quarter-hours, given by their starts."""
    first = np.searchsorted(quarters, start_ms - QUARTER_MS, side="right")
    return first < np.searchsorted(quarters, end_ms, side="left")
