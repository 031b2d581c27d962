"""What OpenAPI says of each endpoint: its name, its parameters with their bounds, its body, what it can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from busy_account import read_transcript

DESCRIBED = read_transcript(Path(__file__).parent / "whole_openapi.txt")
"""Endpoint or model -> a line each parameter, field and set of answers."""
LIMITS = ("minimum", "maximum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems")


def _schema(given: dict[str, Any]) -> str:
    """`integer 1..500 = 50`: a type, its bounds, its default."""
    if "anyOf" in given:
        return " or ".join(_schema(each) for each in given["anyOf"])
    kind = given.get("$ref", "").rpartition("/")[2] or given.get("type", "any")
    if "enum" in given:
        kind = "|".join(given["enum"])
    if "items" in given:
        kind += f" of {_schema(given['items'])}"
    if isinstance(given.get("additionalProperties"), dict):
        kind += f" to {_schema(given['additionalProperties'])}"
    bounds = [f"{name}={given[name]}" for name in LIMITS if name in given]
    shown = [
        kind,
        given.get("format", ""),
        *bounds,
        f"default={given['default']!r}" if "default" in given else "",
    ]
    return " ".join(filter(None, shown))


def _endpoint(told: dict[str, Any]) -> Iterator[str]:
    yield f"name: {told['operationId']}"
    for each in told.get("parameters", ()):
        if each["name"] != "account":
            yield f"{each['in']} {each['name']}{'!' * each['required']}: {_schema(each['schema'])}"
    if "requestBody" in told:
        ((kind, body),) = told["requestBody"]["content"].items()
        form = "" if kind == "application/json" else f" as {kind}"
        yield f"body: {_schema(body['schema'])}{form}"
    yield f"answers: {' '.join(told['responses'])}"
    (done,) = next(
        answer["content"].values() for status, answer in told["responses"].items() if status[0] == "2"
    )
    yield f"done: {_schema(done['schema'])}"


def _model(told: dict[str, Any]) -> Iterator[str]:
    yield f"more fields: {'no' if told.get('additionalProperties') is False else 'yes'}"
    for name, schema in told.get("properties", {}).items():
        yield f"{name}{'!' * (name in told.get('required', ()))}: {_schema(schema)}"


def _described(openapi: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            yield f"{method.upper()} {path.removeprefix('/accounts/{account}')}", list(_endpoint(told))
    for name, told in openapi["components"]["schemas"].items():
        if "enum" in told:
            yield name, [f"one of: {' '.join(told['enum'])}"]
        elif "ValidationError" not in name:
            yield name, list(_model(told))


def test_each_endpoint_is_described(console: Callable[..., Any]) -> None:
    told = console().get("/api/v1/openapi.json").json()
    assert (told["info"]["title"], told["info"]["version"]) == ("sesq", "1")
    assert dict(_described(told)) == DESCRIBED
