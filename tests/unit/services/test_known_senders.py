"""What is remembered of senders is what asking again would say, and no more than has room."""

from __future__ import annotations

from carbon.services.ingest import known_senders
from carbon.services.ingest.known_senders import KnownSenders


def test_what_was_learnt_of_one_source_is_not_told_of_another() -> None:
    known = KnownSenders()
    known.learn(1, {"a": 7}, {"a": (7, 70)}, "blue", {("w", None, None): 5})
    assert known.devices(1) == {"a": 7}
    assert known.meters(1) == {"a": (7, 70)}
    assert known.subjects("blue") == {("w", None, None): 5}
    assert not known.devices(2)
    assert not known.meters(2)
    assert not known.subjects("red")


def test_it_forgets_all_rather_than_grow_for_ever(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(known_senders, "_MOST", 10)
    known = KnownSenders()
    for source in range(50):
        known.learn(source, {"a": source}, {"a": (source, source)}, "blue", {})
        assert known.devices(source) == {"a": source}
    assert sum(len(known.devices(source)) for source in range(50)) <= 10
