"""The forms in which a report is handed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from carbon.exports import (
    ai_act,
    impact_framework,
    model_card,
    report_csv,
    report_html,
    report_parquet,
    sci_certificate,
    sci_reporting,
)
from carbon.exports.issued import Issued


class Format(StrEnum):
    GSF = "gsf"  #: the SCI certificate report
    SCI_REPORTING = "sci-reporting"
    CSV = "csv"
    JSON = "json"
    HTML = "html"
    PARQUET = "parquet"
    IMPACT_FRAMEWORK = "if"  #: a manifest
    MODEL_CARD = "model-card"  #: of the Hugging Face Hub
    AI_ACT = "ai-act"  #: energy for the technical documentation


@dataclass(frozen=True, slots=True)
class Form:
    media_type: str
    suffix: str
    write: Callable[[Issued], str | bytes]


def _json(issued: Issued) -> str:
    """All of it, the statement byte by byte as it was issued."""
    return msgspec.json.encode(issued.report).decode() + "\n"


FORMS = {
    Format.GSF: Form("text/markdown", "md", sci_certificate.write),
    Format.SCI_REPORTING: Form("application/yaml", "yaml", sci_reporting.write),
    Format.CSV: Form("text/csv", "csv", report_csv.write),
    Format.JSON: Form("application/json", "json", _json),
    Format.PARQUET: Form("application/vnd.apache.parquet", "parquet", report_parquet.write),
    Format.IMPACT_FRAMEWORK: Form("application/yaml", "yml", impact_framework.write),
    Format.MODEL_CARD: Form("text/markdown", "md", model_card.write),
    Format.AI_ACT: Form("text/markdown", "md", ai_act.write),
    Format.HTML: Form("text/html", "html", report_html.write),
}
