"""Arms of one experiment from several sites' totals, put together without their readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from carbon.errors import InvalidInput

#: Conditions of which an arm has what any of its sites has.
_JOINED: Final = ("factors", "methods", "zones", "hardware")


def combined_arm(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`parts` are what `carbon export totals` wrote, each of another site.

    Raises InvalidInput(`sites_differ`) where units or boundaries are not the same, or where two
    sites have one name.
    """
    units = {part["unit"] for part in parts}
    boundaries = [part["stated"]["boundary"] for part in parts]
    if len(units) > 1 or any(boundary != boundaries[0] for boundary in boundaries):
        raise InvalidInput("sites_differ", "the sites of an arm need the same unit and boundary")
    named = [{block["site"] for block in part["blocks"]} for part in parts]
    if len(set().union(*named)) < sum(map(len, named)):
        raise InvalidInput("sites_differ", "two sites of an arm have the same name")
    joined = {
        name: sorted({one for part in parts for one in part["stated"][name]}) for name in _JOINED
    }
    pues = {pue for part in parts for pue in _listed(part["stated"].get("pue"))}
    return {
        "blocks": [block for part in parts for block in part["blocks"]],
        "unit": units.pop(),
        "stated": {
            "boundary": boundaries[0],
            **joined,
            "pue": sorted(pues, key=lambda pue: pue or 0.0),
        },
    }


def _listed(pue: Any) -> list[float | None]:
    return pue if isinstance(pue, list) else [pue]
