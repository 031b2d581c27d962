"""Loads the few settings that a short-lived program needs, without the time that the others take.

They have the same names in the same places as in `Settings`. A value that is not plainly right here is left to
`Settings`, which also raises the errors. A test compares the two.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sesq.config.places import default_data_dir, expand, find_file, read_toml
from sesq.config.redis_url import parse_redis_url

LONGEST_TIMEOUT_SECONDS = 3600.0
LONGEST_KEEP_DAYS = 36_500.0

_plain: dict[str, Callable[[Any], Any]] = {
    "redis_url": parse_redis_url,
    "redis_timeout_seconds": lambda value: isinstance(value, float) and 0 < value <= LONGEST_TIMEOUT_SECONDS,
    "data_dir": lambda value: value.strip() == value != "",
    "keep_days": lambda value: isinstance(value, float) and 0 < value <= LONGEST_KEEP_DAYS,
    "mail_domain": re.compile(r"[\w-]+(\.[\w-]+)+", re.ASCII).fullmatch,
}
"""Key -> whether a value is plainly right. It is true of no value that `Settings` refuses."""

_NUMBERS = frozenset({"redis_timeout_seconds", "keep_days"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Essentials:
    """Holds these settings, with the names and meanings of `Settings`."""

    redis_url: str | None = None
    redis_timeout_seconds: float = 5.0
    data_dir: Path
    keep_days: float = 14.0
    mail_domain: str | None = None

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Essentials:
        """Reads the file and the environment that `Settings.load` reads. Raises `SettingsError`."""
        env = os.environ if env is None else env
        try:
            given = {name: value for name in _plain if (value := _value(name, env)) is not None}
            data_dir = expand(Path(given.pop("data_dir", default_data_dir(env)))).absolute()
            return cls(data_dir=data_dir, **given)
        except (ValueError, TypeError, AttributeError, OSError):
            return cls._of_settings(env)

    @classmethod
    def _of_settings(cls, env: Mapping[str, str]) -> Essentials:
        from sesq.config.settings import Settings  # slow: this module exists to avoid it

        settings = Settings.load(env=env)
        return cls(**{name: getattr(settings, name) for name in _plain})


def _value(name: str, env: Mapping[str, str]) -> Any:
    """Reads the value of one key; None if it is not given. Raises ValueError and others if it is not plainly right."""
    names = [each for each in env if each.upper() == f"SESQ_{name.upper()}"]
    value = env[names[0]] if names else _of_file(env).get(name)
    if value is None:
        return None
    if name in _NUMBERS:
        value = float(value)
    if len(names) > 1 or not _plain[name](value):
        raise ValueError(name)
    return value


def _of_file(env: Mapping[str, str]) -> dict[str, Any]:
    file = find_file(env)
    return read_toml(file) if file else {}
