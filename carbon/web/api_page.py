"""The page of all calls, from the application's own OpenAPI document: nothing from outside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fastapi import FastAPI, Response

from carbon.web.pages import page


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    summary: str
    parameters: tuple[str, ...]

    @property
    def noun(self) -> str:
        """What the calls are listed by: the first part of the path behind the version."""
        parts = [part for part in self.path.split("/") if part]
        return parts[1] if parts[0] == "v1" and len(parts) > 1 else "operations"


def api_page(app: FastAPI) -> Response:
    calls = sorted(_calls(app.openapi()), key=lambda call: (call.noun, call.path, call.method))
    groups = [(noun, list(group)) for noun, group in groupby(calls, key=lambda call: call.noun)]
    return page("api.html", groups=groups)


def _calls(document: dict[str, Any]) -> list[Call]:
    return [
        Call(
            method.upper(),
            path,
            (operation.get("description") or operation.get("summary", "")).partition("\n\n")[0],
            tuple(p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"),
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
