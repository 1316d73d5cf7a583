"""The OpenAPI document of the Carbon Aware SDK's web API, in our words, from its shapes."""

from __future__ import annotations

from typing import Any

DATE = {"type": "string", "format": "date-time"}
NUMBER = {"type": "number", "format": "double"}
INTEGER = {"type": "integer", "format": "int32"}
TEXT = {"type": "string"}
TITLE = "Carbon Aware API"


def _array(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _object(required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


def _query(name: str, schema: dict[str, Any], required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _answers(schema: dict[str, Any]) -> dict[str, Any]:
    problem = {"$ref": "#/components/schemas/ValidationProblemDetails"}
    return {
        "200": {"description": "OK", "content": {"application/json": {"schema": schema}}},
        "204": {"description": "No Content"},
        "400": {
            "description": "Bad Request",
            "content": {"application/json": {"schema": problem}},
        },
    }


def _get(operation: str, schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "tags": ["CarbonAware"],
            "parameters": list(parameters),
            "responses": _answers(schema),
        }
    }


def _post(operation: str, body: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": _array(body)}}
    return {
        "post": {
            "operationId": operation,
            "tags": ["CarbonAware"],
            "requestBody": {"required": True, "content": content},
            "responses": _answers(schema),
        }
    }


_LOCATIONS = _query("location", {"type": "array", "items": TEXT}, required=True)
_WINDOW = (_query("time", DATE), _query("toTime", DATE))
_INTENSITY = {"$ref": "#/components/schemas/CarbonIntensityDTO"}

SCHEMAS = {
    "EmissionsData": _object(
        "location time rating duration", location=TEXT, time=DATE, rating=NUMBER, duration=TEXT
    ),
    "EmissionsDataDTO": _object(
        "location timestamp duration value",
        location=TEXT,
        timestamp=DATE,
        duration=INTEGER,
        value=NUMBER,
    ),
    "EmissionsForecastDTO": _object(
        "generatedAt requestedAt location dataStartAt dataEndAt windowSize optimalDataPoints "
        "forecastData",
        generatedAt=DATE,
        requestedAt=DATE,
        location=TEXT,
        dataStartAt=DATE,
        dataEndAt=DATE,
        windowSize=INTEGER,
        optimalDataPoints=_array("EmissionsDataDTO"),
        forecastData=_array("EmissionsDataDTO"),
    ),
    "EmissionsForecastBatchParametersDTO": _object(
        "requestedAt location",
        requestedAt=DATE,
        location=TEXT,
        dataStartAt=DATE,
        dataEndAt=DATE,
        windowSize=INTEGER,
    ),
    "CarbonIntensityBatchParametersDTO": _object(
        "location startTime endTime", location=TEXT, startTime=DATE, endTime=DATE
    ),
    "CarbonIntensityDTO": _object(
        "location startTime endTime carbonIntensity",
        location=TEXT,
        startTime=DATE,
        endTime=DATE,
        carbonIntensity=NUMBER,
    ),
    "Location": {
        "type": "object",
        "properties": {
            "Latitude": {**NUMBER, "nullable": True},
            "Longitude": {**NUMBER, "nullable": True},
            "Name": TEXT,
        },
    },
    "ValidationProblemDetails": {
        "type": "object",
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": INTEGER,
            "detail": TEXT,
            "errors": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": TEXT},
            },
        },
    },
}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.1",
    "info": {"title": TITLE, "version": "1"},
    "paths": {
        "/emissions/bylocations/best": _get(
            "GetBestEmissionsDataForLocationsByTime",
            _array("EmissionsData"),
            _LOCATIONS,
            *_WINDOW,
        ),
        "/emissions/bylocations": _get(
            "GetEmissionsDataForLocationsByTime", _array("EmissionsData"), _LOCATIONS, *_WINDOW
        ),
        "/emissions/bylocation": _get(
            "GetEmissionsDataForLocationByTime",
            _array("EmissionsData"),
            _query("location", TEXT, required=True),
            *_WINDOW,
        ),
        "/emissions/forecasts/current": _get(
            "GetCurrentForecastData",
            _array("EmissionsForecastDTO"),
            _LOCATIONS,
            _query("dataStartAt", DATE),
            _query("dataEndAt", DATE),
            _query("windowSize", INTEGER),
        ),
        "/emissions/forecasts/batch": _post(
            "BatchForecastDataAsync",
            "EmissionsForecastBatchParametersDTO",
            _array("EmissionsForecastDTO"),
        ),
        "/emissions/average-carbon-intensity": _get(
            "GetAverageCarbonIntensity",
            _INTENSITY,
            _query("location", TEXT, required=True),
            _query("startTime", DATE, required=True),
            _query("endTime", DATE, required=True),
        ),
        "/emissions/average-carbon-intensity/batch": _post(
            "GetAverageCarbonIntensityBatch",
            "CarbonIntensityBatchParametersDTO",
            _array("CarbonIntensityDTO"),
        ),
        "/locations": _get(
            "GetAllLocations",
            {
                "type": "object",
                "additionalProperties": {"$ref": "#/components/schemas/Location"},
            },
        ),
    },
    "components": {"schemas": SCHEMAS},
}
