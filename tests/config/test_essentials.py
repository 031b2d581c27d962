"""`Essentials` is `Settings`, only sooner: the same values, the same errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sesq.config.errors import SettingsError
from sesq.config.essentials import Essentials
from sesq.config.settings import Settings

KEYS = ("redis_url", "redis_timeout_seconds", "data_dir", "keep_days", "mail_domain")
WORDS = "redis://localhost/1 redis+sentinel://a:1,b/s http://x unix:///run/r.sock 5 0.5 -1 0 nan inf 1e3 true"
PLACES = "~/mail /var/lib/sesq var example.com mail a.b@c"
VALUES = st.sampled_from([*WORDS.split(), *PLACES.split(), "", " 5", "redis://a b"])
NUMBERS = st.sampled_from([5, 0, -1, 0.5, True, float("inf")])


def both(env: dict[str, str]) -> tuple[Any, Any]:
    """What the two make of it: values, or the error's text."""

    def of(load: Any) -> Any:
        try:
            loaded = load(env=env)
        except SettingsError as error:
            return str(error)
        return {key: getattr(loaded, key) for key in KEYS}

    return of(Essentials.load), of(Settings.load)


def toml(values: dict[str, Any]) -> str:
    def literal(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return repr(value) if isinstance(value, (int, float)) else f'"{value}"'

    return "".join(f"{key} = {literal(value)}\n" for key, value in values.items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    of_env=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    of_file=st.dictionaries(st.sampled_from(KEYS), VALUES | NUMBERS, max_size=3),
    upper=st.booleans(),
)
def test_both_read_the_same(
    of_env: dict[str, str],
    of_file: dict[str, Any],
    upper: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    file = tmp_path / "sesq.toml"
    file.write_text(toml(of_file))
    env = {(f"SESQ_{key}".upper() if upper else f"SESQ_{key}"): value for key, value in of_env.items()}
    ours, theirs = both({"HOME": str(tmp_path), "SESQ_CONFIG": str(file), **env})
    assert ours == theirs


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        Essentials.load({"HOME": str(tmp_path), "SESQ_CONFIG": str(tmp_path / "nowhere.toml")})


def test_what_is_plainly_right_loads_no_pydantic(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from sesq.config.essentials import Essentials
        print(Essentials.load().redis_url, "pydantic" in sys.modules)
    """
    env = {"HOME": str(tmp_path), "SESQ_REDIS_URL": "redis://localhost/1", "SESQ_KEEP_DAYS": "2"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["redis://localhost/1", "False"]
