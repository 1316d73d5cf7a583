"""GET /v1/zones/at: which zone feeds a place."""

from __future__ import annotations

from fastapi import APIRouter, Response

from carbon.api.bodies import answer
from carbon.auth.access import ContextOf, Reader
from carbon.services.grid.whereabouts import placed_zone

router = APIRouter(prefix="/v1/zones", tags=["intensity"])


@router.get("/at")
def zone_at(context: ContextOf, _principal: Reader, latitude: float, longitude: float) -> Response:
    """Asked of a source that knows the areas of grids; never guessed."""
    return answer(placed_zone(context, latitude, longitude))
