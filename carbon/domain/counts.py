"""Counts of a unit over time, and what a correction makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from carbon.domain.energy import cut, energy_until


class Piece(NamedTuple):
    """`amount` units over [start_ms, end_ms), which lies within one bucket."""

    start_ms: int
    end_ms: int
    amount: int


def replaced(
    pieces: Iterable[Piece], start_ms: int, end_ms: int, count: int
) -> tuple[list[Piece], list[Piece]]:
    """(what stays outside of [start, end), what counts inside): `count` units in all.

    They lie as those lay that were counted: a night in which nothing was counted stays empty.
    Where nothing was, they lie evenly. The pieces sum to `count` exactly.
    """
    outside: list[Piece] = []
    inside: list[Piece] = []
    for piece in pieces:
        for part in _split(piece, start_ms, end_ms):
            is_inside = start_ms <= part.start_ms and part.end_ms <= end_ms
            (inside if is_inside else outside).append(part)
    return outside, list(_shaped(inside, start_ms, end_ms, count))


def counted(pieces: Iterable[Piece], start_ms: int, end_ms: int) -> int:
    """What lies within [start, end)."""
    return sum(
        part.amount
        for piece in pieces
        for part in _split(piece, start_ms, end_ms)
        if start_ms <= part.start_ms and part.end_ms <= end_ms
    )


def _split(piece: Piece, start_ms: int, end_ms: int) -> Iterator[Piece]:
    marks = sorted({min(max(at, piece.start_ms), piece.end_ms) for at in (start_ms, end_ms)})
    at, before = piece.start_ms, 0
    for mark in (*marks, piece.end_ms):
        if mark > at:
            until = energy_until(piece.amount, piece.start_ms, piece.end_ms, mark)
            yield Piece(at, mark, until - before)
            at, before = mark, until


def _shaped(inside: Sequence[Piece], start_ms: int, end_ms: int, count: int) -> Iterator[Piece]:
    whole = sum(piece.amount for piece in inside)
    if not whole:
        yield from (Piece(*part) for part in cut(start_ms, end_ms, count))
        return
    seen = given = 0
    for piece in sorted(inside):
        seen += piece.amount
        until = count * seen // whole
        yield Piece(piece.start_ms, piece.end_ms, until - given)
        given = until
