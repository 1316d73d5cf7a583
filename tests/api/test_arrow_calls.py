"""POST /v1/energy as Arrow IPC, and bodies packed with zstd."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from ledger import interval
from service import HOUR, MINUTE, Service, T, batch, refused

ARROW = "application/vnd.apache.arrow.stream"
HEAD = {"source": "s", "boot_id": "b", "seq": "1"}


def stream(
    rows: list[dict[str, Any]],
    head: dict[str, str] = HEAD,
    types: dict[str, pa.DataType] | None = None,
    compression: str | None = None,
) -> bytes:
    """The rows as columns, with the types that Arrow infers but for those given."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [pa.array([row.get(n) for row in rows], (types or {}).get(n)) for n in names]
    table = pa.table(dict(zip(names, arrays, strict=True))).replace_schema_metadata(head)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def post(client: TestClient, body: bytes, **headers: str) -> Any:
    return client.post("/v1/energy", content=body, headers={"Content-Type": ARROW, **headers})


def some(count: int = 3) -> list[dict[str, Any]]:
    return [interval(T + n * 10_000, T + (n + 1) * 10_000, 100 + n) for n in range(count)]


def test_arrow_is_acknowledged_as_json_is(admin: TestClient) -> None:
    answer = post(admin, stream(some()))
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/json")
    assert answer.json() == {
        "accepted": 3,
        "duplicate": 0,
        "conflict": 0,
        "rejected": [],
        "created_devices": ["gpu-0"],
        "created_workloads": ["default/w"],
    }
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 303


def test_the_same_rows_as_json_are_duplicates(admin: TestClient) -> None:
    assert post(admin, stream(some())).json()["accepted"] == 3
    assert admin.post("/v1/energy", json=batch(*some(), seq=2)).json()["duplicate"] == 3


TEXT = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    "types",
    [
        {"device": TEXT, "method": TEXT, "workload": TEXT},
        {"device": pa.large_string(), "run": TEXT},
        {"start_ms": pa.uint64(), "end_ms": pa.int64(), "energy_mj": pa.uint32()},
        {"run": pa.null()},
    ],
)
def test_types_of_columns_are_the_senders(admin: TestClient, types: dict[str, pa.DataType]) -> None:
    rows = [{**row, "run": None} for row in some()]
    assert post(admin, stream(rows, types=types)).json()["accepted"] == 3
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 303


def test_runs_subjects_and_nobody_are_told_apart(admin: TestClient) -> None:
    first, second, third = some()
    rows = [
        {**first, "run": "r1", "subject": None},
        {**second, "run": "r2"},
        {**third, "workload": None, "subject": "idle"},
    ]
    assert post(admin, stream(rows)).json()["accepted"] == 3
    assert admin.get("/v1/workloads/w/sci?run=r2").json()["energy_mj"] == 101
    assert admin.get("/v1/workloads/w/sci?unit=run").json()["energy_mj"] == 201


def test_devices_reservations_and_zone_stand_in_the_metadata(admin: TestClient) -> None:
    held = {"device": "gpu-0", "workload": "w", "start_ms": T, "end_ms": T + MINUTE}
    head = {
        **HEAD,
        "zone": "FR",
        "host": "rack-7",
        "sent_ms": str(T),
        "devices": json.dumps([{"device": "gpu-0", "kind": "gpu", "model": "H100"}]),
        "reservations": json.dumps([{**held, "share_ppm": 1_000_000}]),
        "pandas": "a word of somebody else's",
    }
    assert post(admin, stream(some(), head)).json()["accepted"] == 3
    assert admin.get("/v1/workloads/w/sci?unit=run").json()["zones"] == ["FR"]


BAD_ROWS = [
    ({"energy_mj": -5}, "negative_energy"),
    ({"energy_mj": None}, "missing_field"),
    ({"energy_mj": 1 << 60}, "invalid_field"),
    ({"start_ms": -1}, "invalid_field"),
    ({"device": None}, "missing_field"),
    ({"device": ""}, "invalid_field"),
    ({"device": "x" * 201}, "invalid_field"),
    ({"method": None}, "missing_field"),
    ({"method": "guessed"}, "unknown_method"),
    ({"end_ms": T}, "end_before_start"),
    ({"workload": "a/b/c"}, "invalid_workload"),
]


@pytest.mark.parametrize(("changed", "code"), BAD_ROWS)
def test_a_bad_row_is_rejected_by_index_and_sinks_no_other(
    admin: TestClient, changed: dict[str, Any], code: str
) -> None:
    rows = some(3)
    rows[1] = {**rows[1], "start_ms": T, "end_ms": T + 5, "device": "gpu-1", **changed}
    answer = post(admin, stream(rows)).json()
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(1, code)]
    assert answer["accepted"] == 2


