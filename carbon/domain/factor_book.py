"""Which factor holds when: what ships, and what was recorded to supersede it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final

from carbon.domain.factor import Factor, FactorKind
from carbon.domain.factors import GENERIC_FLAG, LIFESPAN, SHIPPED, factor_for_device, words
from carbon.errors import Conflicting, InvalidInput, NotFound

#: Parametric factors have no row: their id tells them.
_PARAMETRIC = re.compile(r"embodied/(?P<kind>dram|cpu)/(?P<size>[\d.]+(?:gb|-cores))@boavizta")


@dataclass(frozen=True, slots=True)
class Holding:
    """A factor over [start, end), epoch ms."""

    factor: Factor
    start_ms: int
    end_ms: int


#: What a recorded lifespan may speak of; of `host` and `device` its name says which.
LIFESPAN_SUBJECTS: Final = ("gpu", "cpu", "dram", "module", "server", "host", "device")
_ONE: Final = ("host", "device")


@dataclass(frozen=True, slots=True)
class Hardware:
    """A device, or the server around it, as factors name it."""

    kind: str
    model: str
    device: str = ""  #: its UUID
    host: str = ""

    def rank(self, factor: Factor) -> tuple[int, int] | None:
        """How closely a lifespan names it: the greater outweighs; None for another's."""
        if factor.kind is not FactorKind.LIFESPAN or not factor.subject:
            return None
        if factor.subject in _ONE:
            one = self.host if factor.subject == "host" else self.device
            return (1 + _ONE.index(factor.subject), 0) if one and factor.name == one else None
        named = words(factor.name) - {""}
        if factor.subject == self.kind.lower() and named <= words(self.model):
            return 0, len(named)
        return None


