"""Every option of every command, its names, its bounds, its default, and what its help says."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_type_hints

from typer.models import ArgumentInfo

from busy_account import read_transcript
from sesq.console.app import SUMMARIES

OPTIONS = read_transcript(Path(__file__).parent / "every_option.txt")
"""Command -> a line each parameter: names, kind and bounds, default, help. With `!` it must be given."""


def _commands() -> Iterator[tuple[str, Any]]:
    """Each command, and the function that it calls."""
    for name in SUMMARIES:
        app = import_module(f"sesq.console.commands.{name.replace('-', '_')}").app
        if app.registered_callback:
            yield f"sesq {name}", app.registered_callback.callback
        for each in app.registered_commands:
            own = each.name or each.callback.__name__.replace("_", "-")
            yield f"sesq {name}" if own == name else f"sesq {name} {own}", each.callback


def _lines(command: Any) -> list[str]:
    hints = get_type_hints(command, include_extras=True)
    given = signature(command).parameters
    return [_line(name, hints[name], given[name].default) for name in given if name != "ctx"]


def _line(name: str, hint: Any, default: Any) -> str:
    kind, info = hint.__origin__, hint.__metadata__[0]
    # typer takes the first name for the default until it has made the command
    declared = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    own = name.upper() if isinstance(info, ArgumentInfo) else f"--{name.replace('_', '-')}"
    names = " ".join(declared) or own
    must = "!" if default is Parameter.empty else ""
    bounds = (
        "" if (info.min, info.max) == (None, None) else f" {info.min}..{'' if info.max is None else info.max}"
    )
    told = "" if default in (None, False, Parameter.empty) else f" [{getattr(default, 'value', default)}]"
    hidden = " (hidden)" if info.hidden else ""
    said = [
        f"{names}{must}",
        info.metavar or "",
        f"<{_kind(kind)}{bounds}>",
        f"{told}{hidden}:",
        info.help or "",
    ]
    return " ".join(" ".join(said).split())


def _kind(kind: Any) -> str:
    """`text`, `whole number`, `transactional|bulk`; `several` of them."""
    parts = [each for each in getattr(kind, "__args__", ()) if each is not type(None)]
    if getattr(kind, "__origin__", None) is list:
        return f"several {_kind(parts[0])}"
    if parts:
        return _kind(parts[0])
    return "|".join(each.value for each in kind) if issubclass(kind, Enum) else kind.__name__


def test_each_option() -> None:
    told = {name: _lines(command) for name, command in _commands()}
    assert told == OPTIONS
