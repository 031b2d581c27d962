"""What a worker knows without asking SES."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from sesq.queue.envelope import Envelope
from sesq.worker import rules as module
from sesq.worker.rules import Block, Missing, Rules, read_block
from stage import Stage

SENDER = "shop@example.com"


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def envelope(*to: str, **options: Any) -> Envelope:
    return Envelope(sender=f"Shop <{SENDER}>", to=to or ("ada@example.org",), **options)


def test_before_anything_is_known_ses_judges(redis: Redis) -> None:
    rules = Rules(redis, "default", "eu-west-1")
    rules.refresh()
    assert rules.missing(envelope()) is None


def test_the_sender_is_looked_at_first_and_the_first_recipient_named(stage: Stage) -> None:
    stage.sync(production=0, identities={})
    reason = f"sender {SENDER} is not verified in eu-west-1"
    assert stage.rules.missing(envelope()) == Missing(f"sender:{SENDER}", reason, True)
    stage.sync(production=0, identities={"example.com": True, "ada@example.org": True})
    missing = stage.rules.missing(envelope("ada@example.org", "bob@example.org", "cleo@example.org"))
    assert missing == Missing(
        "recipient:bob@example.org", "recipient bob@example.org is not verified in eu-west-1", False
    )
    assert stage.rules.missing(envelope("bounce@simulator.amazonses.com")) is None
    stage.sync(production=1, identities={"example.com": True})
    assert stage.rules.missing(envelope("bob@example.org")) is None


def test_what_comes_true(stage: Stage) -> None:
    stage.sync(production=0, identities={"example.com": True})
    satisfied = stage.rules.satisfied
    assert satisfied(f"sender:{SENDER}")
    assert satisfied("recipient:ada@mail.example.com")
    assert not satisfied("recipient:ada@example.org")
    stage.sync(production=1, identities={})
    assert satisfied("recipient:ada@example.org")
    assert not satisfied(f"sender:{SENDER}")
    for hold in ("account", "credentials", "configuration_set:news", "person"):
        assert not satisfied(hold)
    stage.sync(production=0)
    assert not satisfied("recipient:ada@example.org")


def test_identities_are_read_again_only_after_a_sync(stage: Stage) -> None:
    stage.sync(production=0, identities={"example.com": True})
    stage.redis.delete(stage.keys.identities)
    stage.rules.refresh()
    assert stage.rules.identities.covers_sender(SENDER)
    stage.sync(production=0)
    assert not stage.rules.identities.covers_sender(SENDER)


def test_identities_are_read_after_a_sync_with_a_clock_that_was_set_back(stage: Stage) -> None:
    stage.sync(production=1, identities={"other.example": True})
    assert stage.rules.missing(envelope()) is not None
    stage.pass_time(-3600)
    stage.sync(production=1, identities={"example.com": True})
    assert stage.rules.missing(envelope()) is None


def test_nothing_is_read_where_nothing_is_missing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rules, "refresh", lambda self: pytest.fail("asked Redis for every mail"))
    assert stage.rules.missing_now(envelope()) is None


def test_what_this_process_has_just_learnt_outlives_a_look_into_redis(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that says so is not written down yet."""
    stage.rules.block("account", "Because.")
    stage.rules.refresh()
    assert stage.rules.missing_now(envelope()) == Missing("account", "Because.", False)
    # but not for long
    monkeypatch.setattr(module, "JUST_LEARNT_SECONDS", 0.0)
    assert stage.rules.missing_now(envelope()) is None


@pytest.mark.parametrize(
    "hold",
    ["account", "credentials", f"sender:{SENDER}", "configuration_set:news", "recipient:bob@example.org"],
)
def test_everything_that_ses_refuses_as_a_whole_stops_the_mail_that_has_to_do_with_it(
    hold: str, stage: Stage
) -> None:
    stage.rules.block(hold, "Because.")
    mail = envelope("ada@example.org", "bob@example.org", configuration_set="news")
    assert stage.rules.missing_now(mail) == Missing(hold, "Because.", False)
    other = Envelope(sender="news@example.net", to=("eve@example.org",), configuration_set="other")
    stopped = stage.rules.missing(other) is not None
    assert stopped is (hold in ("account", "credentials"))


def test_the_first_refusal_is_named_and_it_counts_more_than_an_identity(stage: Stage) -> None:
    stage.sync(production=0, identities={})
    for hold in (f"sender:{SENDER}", "credentials", "account"):
        stage.rules.block(hold, hold)
        missing = stage.rules.missing(envelope())
        assert missing == Missing(hold, hold, False)


@pytest.mark.parametrize(
    ("packed", "block"),
    [
        ('[5, "Why.", 1]', Block(5.0, "Why.", True, "")),
        ('[5.5, "Why.", 0, "id"]', Block(5.5, "Why.", False, "id")),
        *(
            (damaged, Block(0.0, "the reason is damaged in Redis", True, ""))
            for damaged in ("{", "[]", "[5]", "null", '["x", "Why.", 0]', '[null, "Why.", 0]', "5")
        ),
    ],
)
def test_a_refusal_as_it_stands_in_redis(packed: str, block: Block) -> None:
    assert read_block(packed) == block
