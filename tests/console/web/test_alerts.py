"""Alerts of the overview: each is said once, and has a link or a button that leads out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from redis import Redis
from rq.suspension import suspend

from sesq.queue.policy import Policy
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.queue.tenant_limits import TenantLimits
from stage import Stage

Console = Callable[..., Any]
ALERT = re.compile(r'<div class="alert.*?</div>', re.DOTALL)
NOT_SAID_TWICE = (
    "may have been sent, or not",
    "Damaged",
    "complaints",
    "bulk mail of tenant zeta is paused",
    "SES has disabled acme",
    "sender shop@example.com is not verified",
)


def _all_is_wrong(stage: Stage) -> None:
    stage.policy.pause("complaints", by="ada", bulk_only=True)
    TenantLimits(stage.redis).pause("zeta", "a look", by="ada")
    for tenant, hold, why in (
        ("acme", "tenant:acme", "SES has disabled acme"),
        (None, "sender:shop@example.com", "sender shop@example.com is not verified"),
    ):
        stage.queue(tenant=tenant)
        claim, _ = stage.claim(1)
        stage.gate.settle([SendResult(claim.grants[0], State.HELD, hold=hold, held_because=why, block=True)])
    stage.queue()
    claim, _ = stage.claim(1)
    stage.gate.settle([SendResult(claim.grants[0], State.UNKNOWN)])
    stage.redis.hset(stage.keys.restored, "before", 1)
    for key in (stage.keys.batch("b"), stage.keys.message("m"), stage.keys.gate):
        stage.redis.hset(stage.keys.damaged, key, "its state is no text")
    stage.queue()
    suspend(stage.redis)


def alerts(visit: Any) -> list[str]:
    return ALERT.findall(visit.get("overview").text)


def leads_to(alert: str) -> list[str]:
    """Where its links and forms go."""
    return [unescape(path) for path in re.findall(r'(?:href|action)="([^"]+)"', alert)]


def test_each_alert_has_a_way_out_that_is_there(console: Console, redis: Redis) -> None:
    _all_is_wrong(Stage(redis))
    visit = console()
    found = alerts(visit)
    assert len(found) >= 10
    for alert in found:
        ways = leads_to(alert)
        assert ways, alert
        for path in ways:
            if not path.endswith(("resume", "sync")):
                gone = path.endswith(("/batches/b", "/messages/m"))
                assert visit.get(path).status_code == (404 if gone else 200), path


def test_what_is_wrong_is_said_once(console: Console, redis: Redis) -> None:
    _all_is_wrong(Stage(redis))
    page = console().get("overview").text
    (section,) = re.findall(r'<section id="alerts".*?</section>', page, re.DOTALL)
    for words in NOT_SAID_TWICE:
        assert section.count(words) <= 1, words


@pytest.mark.parametrize("mail", ["bulk", "all"])
def test_a_pause_is_ended_where_it_is_told(console: Console, redis: Redis, mail: str) -> None:
    policy, visit = Policy(redis), console()
    policy.pause("a look", by="ada", bulk_only=mail == "bulk")
    (alert,) = [each for each in alerts(visit) if f"Resume {mail} mail" in each]
    assert leads_to(alert) == ["/accounts/default/quota/resume"]
    fields = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', alert))
    assert (fields["mail"], fields["back"]) == (mail, "overview")
    visit.post("quota/resume", {"mail": mail, "back": "overview"})
    assert (policy.paused, policy.bulk_paused) == ("", "")


def test_who_may_only_look_gets_links_alone(console: Console, redis: Redis, tmp_path: Any) -> None:
    from sesq.console.web.people import hash_token

    users = tmp_path / "users.toml"
    users.write_text(f'[bob]\ntoken = "{hash_token("t")}"\n')
    Policy(redis).pause("a look", by="ada")
    visit = console(users=users)
    page = visit.get("overview", headers={"Authorization": "Bearer t"}).text
    assert ALERT.findall(page)
    assert "<button" not in "".join(ALERT.findall(page))
    assert all(leads_to(alert) for alert in ALERT.findall(page))


def test_to_write_to_a_stranger_asks_first(console: Console) -> None:
    visit = console()
    assert 'action="/accounts/default/identities/verify" class="search"' in visit.get("identities").text
    question = visit.get("identities/verify?name=eve@example.org").text
    assert "Verify <bdi>eve@example.org</bdi>?" in question
    assert "SES sends a mail with a link to this address" in question
    assert visit.get("identities/verify?name=nobody@").status_code == 422
