"""`sesq suppression` as scripts see it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.console.times import parse_moment
from sesq.queue.suppression import Suppressed, SuppressionList
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


def test_an_export_comes_back_as_it_was(run: Run, run_json: Run, here: Path, redis: Redis) -> None:
    # Given a list from several sources, exported
    told = [
        Suppressed("ada@example.org", "bounce", 1_700_000_000.123, "event of 0102-000000"),
        Suppressed("Bob@example.org", "complaint", 1_600_000_000.0, "SES's list"),
        Suppressed("eve@example.org", "manual", 1_500_000_000.5, 'old, "odd".csv, by ops@host\nand others'),
    ]
    ours = SuppressionList(redis)
    ours.add(told)
    exported = run("suppression", "export").stdout
    (here / "list.csv").write_bytes(exported.encode())
    run("suppression", "remove", *(each.address for each in told))
    # When it is imported, then all is as it was, and once more changes nothing
    assert "3 added, 3 read" in run("suppression", "import", "list.csv").stdout
    assert set(ours) == set(told)
    assert sorted(run("suppression", "export").stdout.splitlines()) == sorted(exported.splitlines())
    assert "0 added, 3 read" in run("suppression", "import", "list.csv").stdout
    assert {each["email"] for each in run_json("suppression", "export")} == {each.address for each in told}


def test_an_empty_export_comes_back_too(run: Run, here: Path) -> None:
    (here / "list.csv").write_text(run("suppression", "export").stdout)
    assert "0 added, 0 read" in run("suppression", "import", "list.csv").stdout


def test_an_export_holds_no_formula_and_comes_back_as_it_was(run: Run, run_json: Run, here: Path) -> None:
    names = {"=cmd@example.org", "+ada@example.org", "-x@example.org"}
    (here / "list.csv").write_text("email,source\n" + "".join(f"{name},a;=1+1\n" for name in names))
    run("suppression", "import", "list.csv")
    exported = run("suppression", "export").stdout
    assert not re.search(r"(^|[;,\n])[\s\"]*[=+\-@]", exported)
    run("suppression", "remove", "--", *names)
    (here / "export.csv").write_text(exported)
    assert "3 added" in run("suppression", "import", "export.csv").stdout
    assert set(listed(run_json)) == names


def test_what_a_file_does_not_say_is_now_and_by_whom(run: Run, run_json: Run, here: Path) -> None:
    (here / "list.csv").write_text("email,reason,at,source\nada@example.org,BOUNCE,,\n")
    run("suppression", "import", "list.csv")
    (one,) = run_json("suppression", "list")
    assert (one["reason"], one["source"].startswith("list.csv, by ")) == ("bounce", True)
    assert abs(parse_moment(one["at"], "at").timestamp() - time.time()) < 60


def test_a_plain_list_is_imported_and_a_bad_line_is_named(run: Run, run_json: Run, here: Path) -> None:
    assert "2 added" in run("suppression", "import", "-", stdin="ada@example.org\n\nbob@example.org\n").stdout
    assert listed(run_json) == {"ada@example.org": "manual", "bob@example.org": "manual"}
    (here / "bad.csv").write_text("email,reason\neve@example.org,bounce\nmallory@,bounce\n")
    (here / "odd.csv").write_text("email,reason\neve@example.org,dislike\n")
    (here / "late.csv").write_text("email,at\neve@example.org,2026-01-01T00:00Z\nbob@example.org,yesterday\n")
    (here / "plus.csv").write_text("email,at\neve@example.org,+10m\n")
    for file, said in (
        ("bad.csv", "line 3"),
        ("odd.csv", "line 2: reason 'dislike'"),
        ("late.csv", "line 3: at: 'yesterday'"),
        ("plus.csv", "line 2: at: '+10m'"),
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
