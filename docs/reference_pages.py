"""Writes the pages of the site that come from the code: each command's options, and each address of the HTTP API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sesq.console.web.api import make_api

NO_SITE: Any = None
"""The API can be described without a site."""


def write_reference(folder: Path) -> None:
    """Writes commands.md and http-api.md into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "commands.md", _commands())
    _write(folder / "http-api.md", "\n".join(_http_api(make_api(NO_SITE, lambda _error: 500).openapi())))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:  # Sphinx builds what has changed
        path.write_text(text, "utf-8")


def _commands() -> str:
    """Returns Typer's help of each command, as Markdown."""
    words = ["sesq.console.app", "utils", "docs", "--name", "sesq", "--title", "Every command and option"]
    return subprocess.run(
        [sys.executable, "-m", "typer", *words], capture_output=True, text=True, check=True
    ).stdout


def _http_api(described: Mapping[str, Any]) -> Iterator[str]:
    yield "# The HTTP API\n"
    yield "`sesq console` serves it at `/api/v1`, with its description at `/api/v1/openapi.json`. See also"
    yield "[From programs](../../docs/how-to/console.md#from-programs).\n"
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            yield f"## {method.upper()} {path}\n"
            yield from _operation(told)


def _operation(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"{told.get('description') or told['summary']}\n"
    if told.get("parameters"):
        yield "| parameter | in | value |\n|---|---|---|"
        yield from map(_parameter, told["parameters"])
        yield ""
    if "requestBody" in told:
        (content,) = told["requestBody"]["content"].values()
        yield f"The body is {_type(content['schema'])}.\n"
    answers = [f"`{status}` {answer['description']}" for status, answer in told["responses"].items()]
    yield f"Answers: {', '.join(answers)}.\n"


def _parameter(told: Mapping[str, Any]) -> str:
    required = " (required)" if told.get("required") else ""
    return f"| `{told['name']}`{required} | {told['in']} | {_type(told['schema'])} |"


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    name = schema.get("$ref", "").rpartition("/")[2] or schema.get("type", "any value")
    return f"list of {_type(schema['items'])}" if "items" in schema else f"`{name}`"
