"""Where sesq looks for its settings file, and where it keeps its own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def find_file(env: Mapping[str, str]) -> Path | None:
    """The settings file that counts under `env`, if there is one. $SESQ_CONFIG is taken at its word."""
    if env.get("SESQ_CONFIG"):
        return Path(env["SESQ_CONFIG"]).expanduser()
    candidates = (Path("sesq.toml"), _home("XDG_CONFIG_HOME", ".config", env) / "sesq" / "sesq.toml")
    return next((file for file in candidates if file.is_file()), None)


def default_data_dir(env: Mapping[str, str]) -> Path:
    """The user's own folder for data of programs."""
    return _home("XDG_DATA_HOME", ".local/share", env) / "sesq"


def _home(variable: str, fallback: str, env: Mapping[str, str]) -> Path:
    return Path(env.get(variable) or Path(env.get("HOME") or Path.home()) / fallback)
