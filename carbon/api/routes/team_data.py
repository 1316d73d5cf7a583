"""GET /v1/teams/{team}/data."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from carbon.auth.access import ContextOf, Reader
from carbon.services.reports.team_data import team_data

router = APIRouter(prefix="/v1/teams", tags=["teams"])


@router.get("/{team}/data")
def get_team_data(context: ContextOf, principal: Reader, team: str) -> Response:
    """All that is held of a team, as JSON lines `{table, row}`; keys stay out."""
    lines = team_data(context, principal, team)
    headers = {"Content-Disposition": 'attachment; filename="carbon-team.ndjson"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)
