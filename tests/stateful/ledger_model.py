"""The ledger's rules (docs/architecture.md) once more, as plainly as they can be said.

Time is looked at slot by slot of 10 s, at whose marks everything that is sent begins and ends.
Nothing here is shared with the product but the words.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

SLOT_MS = 10_000
SLOTS_PER_BUCKET = 30
FULL_SLOTS = 27
METHODS = ["counter", "integrated", "averaged", "bridged", "imported", "modelled", "estimated"]
#: Sources with the rank of their kind: agents before importers.
SOURCES = {"agent": 1, "other agent": 1, "importer": 2}


@dataclass(frozen=True)
class Sent:
    """An interval as sent; `start` and `end` in slots."""

    device: str
    start: int
    end: int
    energy_mj: int
    method: str
    workload: str | None = None
    run: str | None = None

    @property
    def subject(self) -> str:
        """Run before workload; nothing said is nobody."""
        return f"run {self.run}" if self.run else f"name {self.workload}" if self.workload else ""


@dataclass(frozen=True)
class Piece:
    subject: str
    start: int
    end: int
    energy_mj: int
    method: str

    def energy_in(self, slot: int) -> int:
        return self._until(slot + 1) - self._until(slot)

    def _until(self, slot: int) -> int:
        return self.energy_mj * (slot - self.start) // (self.end - self.start)


def pieces_of(sent: Sent) -> list[Piece]:
    """Cut at the marks of the buckets."""
    marks = [m for m in range(sent.start + 1, sent.end) if m % SLOTS_PER_BUCKET == 0]
    whole = Piece(sent.subject, sent.start, sent.end, sent.energy_mj, sent.method)
    edges = [sent.start, *marks, sent.end]
    return [
        Piece(sent.subject, lo, hi, sum(map(whole.energy_in, range(lo, hi))), sent.method)
        for lo, hi in pairwise(edges)
    ]


@dataclass
class Model:
    """What was acknowledged, by (device, source); a meter's place is the order of its birth."""

    meters: dict[tuple[str, str], list[Piece]] = field(default_factory=dict)
    #: Subject → workload.
    claims: dict[str, str] = field(default_factory=dict)

    def send(self, source: str, batch: list[Sent]) -> tuple[int, int, int]:
        """(accepted, duplicate, conflict)"""
        verdicts = [self._take(source, sent) for sent in batch]
        counted = Counter(verdicts)
        return counted["accepted"], counted["duplicate"], counted["conflict"]

    def _take(self, source: str, sent: Sent) -> str:
        if sent.workload:
            self.claims[sent.subject] = sent.workload
        meter = self.meters.setdefault((sent.device, source), [])
        verdicts = set()
        for piece in pieces_of(sent):
            verdict = _judged(meter, piece)
            verdicts.add(verdict)
            if verdict == "accepted":
                meter.append(piece)
        for verdict in ("conflict", "accepted"):
            if verdict in verdicts:
                return verdict
        return "duplicate"

    def energy(self, workload: str, first: int, last: int) -> int:
        """mJ of a workload over the slots [first, last)."""
        return sum(
            mj
            for (_, slot, subject), mj in self.counted().items()
            if self.claims.get(subject) == workload and first <= slot < last
        )

    def counted(self) -> Counter[tuple[str, int, str]]:
        """(device, slot, subject) → mJ, of the meter that counts there."""
        found: Counter[tuple[str, int, str]] = Counter()
        buckets = {
            (device, piece.start // SLOTS_PER_BUCKET)
            for (device, _), meter in self.meters.items()
            for piece in meter
        }
        for device, bucket in buckets:
            for slot, piece in self._counting(device, bucket):
                found[device, slot, piece.subject] += piece.energy_in(slot)
        return found

    def _counting(self, device: str, bucket: int) -> list[tuple[int, Piece]]:
        """Full meters by method, kind and age; where none is full, the widest."""
        ranked = []
        for age, ((of, source), meter) in enumerate(self.meters.items()):
            seen = _seen(meter, bucket)
            if of == device and seen:
                wide = len({slot for slot, _ in seen})
                rank = (_main_method(seen), SOURCES[source], age)
                is_full = wide >= FULL_SLOTS
                ranked.append((not is_full, 0 if is_full else -wide, rank, seen))
        return min(ranked, key=lambda meter: meter[:3])[3]


def _judged(meter: list[Piece], piece: Piece) -> str:
    for known in meter:
        same_period = (known.start, known.end) == (piece.start, piece.end)
        if same_period and known.subject == piece.subject:
            return "duplicate" if known == piece else "conflict"
    span = piece.end - piece.start
    overlapping = any(
        known.end - known.start == span and 0 < abs(known.start - piece.start) < span
        for known in meter
    )
    return "conflict" if overlapping else "accepted"


def _seen(meter: list[Piece], bucket: int) -> list[tuple[int, Piece]]:
    """(slot, piece): at each slot the pieces of the shortest span, all subjects of it."""
    found = []
    for slot in range(bucket * SLOTS_PER_BUCKET, (bucket + 1) * SLOTS_PER_BUCKET):
        here = [piece for piece in meter if piece.start <= slot < piece.end]
        shortest = min((piece.end - piece.start for piece in here), default=0)
        found += [(slot, p) for p in here if p.end - p.start == shortest]
    return found


def _main_method(seen: list[tuple[int, Piece]]) -> int:
    """Of most of the time; of equals, the better."""
    slots: dict[str, set[int]] = {}
    for slot, piece in seen:
        slots.setdefault(piece.method, set()).add(slot)
    return min((-len(at), METHODS.index(method)) for method, at in slots.items())[1]
