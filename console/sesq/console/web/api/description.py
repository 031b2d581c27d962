"""The OpenAPI description: FastAPI's own, with the models of errors and lines, and an example for each operation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from sesq.console.web.api.answers import Problem
from sesq.console.web.api.mail_answers import RecipientNow
from sesq.console.web.problem import LOG_IN, problem

Json = dict[str, Any]
PATH = "#/components/schemas/{model}"
UNAUTHORIZED = json.loads(bytes(problem(401, LOG_IN).body))


def describe(api: FastAPI) -> Callable[[], Json]:
    """Returns the function that replaces `api.openapi`."""
    find = api.openapi

    def description() -> Json:
        if api.openapi_schema is None:
            told = find()
            _, extra = models_json_schema(
                [(Problem, "serialization"), (RecipientNow, "serialization")], ref_template=PATH
            )
            told["components"]["schemas"].update(extra["$defs"])
            examples = json.loads(files(__package__).joinpath("examples.json").read_text("utf-8"))
            for _, operation in operations(told):
                _show(operation, examples.get(operation["operationId"], {}))
        assert api.openapi_schema is not None
        return api.openapi_schema

    return description


def operations(told: Json) -> Iterator[tuple[str, Json]]:
    """Yields each operation's name, such as `GET /accounts`, and its description."""
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _show(operation: Json, example: Json) -> None:
    for status, response in operation["responses"].items():
        shown = example.get("answer") if status.startswith("2") else UNAUTHORIZED if status == "401" else None
        for content in response.get("content", {}).values():
            if shown is not None:
                content["example"] = shown
    if "body" in example:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example["body"]
