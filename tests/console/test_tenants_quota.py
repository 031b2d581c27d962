"""`sesq quota --tenant`: a tenant has less than its share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.queue.tenant_states import SendingStatus, TenantState, TenantStates
from sesq.worker.events import Feedback

Run = Callable[..., Result]
RunJson = Callable[..., Any]
UNHEARD_OF = {"ses": None, "asked_at": None, "sent": 0, "bounced": 0, "complained": 0}


def test_a_tenant_is_limited_and_is_not_any_more(run: Run, run_json: RunJson) -> None:
    set_to = run_json("quota", "set", "--tenant", "acme", "--rate", "5/second", "--daily", "2000/day")
    assert set_to == {
        "acme": {
            "rate": 5.0,
            "daily": 2000.0,
            "used": 0,
            "paused": False,
            "paused_because": None,
            "ramp": None,
            **UNHEARD_OF,
        }
    }
    assert "5/second" in run("quota", "show", "--tenants").stdout
    assert run_json("quota", "set", "--tenant", "acme", "--daily", "unlimited") == {
        "acme": {
            "rate": 5.0,
            "daily": None,
            "used": 0,
            "paused": False,
            "paused_because": None,
            "ramp": None,
            **UNHEARD_OF,
        }
    }
    assert "tenant acme: rate: not set -> 5" in run("quota", "history").stdout
    assert run_json("quota", "reset", "--tenant", "acme", "rate") == {}
    assert "no tenant has mail or limits" in run("quota", "show", "--tenants").stdout
    assert run_json("quota", "show")["rate"]["origin"] == "default"


def test_bulk_mail_of_a_tenant_is_paused_and_resumed(run: Run, run_json: RunJson) -> None:
    assert "tenant acme paused" in run("quota", "pause", "--tenant", "acme", "a look").stdout
    told = run_json("quota", "show", "--tenants")["acme"]
    assert (told["paused"], told["paused_because"]) == (True, "a look")
    assert run_json("status")["bulk_paused"] is False
    assert "tenant acme: paused:bulk: not set -> a look" in run("quota", "history").stdout
    assert "tenant acme open" in run("quota", "resume", "--tenant", "acme").stdout
    assert run_json("quota", "show", "--tenants") == {}


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


def test_what_ses_says_of_a_tenant_and_its_week(run: Run, run_json: RunJson, redis: Redis) -> None:
    # Given a tenant that SES has stopped, and one of whose mail some bounced
    TenantStates(redis).note("acme", TenantState(SendingStatus.DISABLED, 1_700_000_000))
    for name in ("a", "b"):
        Feedback(redis, "default").handle(bounce(name, "other"))
    told = run_json("quota", "show", "--tenants")
    assert list(told) == ["acme", "other"]
    assert (told["acme"]["ses"], told["acme"]["asked_at"]) == ("DISABLED", "2023-11-14T22:13:20.000Z")
    assert (told["acme"]["sent"], told["acme"]["rate"], told["acme"]["ramp"]) == (0, None, None)
    assert {name: told["other"][name] for name in ("ses", "sent", "bounced", "complained")} == {
        "ses": None,
        "sent": 0,
        "bounced": 2,
        "complained": 0,
    }
    table = run("quota", "show", "--tenants").stdout
    assert "DISABLED" in table
    assert "bounced" in table


def bounce(name: str, tenant: str) -> str:
    """A hard bounce of a tenant's mail, as SES tells it."""
    detail = {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": name}
    mail = {"messageId": name, "destination": [f"{name}@x.org"], "tags": {"ses:tenant-name": [tenant]}}
    return json.dumps({"eventType": "Bounce", "mail": mail, "bounce": detail})


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["set", "--tenant", "acme", "--rate", "5", "--for", "2h"], 2, "--for"),
        (["set", "--tenant", "acme", "--rate", "5", "--force"], 2, "--force"),
        (["set", "--tenant", "acme", "--burst", "5"], 2, "no limit of a tenant"),
        (["set", "--tenant", "acme", "--daily", "20"], 2, "at least 50"),
        (["set", "--tenant", "acme corp", "--rate", "5"], 2, "tenant"),
        (["set", "--tenant", "acme"], 2, "nothing to set"),
        (["ramp", "--tenant", "acme", "--from", "20", "--to", "90", "--over", "2d"], 2, "at least 50"),
        (["reset", "--tenant", "acme", "margin"], 2, "no limit of a tenant"),
    ],
)
def test_what_a_tenant_cannot_have_is_refused(
    run: Run, run_json: RunJson, arguments: list[str], status: int, words: str
) -> None:
    refused = run("quota", *arguments)
    assert (refused.exit_code, words in refused.stderr) == (status, True), refused.stderr
    assert run_json("quota", "show", "--tenants") == {}
