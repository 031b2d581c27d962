"""`sesq smtp-password`: one credential made from another, and said which is for what."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECRET = "some+secret+key"
PASSWORD = "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"


@pytest.fixture(autouse=True)
def key(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


def test_the_password_is_all_that_stands_on_stdout(run: Callable[..., Any]) -> None:
    ran = run("smtp-password")
    assert (ran.exit_code, ran.stdout) == (0, f"{PASSWORD}\n")
    for part in ("AKIA1", "eu-central-1", "ses:SendRawEmail"):
        assert part in ran.stderr
    assert SECRET not in ran.output


def test_a_region_may_be_named(run_json: Callable[..., Any]) -> None:
    assert run_json("smtp-password", "--region", "us-west-1") == {
        "region": "us-west-1",
        "host": "email-smtp.us-west-1.amazonaws.com",
        "user": "AKIA1",
        "password": "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj",
    }


def test_a_file_is_for_this_user_alone_and_never_written_over(run: Callable[..., Any], here: Path) -> None:
    ran = run("smtp-password", "--file", "secret")
    assert ran.exit_code == 0
    assert PASSWORD not in ran.output
    assert (here / "secret").read_text() == f"{PASSWORD}\n"
    assert stat.S_IMODE((here / "secret").stat().st_mode) == 0o600
    again = run("smtp-password", "--file", "secret")
    assert (again.exit_code, "secret: File exists" in again.stderr) == (2, True)


def test_a_temporary_key_and_no_key_are_refused(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    ran = run("smtp-password")
    assert (ran.exit_code, "temporary key" in ran.stderr) == (1, True)
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    ran = run("smtp-password")
    assert (ran.exit_code, "no AWS access key was found" in ran.stderr) == (1, True)
