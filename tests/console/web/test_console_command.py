"""`sesq console`: what it refuses to do, and the secrets that it prints hashes of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sesq.console.app import app
from sesq.console.web.people import People, hash_token
from sesq.producer.submission.users import is_password

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SESQ_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.chdir(tmp_path)
    return lambda *words, stdin=None: CliRunner().invoke(
        app, ["console", *words], input=stdin, prog_name="sesq"
    )


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--host", "0.0.0.0"], "give --users FILE"),
        (["--host", "0.0.0.0", "--users", "u.toml"], "needs --tls-cert and --tls-key, or --behind"),
        (["--host", "mail", "--tls-cert", "x", "--tls-key", "x"], "give --users FILE"),
        (["--proxy-header", "X-User"], "needs --behind ADDRESS and --users FILE"),
        (["--proxy-header", "X-User", "--users", "u.toml"], "needs --behind ADDRESS and --users FILE"),
        (
            ["--behind", "127.0.0.1", "--allowed-host", "mail.example.com"],
            "--behind: everybody who reaches the proxy",
        ),
        (["--users", "none.toml"], "none.toml: cannot be read as TOML"),
    ],
)
def test_it_does_not_open_to_strangers(run: Run, words: list[str], cure: str) -> None:
    result = run(*words)
    assert result.exit_code in (1, 2)
    assert cure in result.stderr or "Redis" in result.stderr
    if "none.toml" not in words:
        assert cure in result.stderr


def test_a_password_and_a_token_are_told_as_hashes(run: Run, tmp_path: Path) -> None:
    hashed = run("--hash-password", stdin="correct horse\n").stdout.strip()
    assert is_password("correct horse", hashed)
    assert run("--hash-password", stdin="\n").exit_code == 2
    told = run("--new-token").stdout
    token = re.search(r"^token: (\S+)$", told, re.MULTILINE)
    line = re.search(r"^for the users file: (token = .*)$", told, re.MULTILINE)
    assert token
    assert line
    file = tmp_path / "users.toml"
    file.write_text(f"[ada]\n{line[1]}\n")
    visitor = People.read(file, "").by_token(token[1])
    assert visitor is not None
    assert visitor.name == "ada"
    assert hash_token(token[1]) in line[1]
