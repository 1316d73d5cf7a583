"""The statement of an issued report, read back from its bytes."""

from __future__ import annotations

import msgspec

from carbon.wire.reports import ReportAnswer, Statement


def statement_of(report: ReportAnswer) -> Statement:
    return msgspec.json.decode(bytes(report.statement), type=Statement)