@dataclass(frozen=True)
class FactorBook:
    """What was recorded, over what ships. Superseding is by id and for the successor's validity:
    outside of it the superseded factor holds as before."""

    recorded: tuple[Factor, ...] = ()
    #: What was told already, of a fleet's few models: (kind, model, start, end) → holdings.
    _told: dict[tuple[str, str, int, int], list[Holding]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def as_of(self, at_ms: int) -> FactorBook:
        """The book as it was known at a moment."""
        return FactorBook(tuple(f for f in self.recorded if f.recorded_ms <= at_ms))

    def with_factor(self, factor: Factor) -> FactorBook:
        """The book with one more, checked as for recording."""
        self.check(factor)
        return FactorBook((*self.recorded, factor))

    def for_device(self, kind: str, model: str, start_ms: int, end_ms: int) -> list[Holding]:
        """The embodied factors of a device over a window, in order of time; never none of it."""
        key = kind, model, start_ms, end_ms
        if key not in self._told:
            shipped = factor_for_device(kind, model)
            named = self._named(shipped, kind, model)
            chain = [*self._chain(shipped), *(self._chain(named) if named else ())]
            self._told[key] = _held(chain, start_ms, end_ms)
        return self._told[key]

    def lifespan(self, of: Hardware, start_ms: int, end_ms: int) -> list[Holding]:
        """The expected lives of a device over a window: its own, else its host's, its model's,
        its kind's; else the default."""
        own = sorted(
            (rank, factor.id, factor)
            for factor in self.recorded
            if factor.supersedes is None and (rank := of.rank(factor)) is not None
        )
        chain = [new for first in (LIFESPAN, *(f for *_, f in own)) for new in self._chain(first)]
        return _held(chain, start_ms, end_ms)

    def likeness(self, device: str, host: str) -> tuple[str, str] | None:
        """None where no lifespan speaks of this very device or host: it lives as all of its
        model."""
        if not self._named_ones:
            return None
        own = ("device", device), ("host", host)
        found = [name if (of, name) in self._named_ones else "" for of, name in own]
        return (found[0], found[1]) if any(found) else None

    @cached_property
    def _named_ones(self) -> set[tuple[str, str]]:
        recorded = (f for f in self.recorded if f.kind is FactorKind.LIFESPAN)
        return {(f.subject, f.name) for f in recorded if f.subject in _ONE}

    def of_region(self, kind: FactorKind, region: str, at_ms: int) -> Factor | None:
        """The newest vintage of a region's (or a zone's) PUE or WUE that is valid at a moment and
        that nothing supersedes then; None where nobody published one."""
        known = [f for f in self.all() if f.kind is kind and f.subject.lower() == region.lower()]
        holding = [f for f in known if f.is_valid_at(at_ms) and not self._replaced(f, at_ms)]
        return max(holding, key=lambda f: (f.vintage, f.recorded_ms, f.id), default=None)

    def of_set(self, name: str, at_ms: int) -> list[Factor]:
        """What a kWh emits by fuel, of a set of that name: each as it holds at a moment."""
        first = [f for f in self._intensities() if f.name == name and f.supersedes is None]
        chains = ([f for f in self._chain(one) if f.is_valid_at(at_ms)] for one in first)
        return [chain[-1] for chain in chains if chain]

    def set_names(self) -> set[str]:
        """The sets of what a kWh emits by fuel."""
        return {factor.name for factor in self._intensities()}

    def _intensities(self) -> Iterator[Factor]:
        return (factor for factor in self.all() if factor.kind is FactorKind.INTENSITY)

    def _replaced(self, factor: Factor, at_ms: int) -> bool:
        return any(new.is_valid_at(at_ms) for new in self.successors(factor.id))

    def all(self) -> tuple[Factor, ...]:
        return (*SHIPPED, *self.recorded)

    def find(self, id_: str) -> Factor:
        """Raises NotFound(`unknown_factor`)."""
        for factor in self.all():
            if factor.id == id_:
                return factor
        if found := _PARAMETRIC.fullmatch(id_):
            sizes = found["size"].removesuffix("gb").removesuffix("-cores")
            unit = "GB" if found["kind"] == "dram" else "cores"
            parametric = factor_for_device(found["kind"], f"{sizes} {unit}")
            if parametric.id == id_:
                return parametric
        raise NotFound("unknown_factor", f"no factor {id_!r}; `carbon factors list` shows them")

    def successors(self, id_: str) -> tuple[Factor, ...]:
        return tuple(factor for factor in self.recorded if factor.supersedes == id_)

    def check(self, factor: Factor) -> None:
        """Whether a factor may be recorded.

        Raises Conflicting (`factor_exists`, `already_superseded`, `overlapping_factors`),
        InvalidInput(`another_thing`) and NotFound(`unknown_factor`).
        """
        if any(other.id == factor.id for other in self.all()):
            raise Conflicting(
                "factor_exists", f"{factor.id} is recorded; supersede it under another id"
            )
        if factor.supersedes is None:
            self._check_alone(factor)
        else:
            self._check_successor(factor, self.find(factor.supersedes))

    def _check_alone(self, factor: Factor) -> None:
        if factor.kind is FactorKind.LIFESPAN:
            _check_subject(factor)
        for other in self.all():
            if _thing(other) == _thing(factor) and other.overlaps(factor):
                raise Conflicting(
                    "overlapping_factors",
                    f"{other.id} says the same for an overlapping time; supersede that one",
                    other=other.id,
                )

    def _check_successor(self, factor: Factor, old: Factor) -> None:
        if _thing(factor) != _thing(old):
            raise InvalidInput(
                "another_thing",
                f"{old.id} is the {old.kind} of {old.subject} {old.name!r}; so must be a successor",
            )
        for other in self.successors(old.id):
            if other.overlaps(factor):
                raise Conflicting(
                    "already_superseded",
                    f"{other.id} supersedes {old.id} for an overlapping time; supersede that one",
                    other=other.id,
                )

    def _named(self, shipped: Factor, kind: str, model: str) -> Factor | None:
        """A recorded factor whose name fits the model better than what ships."""
        told = words(model)
        own = [f for f in self.recorded if f.supersedes is None and f.name and _is_of(f, kind)]
        fits = [f for f in own if words(f.name) <= told]
        best = max(fits, key=lambda f: (len(words(f.name)), f.value), default=None)
        known = 0 if GENERIC_FLAG in shipped.flags else len(words(shipped.name))
        return best if best is not None and len(words(best.name)) > known else None

    def _chain(self, first: Factor) -> Iterator[Factor]:
        """A factor, what supersedes it, what supersedes those: the later outweighs."""
        generation: Iterable[Factor] = (first,)
        while generation := tuple(generation):
            yield from generation
            generation = [new for old in generation for new in self.successors(old.id)]


def _held(chain: Sequence[Factor], start_ms: int, end_ms: int) -> list[Holding]:
    """Of a chain of which the first is always valid, the last that is valid at each moment."""
    cuts = {start_ms, end_ms}
    for factor in chain:
        cuts |= {
            at
            for at in (factor.valid_from_ms, factor.valid_to_ms)
            if at is not None and start_ms < at < end_ms
        }
    found: list[Holding] = []
    for lo, hi in pairwise(sorted(cuts)):
        factor = [f for f in chain if f.is_valid_at(lo)][-1]
        if found and found[-1].factor is factor:
            found[-1] = Holding(factor, found[-1].start_ms, hi)
        else:
            found.append(Holding(factor, lo, hi))
    return found


def _thing(factor: Factor) -> tuple[str, str, str]:
    return factor.kind, factor.subject.lower(), " ".join(factor.name.lower().split())


def _check_subject(factor: Factor) -> None:
    if factor.subject not in LIFESPAN_SUBJECTS:
        raise InvalidInput(
            "unknown_subject", f"a lifespan is that of one of {', '.join(LIFESPAN_SUBJECTS)}"
        )
    if factor.subject in _ONE and not factor.name:
        raise InvalidInput("name_missing", f"say by its name which {factor.subject} lives so long")


def _is_of(factor: Factor, kind: str) -> bool:
    return factor.kind is FactorKind.EMBODIED and factor.subject == kind.lower()
