"""`sesq suppression` as scripts see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sesq.simulator import Simulator

Run = Callable[..., Any]


def listed(run_json: Run) -> dict[str, str]:
    return {each["email"]: each["reason"] for each in run_json("suppression", "list")}


def test_addresses_are_added_listed_and_removed(run: Run, run_json: Run) -> None:
    assert "nobody is suppressed" in run("suppression", "list").stdout
    assert (
        "2 added"
        in run("suppression", "add", "ada@Example.org", "bob@example.org", "--reason", "complaint").stdout
    )
    assert listed(run_json) == {"ada@example.org": "complaint", "bob@example.org": "complaint"}
    assert "ada@example.org" in run("suppression", "list").stdout
    (one,) = run_json("suppression", "list", "bob@EXAMPLE.org", "eve@example.org")
    assert (one["reason"], one["source"].count("@")) == ("complaint", 1)
    assert "1 removed" in run("suppression", "remove", "ada@example.org").stdout
    assert run("suppression", "remove", "ada@example.org").exit_code == 1
    assert run("suppression", "add", "nobody").exit_code == 2


def test_an_export_can_be_imported(run: Run, run_json: Run, here: Path) -> None:
    run("suppression", "add", "ada@example.org", "--reason", "bounce")
    (here / "list.csv").write_text(run("suppression", "export").stdout)
    run("suppression", "remove", "ada@example.org")
    assert "1 added, 1 read" in run("suppression", "import", "list.csv").stdout
    assert listed(run_json) == {"ada@example.org": "bounce"}
    assert "0 added, 1 read" in run("suppression", "import", "list.csv").stdout
    assert run_json("suppression", "export")[0]["email"] == "ada@example.org"


def test_a_plain_list_is_imported_and_a_bad_line_is_named(run: Run, run_json: Run, here: Path) -> None:
    assert "2 added" in run("suppression", "import", "-", stdin="ada@example.org\n\nbob@example.org\n").stdout
    assert listed(run_json) == {"ada@example.org": "manual", "bob@example.org": "manual"}
    (here / "bad.csv").write_text("email,reason\neve@example.org,bounce\nmallory@,bounce\n")
    (here / "odd.csv").write_text("email,reason\neve@example.org,dislike\n")
    for file, said in (
        ("bad.csv", "line 3"),
        ("odd.csv", "line 2: reason 'dislike'"),
        ("gone.csv", "cannot be read"),
    ):
        ran = run("suppression", "import", file)
        assert (ran.exit_code, said in ran.stderr) == (2, True), ran.stderr
    assert len(listed(run_json)) == 2
    assert run("suppression", "import").exit_code == 2


@pytest.fixture
def ses(here: Path, monkeypatch: pytest.MonkeyPatch, ses_says: Run) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    with Simulator(control_rate=None, production=True) as simulator:
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__ENDPOINT_URL", simulator.endpoint_url)
        ses_says(production=1)
        yield simulator


def test_out_of_the_sandbox_ses_is_told_and_asked_too(run: Run, run_json: Run, ses: Simulator) -> None:
    run("suppression", "add", "ada@example.org")
    run("suppression", "add", "bob@example.org", "--local")
    assert ses.account()["suppressed"] == ["ada@example.org"]
    run("suppression", "remove", "ada@example.org", "--local")
    assert "1 added" in run("suppression", "import", "--from-ses").stdout
    assert listed(run_json)["ada@example.org"] == "bounce"
    run("suppression", "remove", "ada@example.org")
    assert ses.account()["suppressed"] == []
    # what SES refuses is told, and our own list counts
    ses.set_account(production_access=False)
    ran = run("suppression", "add", "eve@example.org")
    assert (ran.exit_code, "as it was" in ran.stderr) == (0, True)
    assert "eve@example.org" in listed(run_json)
