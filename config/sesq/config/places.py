"""Finds the settings file, and the folder for sesq's own files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sesq.config.errors import SettingsError

NO_HOME = Path("/nonexistent")
"""The home directory of a user that has none, as in Debian. Nothing can be kept there."""


def find_file(env: Mapping[str, str]) -> Path | None:
    """Finds the settings file; None if there is none. If $SESQ_CONFIG is set, it is that one, whether it exists or not.

    Raises SettingsError if that cannot be a path.
    """
    if env.get("SESQ_CONFIG"):
        return _named(env["SESQ_CONFIG"])
    candidates = (Path("sesq.toml"), _home("XDG_CONFIG_HOME", ".config", env) / "sesq" / "sesq.toml")
    return next((file for file in candidates if file.is_file()), None)


def read_toml(file: Path) -> dict[str, Any]:
    """Reads the values of a file, which may begin with a byte order mark. Raises OSError and ValueError."""
    return parse_toml(file.read_text("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """Reads TOML. Raises ValueError, which says where it is wrong."""
    toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    values: dict[str, Any] = toml.loads(text)
    return values


def default_data_dir(env: Mapping[str, str]) -> Path:
    """Returns the folder for sesq's data in the user's own folder for data of programs."""
    return _home("XDG_DATA_HOME", ".local/share", env) / "sesq"


def expand(path: Path) -> Path:
    """Replaces `~` in a path by the home directory. Raises ValueError if that is not known."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: there is no such home directory; write the whole path") from None


def _named(path: str) -> Path:
    try:
        return expand(Path(path))
    except ValueError as error:
        raise SettingsError(f"SESQ_CONFIG: {error}") from error


def _home(variable: str, fallback: str, env: Mapping[str, str]) -> Path:
    if env.get(variable):
        return Path(env[variable])
    if env.get("HOME"):
        return Path(env["HOME"]) / fallback
    try:
        return Path.home() / fallback
    except RuntimeError:  # a container's user, without a name and without HOME
        return NO_HOME / fallback
