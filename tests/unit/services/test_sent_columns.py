"""Words that are each given once, whatever order they come in."""

from hypothesis import given
from hypothesis import strategies as st

from carbon.services.ingest.sent_columns import SentColumns
from carbon.wire.energy import EnergyInterval

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
