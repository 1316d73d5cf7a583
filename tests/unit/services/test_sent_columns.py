"""Words that are each given once, whatever order they come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.services.ingest.sent_columns import SentBatch, SentColumns, SentRows
from carbon.wire.decode import Decoded
from carbon.wire.energy import EnergyBatch, EnergyInterval

words = st.sampled_from(["a", "b", "c"])
rounds = st.tuples(st.lists(words, min_size=1, max_size=5), st.integers(1, 4), st.integers(0, 4))


def told(sent: SentColumns) -> list[tuple[object, ...]]:
    """What each interval says, by way of its places."""
    numbers = zip(sent.start_ms, sent.end_ms, sent.energy_mj, strict=True)
    places = zip(sent.device, sent.method, sent.who, strict=True)
    return [
        (sent.devices[d], sent.methods[m], sent.whos[w], *map(int, of))
        for (d, m, w), of in zip(places, numbers, strict=True)
    ]


@given(rounds, rounds, st.lists(st.one_of(st.none(), words), max_size=20))
def test_columns_say_what_was_sent_in_rounds_or_in_any_order(
    devices: tuple[list[str], int, int],
    methods: tuple[list[str], int, int],
    workloads: list[str | None],
) -> None:
    """A round may be broken off, hold a word twice, or be no round at all."""
    of_device, of_method = (
        (some * (times + 1))[: len(some) * times + rest] for some, times, rest in (devices, methods)
    )
    count = min(len(of_device), len(of_method))
    named = (workloads + [None] * count)[:count]
    sent = [
        EnergyInterval(of_device[n], n, n + 10, (1 << 53) - n, of_method[n], workload=named[n])
        for n in range(count)
    ]
    columns = SentColumns.of(sent, range(count))
    assert told(columns) == [
        (
            one.device,
            one.method,
            (one.workload, None, None),
            one.start_ms,
            one.end_ms,
            one.energy_mj,
        )
        for one in sent
    ]
    for distinct in (columns.devices, columns.methods, columns.whos):
        assert len(set(distinct)) == len(distinct)


def test_no_intervals_are_no_words() -> None:
    columns = SentColumns.of([], range(0))
    assert len(columns) == 0
    assert list(columns.devices) == []


@pytest.mark.parametrize("count", [3_000, 9_999, 10_000, 10_001, 30_001])
def test_rounds_of_any_length_and_number(count: int) -> None:
    """What is kept of one batch's rounds is another's only where both are alike."""
    for length in (2, 7, 9_000):
        sent = [EnergyInterval(f"d{n % length}", n, n + 1, n, "counter") for n in range(count)]
        columns = SentColumns.of(sent, range(count))
        assert [columns.devices[at] for at in columns.device.tolist()] == [s.device for s in sent]


@given(st.integers(0, 20), st.booleans())
def test_what_waits_keeps_each_interval_once(count: int, is_import: bool) -> None:
    """As rows or as columns, and the rest of the batch as it was sent."""
    sent = [EnergyInterval("d", n, n + 1, n, "counter") for n in range(count)]
    body = EnergyBatch("s", "b", 7, sent, host="h", is_import=is_import)
    waiting = SentBatch.of(Decoded(body, sent, range(count), []))
    assert (waiting.batch.source, waiting.batch.seq, waiting.batch.host) == ("s", 7, "h")
    assert len(waiting.intervals) == len(body.intervals) == count
    if isinstance(waiting.intervals, SentRows):
        assert waiting.intervals.items is sent
    else:
        assert waiting.batch.intervals == []
        assert waiting.intervals.start_ms.tolist() == list(range(count))