@pytest.mark.parametrize(
    ("rows", "head", "types"),
    [
        (some(), {"source": "s", "boot_id": "b"}, None),
        (some(), {**HEAD, "seq": "true"}, None),
        (some(), {**HEAD, "seq": "{"}, None),
        (some(), {**HEAD, "source": ""}, None),
        (some(), HEAD, {"energy_mj": pa.float64()}),
        (some(), HEAD, {"device": pa.binary()}),
        ([{"device": "gpu-0", "start_ms": T, "end_ms": T + 5, "method": "counter"}], HEAD, None),
        ([{**some(1)[0], "energy_mj": True}], HEAD, None),
        ([{**some(1)[0], "workload": 5}], HEAD, None),
    ],
)
def test_a_stream_that_cannot_be_meant_is_422(
    admin: TestClient, rows: list[dict[str, Any]], head: dict[str, str], types: Any
) -> None:
    refused(post(admin, stream(rows, head, types)), 422, "invalid_body")


WHOLE = stream(some())


@pytest.mark.parametrize(
    "body",
    [b"", b"plain", b"{}", b"ARROW1\0\0" + WHOLE, WHOLE[:200], WHOLE[:-200], WHOLE[8:]],
    ids=range(7),
)
def test_what_is_no_stream_is_400(admin: TestClient, body: bytes) -> None:
    refused(post(admin, body), 400, "malformed_arrow")


def test_a_stream_with_any_byte_changed_is_answered(admin: TestClient) -> None:
    """It may still be meant; the server must stand, and say one thing or the other."""
    for at in range(0, len(WHOLE), 7):
        body = bytearray(WHOLE)
        body[at] ^= 0xFF
        assert post(admin, bytes(body)).status_code in (202, 400, 413, 415, 422), at


def test_an_empty_stream_is_good(admin: TestClient) -> None:
    types = {n: pa.int64() for n in ("start_ms", "end_ms", "energy_mj")}
    schema = pa.schema(
        [("device", pa.string()), ("method", pa.string()), *types.items()], metadata=HEAD
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema):
        pass
    assert post(admin, sink.getvalue().to_pybytes()).json()["accepted"] == 0


def test_compressed_buffers_are_refused_before_they_are_unpacked(admin: TestClient) -> None:
    for codec in ("zstd", "lz4"):
        body = stream(some(2000), compression=codec)
        refused(post(admin, body), 415, "arrow_compression")
        as_words = stream(some(2000), types={"device": TEXT}, compression=codec)
        refused(post(admin, as_words), 415, "arrow_compression")


def packed(body: bytes) -> bytes:
    return bytes(pa.compress(body, codec="zstd", asbytes=True))


def test_zstd_is_read_around_arrow_and_json(admin: TestClient) -> None:
    zstd = {"Content-Encoding": "zstd"}
    assert post(admin, packed(stream(some())), **zstd).json()["accepted"] == 3
    body = packed(json.dumps(batch(*some(), seq=2)).encode())
    headers = {"Content-Type": "application/json", **zstd}
    assert admin.post("/v1/energy", content=body, headers=headers).json()["duplicate"] == 3


def test_a_zstd_bomb_is_too_large(service: Service, admin: TestClient) -> None:
    bomb = packed(bytes(service.context.settings.max_decoded_bytes + 1))
    headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    refused(admin.post("/v1/energy", content=bomb, headers=headers), 413, "body_too_large")
    refused(post(admin, bomb, **{"Content-Encoding": "zstd"}), 413, "body_too_large")


@pytest.mark.parametrize("body", [b"", b"plain", packed(b"{}" * 900)[:-9]])
def test_what_is_not_whole_zstd_is_400(admin: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    refused(admin.post("/v1/energy", content=body, headers=headers), 400, "malformed_zstd")


def test_arrow_is_for_energy_alone(admin: TestClient) -> None:
    headers = {"Content-Type": ARROW}
    refused(admin.post("/v1/units", content=WHOLE, headers=headers), 415, "content_type")


def test_a_nul_in_a_name_is_refused_as_in_json(admin: TestClient) -> None:
    names = ("device", "method", "workload", "run", "subject")
    rows = [{**row, name: "a\0"} for row, name in zip(some(5), names, strict=True)]
    rows.append(interval(T + HOUR, T + HOUR + 10_000, 7))
    by_arrow = post(admin, stream(rows)).json()
    by_json = admin.post("/v1/energy", json=batch(*rows, seq=2)).json()
    assert (by_arrow["accepted"], by_json["duplicate"]) == (1, 1)
    assert by_arrow["rejected"] == by_json["rejected"]
    assert [(r["index"], r["code"]) for r in by_json["rejected"]] == [
        (n, "invalid_field") for n in range(5)
    ]
    refused(post(admin, stream(some(), HEAD | {"host": "h\0"})), 422, "invalid_body")
