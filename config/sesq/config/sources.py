"""Reads settings from file and environment. Errors name the file or the variable, the key, and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic_settings
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from sesq.config.errors import SettingsError
from sesq.config.places import read_toml

Model = TypeVar("Model", bound=BaseSettings)
Values = dict[str, Any]

PREFIX = "SESQ_"
# $SESQ_CONFIG names the file, SESQ_TEST_* belong to the tests, and Kubernetes adds SESQ_PORT… and SESQ_SERVICE_…
# to every container beside a service called "sesq".
NOT_SETTINGS = re.compile(r"SESQ_(CONFIG$|TEST_|PORT(_|$)|SERVICE_)")


EXAMPLE_NAMES = {"accounts": ("default",), "webhooks": ("NAME",)}
"""Tables whose keys are names that people choose, and the name that a hint shows."""


def read_settings(
    model: type[BaseSettings], file: Path | None, env: Mapping[str, str]
) -> tuple[Values, Values]:
    """Reads (values of the file, values of the environment), each nested as `model` is."""
    return _read_file(file) if file else {}, _read_environment(model, env)


def checked(model: type[Model], of_file: Values, of_env: Values, file: Path | None) -> Model:
    """Makes the model; the environment comes before the file. Raises `SettingsError`, with a line for each fault."""
    try:
        return model(**_merged(of_file, of_env))
    except ValidationError as error:
        lines = [_explain(problem, model, of_env, file) for problem in error.errors(include_url=False)]
        raise SettingsError("\n".join(lines)) from error


def _read_file(file: Path) -> Values:
    if not file.is_file():
        raise SettingsError(f"{file}: there is no such settings file")
    try:
        return read_toml(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: cannot be read as TOML: {error}") from error


def _read_environment(model: type[BaseSettings], env: Mapping[str, str]) -> Values:
    ours = {name.lower(): value for name, value in env.items() if _is_setting(name)}
    for name in ours:
        key = name.removeprefix(PREFIX.lower()).split("__")[0]
        if key not in model.model_fields:
            place = "__".join(_place_of(key, model)).upper()
            near = f"{PREFIX}{place}" if place else ""
            raise SettingsError(f"{name.upper()}: {_unknown(key, list(model.model_fields), near)}")
    source = EnvSettingsSource(model)
    source.env_vars = ours
    try:
        return source()
    except pydantic_settings.SettingsError as error:
        raise SettingsError(
            f"{PREFIX}…: {error}; allowed: JSON, or one variable a key (SESQ_RETRY__MAX_ATTEMPTS)"
        ) from error


def _is_setting(name: str) -> bool:
    return name.upper().startswith(PREFIX) and not NOT_SETTINGS.match(name.upper())


def _merged(below: Values, above: Values) -> Values:
    both = {
        key: _merged(below[key], above[key])
        for key in below.keys() & above.keys()
        if _tables(below[key], above[key])
    }
    return {**below, **above, **both}


def _tables(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def _explain(problem: Any, model: type[BaseModel], of_env: Values, file: Path | None) -> str:
    """Explains one error of pydantic: `/etc/sesq.toml: accounts.default.rate = 'fast': …`."""
    path = [str(step) for step in problem["loc"] if step != "[key]"]
    if problem["type"] == "extra_forbidden":
        near = ".".join(_place_of(path[-1], model)) if len(path) == 1 else ""
        return f"{_place(path, of_env, file)}{'.'.join(path)}: {_unknown(path[-1], _keys(model, path[:-1]), near)}"
    text = problem["msg"].removeprefix("Value error, ")
    shown = f"{'.'.join(path)}{_given(path, problem['input'])}: " if path else ""
    return f"{_place(path, of_env, file)}{shown}{text}"


def _place(path: Sequence[str], of_env: Values, file: Path | None) -> str:
    inner: Any = of_env
    for step in path:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if path and inner is not None:
        return f"{PREFIX}{'__'.join(path).upper()}: "
    return f"{file}: " if file else ""


def _keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Returns the keys that are allowed in the table at `path`."""
    for step in path:
        if step in model.model_fields:  # else it is the name of an account or of a webhook
            model = _table(model, step) or model
    return list(model.model_fields)


def _table(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Returns the model of a table, or of each entry of a table of names; None for a single value."""
    annotation = model.model_fields[key].annotation
    nested = [annotation, *getattr(annotation, "__args__", ())]
    return next((kind for kind in nested if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _place_of(key: str, model: type[BaseModel]) -> list[str]:
    """Finds a key that was written without its table: `accounts.default.rate` for `rate`. Empty if there is none."""
    tables = {name: table for name in model.model_fields if (table := _table(model, name))}
    for name, table in tables.items():
        above = [name, *EXAMPLE_NAMES.get(name, ())]
        if key in table.model_fields:
            return [*above, key]
        if inner := _place_of(key, table):
            return [*above, *inner]
    return []


def _unknown(key: str, allowed: list[str], near: str = "") -> str:
    """Writes the error for an unknown key. `near`: the whole name of the key that was meant, if it is known."""
    near = near or next(iter(difflib.get_close_matches(key, allowed, n=1)), "")
    hint = f"did you mean {near}? " if near else ""
    return f"unknown key; {hint}allowed: {', '.join(allowed)}"


def _given(path: Sequence[str], value: object) -> str:
    """Writes ` = 'fast'`; nothing if the value may hold a secret: a password, a URL, a whole table."""
    secret = any(word in path[-1] for word in ("password", "secret"))
    hidden = isinstance(value, dict) or secret or path[-1].endswith("url")
    return "" if hidden else f" = {repr(value)[:200]}"
