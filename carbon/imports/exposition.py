"""What an exporter says at /metrics, in Prometheus' text format."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from carbon.errors import InvalidInput
from carbon.imports.series import NAME_LABEL, Sample, Series

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def read_exposition(
    text: str, now_ms: int, labels: dict[str, str], is_wanted: Callable[[str], bool]
) -> list[Series]:
    """The series of the metrics that are wanted, with `labels` where the exporter states none
    of that name. A reading without a time of its own is of now.

    Raises InvalidInput(`no_exposition`).
    """
    lines = []
    for line in text.splitlines():
        name = _NAME.match(line)
        if name is not None and is_wanted(name[0]):
            lines.append(line)
    try:
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except ValueError as error:
        raise InvalidInput("no_exposition", f"not Prometheus' text format: {error}") from None
    return [
        Series(
            {**labels, **sample.labels, NAME_LABEL: sample.name},
            [
                Sample(
                    round(float(sample.timestamp) * 1000) if sample.timestamp else now_ms,
                    sample.value,
                )
            ],
        )
        for family in families
        for sample in family.samples
    ]
