"""The ten optimisation techniques, and what an experiment must say of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from carbon.errors import InvalidInput


class Technique(StrEnum):
    MODEL_SELECTION = "model_selection"
    QUANTISATION = "quantisation"
    PRUNING = "pruning"
    DISTILLATION = "distillation"
    MIXED_PRECISION = "mixed_precision"
    DATA_SUBSET = "data_subset"
    DEPLOYMENT = "deployment"
    PROMPT_AND_OUTPUT = "prompt_and_output"
    CLEAN_HOURS = "clean_hours"
    SCALING = "scaling"

    @property
    def moves_in_time(self) -> bool:
        """Whether the price of the grid is what it changes, and not only the energy."""
        return self is Technique.CLEAN_HOURS


class Kind(StrEnum):
    TEXT = "text"
    NUMBER = "number above 0"
    SHARE = "number from 0 to 1"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind = Kind.TEXT
    #: Where only some words have a meaning.
    choices: tuple[str, ...] = ()

    def refusal(self, value: object) -> str | None:
        """Why a value does not do; None where it does."""
        if self.kind is Kind.TEXT:
            if not isinstance(value, str) or not value.strip():
                return f"{self.name} is a text"
            if self.choices and value not in self.choices:
                return f"{self.name} is one of {', '.join(self.choices)}"
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{self.name} is a {self.kind}"
        good = 0 <= value <= 1 if self.kind is Kind.SHARE else value > 0
        return None if good else f"{self.name} is a {self.kind}"


#: What must be known of a technique before its effect means anything.
FIELDS: Final[Mapping[Technique, tuple[Field, ...]]] = {
    Technique.MODEL_SELECTION: (Field("baseline_model"), Field("treatment_model")),
    Technique.QUANTISATION: (
        Field("from_precision"),
        Field("to_precision"),
        Field("batch_size", Kind.NUMBER),
    ),
    Technique.PRUNING: (
        Field("structure", choices=("unstructured", "structured", "semi_structured")),
        Field("sparsity", Kind.SHARE),
    ),
    Technique.DISTILLATION: (Field("teacher"), Field("student")),
    Technique.MIXED_PRECISION: (Field("precision"), Field("target_loss", Kind.NUMBER)),
    Technique.DATA_SUBSET: (Field("share", Kind.SHARE), Field("selection")),
    Technique.DEPLOYMENT: (Field("change"),),
    Technique.PROMPT_AND_OUTPUT: (Field("shortened", choices=("prompt", "output", "both")),),
    Technique.CLEAN_HOURS: (Field("policy"), Field("signal", choices=("average", "marginal"))),
    Technique.SCALING: (Field("policy"), Field("replicas_max", Kind.NUMBER)),
}

#: Techniques whose preparation costs carbon that a saving must first pay back.
NEEDS_COST: Final = frozenset({Technique.DISTILLATION})


def technique_of(name: str) -> Technique:
    """Raises InvalidInput(`unknown_technique`)."""
    try:
        return Technique(name)
    except ValueError:
        raise InvalidInput(
            "unknown_technique",
            f"no technique {name!r}: {', '.join(Technique)}",
            techniques=list(Technique),
        ) from None


def check_parameters(technique: Technique, parameters: Mapping[str, Any]) -> None:
    """Raises InvalidInput(`technique_field`) that names what is missing or cannot be meant;
    further parameters are kept as they are."""
    for field in FIELDS[technique]:
        if field.name not in parameters:
            wanted = ", ".join(f.name for f in FIELDS[technique])
            raise InvalidInput(
                "technique_field", f"{technique} needs the parameters {wanted}", field=field.name
            )
        if refused := field.refusal(parameters[field.name]):
            raise InvalidInput("technique_field", f"{technique}: {refused}", field=field.name)
