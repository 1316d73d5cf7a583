"""GET /v1/sci."""

from __future__ import annotations

from fastapi import APIRouter, Response

from carbon.api.bodies import answer
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series

router = APIRouter(prefix="/v1", tags=["sci"])


@router.get("/sci")
def get_series(
    context: ContextOf,
    principal: Reader,
    group_by: str = "",
    start: str | None = None,
    end: str | None = None,
    step: str | None = None,
    unit: str | None = None,
) -> Response:
    """SCI by `team,workload,zone,device,technique` over time; groups sum to the whole."""
    asked = SeriesQuestion(
        parse_group_by(group_by), moment(start, "start"), moment(end, "end"), step, unit
    )
    return answer(sci_series(context, principal, asked))
