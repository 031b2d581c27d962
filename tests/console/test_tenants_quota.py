"""`sesq quota --tenant`: a tenant has less than its share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_a_tenant_is_limited_and_is_not_any_more(run: Run, run_json: RunJson) -> None:
    set_to = run_json("quota", "set", "--tenant", "acme", "--rate", "5/second", "--daily", "2000/day")
    assert set_to == {"acme": {"rate": 5.0, "daily": 2000.0, "used": 0, "ramp": None}}
    assert "5/second" in run("quota", "show", "--tenants").stdout
    assert run_json("quota", "set", "--tenant", "acme", "--daily", "unlimited") == {
        "acme": {"rate": 5.0, "daily": None, "used": 0, "ramp": None}
    }
    assert "tenant acme: rate: not set -> 5" in run("quota", "history").stdout
    assert run_json("quota", "reset", "--tenant", "acme", "rate") == {}
    assert "no tenant is limited" in run("quota", "show", "--tenants").stdout
    assert run_json("quota", "show")["rate"]["origin"] == "default"


def test_a_tenant_has_a_ramp(run: Run, run_json: RunJson) -> None:
    ramp = ("quota", "ramp", "--tenant", "acme")
    told = run_json(*ramp, "--from", "200", "--to", "5000", "--over", "10d")
    assert (told["value"], told["to"], told["day"]) == (200, 5000, 1)
    assert "recipients in 24 hours" in run(*ramp).stdout
    assert run_json("quota", "show", "--tenants")["acme"]["ramp"] == told
    assert "200 on day 1 of 10" in run("quota", "show", "--tenants").stdout
    assert "no ramp" in run("quota", "ramp").stdout
    assert run_json(*ramp, "--stop") is None
    assert "account default, tenant acme: there was no ramp" in run(*ramp, "--stop").stdout
    assert "tenant acme" in run("quota", "history").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["set", "--tenant", "acme", "--rate", "5", "--for", "2h"], 2, "--for"),
        (["set", "--tenant", "acme", "--rate", "5", "--force"], 2, "--force"),
        (["set", "--tenant", "acme", "--burst", "5"], 2, "account alone"),
        (["set", "--tenant", "acme", "--daily", "20"], 2, "at least 50"),
        (["set", "--tenant", "acme corp", "--rate", "5"], 2, "tenant"),
        (["set", "--tenant", "acme"], 2, "nothing to set"),
        (["ramp", "--tenant", "acme", "--from", "20", "--to", "90", "--over", "2d"], 2, "at least 50"),
        (["reset", "--tenant", "acme", "margin"], 2, "account alone"),
    ],
)
def test_what_a_tenant_cannot_have_is_refused(
    run: Run, run_json: RunJson, arguments: list[str], status: int, words: str
) -> None:
    refused = run("quota", *arguments)
    assert (refused.exit_code, words in refused.stderr) == (status, True), refused.stderr
    assert run_json("quota", "show", "--tenants") == {}
