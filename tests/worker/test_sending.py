"""One message at a worker: what is sent, what is not tried, and what each answer leads to; on the real gate."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from redis import Redis

from agreement import assert_agreement
from sesq.config.errors import QueueUnavailable
from sesq.producer import Message
from sesq.queue import gate as gate_module
from sesq.queue.gate import INLINE_CONTENT_BYTES
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.retry import RetryPolicy
from sesq.worker.round_trip import UNUSED_SECONDS
from sesq.worker.sending import BLIP_LONGEST_SECONDS
from sesq.worker.transports import Outgoing, SendFailed
from sesq.worker.verdicts import Kind, Verdict
from stage import Stage, says, used_by

URL = "https://email.example/v2/email/outbound-emails"


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


def books(stage: Stage) -> tuple[float, int]:
    """Tokens and the day's recipients: as before where nothing was spent."""
    usage = stage.gate.usage()
    return usage.tokens, usage.total


def test_sent_with_its_message_id_written_down_and_the_body_gone(stage: Stage) -> None:
    id = stage.queue(["ada@example.org", "bob@example.org"], cc="cleo@example.org")
    stage.work()
    record = stage.status(id)
    assert (record.state, record.message_id, record.attempts) == (State.SENT, "recorded-1", 1)
    assert stage.transport.sent[0].id == id
    assert stage.transport.sent[0].content.text == "Hello."
    assert not stage.redis.exists(stage.keys.content(id))
    assert stage.gate.usage().total == 3
    assert_agreement(stage.redis)


def test_the_body_is_kept_where_the_settings_say_so(stage: Stage) -> None:
    stage.sender = stage.new_sender(keep_content=True)
    id = stage.queue()
    stage.work()
    assert stage.redis.ttl(stage.keys.content(id)) > 0
    assert_agreement(stage.redis)


def test_a_large_body_is_fetched_by_the_one_who_sends_it(stage: Stage) -> None:
    text = "x" * (INLINE_CONTENT_BYTES + 1)
    stage.queue(text=text)
    _, (begun,) = stage.claim()
    assert begun.content is None
    assert begun.size > INLINE_CONTENT_BYTES
    stage.gate.settle([stage.sender.send_message(begun)])
    assert stage.transport.sent[0].content.text == text
    assert_agreement(stage.redis)


def test_a_body_just_small_enough_comes_along(stage: Stage) -> None:
    stage.queue(text="x" * (INLINE_CONTENT_BYTES - 200))
    _, (begun,) = stage.claim()
    assert begun.content is not None


@pytest.mark.parametrize("raw", [False, True], ids=["simple", "raw"])
def test_a_body_that_is_gone_fails_its_message_and_nothing_empty_is_sent(stage: Stage, raw: bool) -> None:
    mail = b"From: shop@example.com\r\nTo: ada@example.org\r\nSubject: Hi\r\n\r\nHello.\r\n"
    id = stage.outbox.send(Message.from_bytes(mail)) if raw else stage.queue()
    before = books(stage)
    stage.redis.delete(stage.keys.content(id))
    stage.work()
    record = stage.status(id)
    assert record.state is State.FAILED
    assert "gone" in record.reason
    assert stage.transport.tried == []
    assert books(stage) == before
    assert_agreement(stage.redis)


def test_a_body_of_another_version_holds_its_message_before_anything_leaves(stage: Stage) -> None:
    id = stage.queue()
    stage.redis.set(stage.keys.content(id), '{"v": 99}')
    stage.work()
    assert (stage.state(id), stage.status(id).hold) == (State.HELD, "version:99")
    assert stage.transport.tried == []


def test_a_record_of_another_version_is_held_alone(stage: Stage) -> None:
    bad, good = stage.queue(), stage.queue()
    stage.redis.hset(stage.keys.message(bad), "v", 99)
    before = books(stage)
    stage.work()
    assert stage.redis.hmget(stage.keys.message(bad), "state", "hold") == [b"held", b"version:99"]
    assert stage.state(good) is State.SENT
    assert books(stage) == (before[0] - 1, before[1] + 1)
    assert_agreement(stage.redis)


def test_what_smtp_cannot_carry_is_refused_and_costs_nothing(redis: Redis) -> None:
    # Given mail that was queued before anybody knew that its account sends by SMTP
    stage = Stage(redis, by_smtp=True)
    id, other = stage.queue(track=False), stage.queue()
    before = books(stage)
    # When its turn comes, Then it does not leave without what it asked for, and the other mail goes
    stage.work()
    record = stage.status(id)
    assert record.state is State.REFUSED
    assert record.reason.startswith("track: only SES's API takes it")
    assert stage.state(other) is State.SENT
    assert books(stage) == (before[0] - 1, before[1] + 1)


def test_mail_waits_for_the_address_that_is_told_of_bounces(stage: Stage) -> None:
    stage.sync(identities={"example.com": True})
    id = stage.queue(feedback_to="bounces@other.example")
    stage.work()
    record = stage.status(id)
    assert (record.state, record.hold) == (State.HELD, "sender:bounces@other.example")
    assert record.reason == (
        "sender bounces@other.example (who is told of bounces) is not verified in eu-west-1"
    )
    assert stage.transport.tried == []


def away(*_: object, **__: object) -> bytes:
    raise QueueUnavailable("Redis cannot be reached")


def test_redis_away_before_the_send_puts_it_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    id = stage.queue(text="x" * (INLINE_CONTENT_BYTES + 1))
    before = books(stage)
    with monkeypatch.context() as patch:
        patch.setattr(stage.gate, "content", away)
        stage.work()
    record = stage.status(id)
    assert (record.state, record.attempts) == (State.QUEUED, 0)
    assert books(stage) == before
    stage.work()
    assert stage.state(id) is State.SENT
    assert_agreement(stage.redis)


# what each answer leads to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.DAY_SPENT, Kind.PAUSED, Kind.SUSPENDED])
def test_what_ses_says_of_everybody_costs_no_attempt_and_no_place(stage: Stage, kind: Kind) -> None:
    first, second = stage.queue(), stage.queue()
    stage.transport.answer(says(kind))
    stage.work(want=1)
    assert stage.status(first).attempts == 0
    assert stage.gate.usage().total == 0
    # and the next claim rests
    claim, begun = stage.claim()
    assert begun == []
    assert claim.reason == {Kind.RATE: "rate", Kind.DAY_SPENT: "day"}.get(kind, "ses_paused")
    # until SES says otherwise
    stage.sync()
    stage.pass_time(1)
    assert [b.id for b in stage.claim()[1]] == [first, second]


def test_a_throttle_slows_down_for_a_while_and_the_pace_comes_back(stage: Stage) -> None:
    pace = stage.gate.usage().pace
    for _ in range(9):
        stage.queue()
        stage.transport.answer(says(Kind.RATE))
        stage.pass_time(1)
        stage.work(want=1)
    usage = stage.gate.usage()
    assert usage.throttles == 9
    assert pace / 2 <= usage.pace < 0.65 * pace
    stage.pass_time(3600)
    assert stage.gate.usage().pace == pytest.approx(pace)


def test_system_wide_throttling_waits_longer_and_spends_no_attempt(stage: Stage) -> None:
    id = stage.queue()
    stage.transport.answer(says(Kind.THROTTLED))
    stage.work()
    assert (stage.state(id), stage.status(id).attempts) == (State.RETRYING, 0)
    assert_agreement(stage.redis)


def test_a_blip_is_tried_again_within_the_delivery_with_tokens_of_its_own(stage: Stage) -> None:
    id = stage.queue()
    level = stage.gate.usage().tokens
    stage.transport.answer(ConnectTimeoutError(endpoint_url=URL), ConnectTimeoutError(endpoint_url=URL))
    stage.work()
    record = stage.status(id)
    assert (record.state, record.attempts, len(stage.transport.tried)) == (State.SENT, 1, 3)
    assert stage.gate.usage().total == 1
    assert stage.gate.usage().tokens < level
    assert_agreement(stage.redis)


def test_at_one_a_second_the_blip_waits_for_the_next_second(stage: Stage) -> None:
    stage.sync(rate=1.0, daily=200.0)
    stage.pass_time(1.01)
    id = stage.queue()
    arrivals: list[float] = []

    def ses(outgoing: Outgoing) -> str:
        arrivals.append(stage.now)
        return "taken"

    stage.transport.answer(ConnectTimeoutError(endpoint_url=URL), ses)
    start = stage.now
    stage.work()
    assert stage.state(id) is State.SENT
    assert arrivals[0] - start >= 1.0
    # and the one after it waits a second from that answer
    stage.queue()
    assert stage.claim()[0].reason == "rate"
    stage.pass_time(1.01)
    assert len(stage.claim()[1]) == 1


def test_a_blip_is_not_tried_again_after_the_messages_time(stage: Stage) -> None:
    # Given a message with a minute left, and a connection that takes longer than that to fail
    id = stage.queue(expires_at=datetime.fromtimestamp(stage.now + 60, timezone.utc))

    def late(_: Outgoing) -> str:
        stage.pass_time(61)
        raise SendFailed(says(Kind.TRANSIENT))

    stage.transport.answer(late)
    stage.work()
    # Then it was tried once, and will not be again
    stage.gate.promote()
    assert (stage.state(id), len(stage.transport.tried)) == (State.EXPIRED, 1)
    assert_agreement(stage.redis)


def test_a_blip_that_stays_goes_back_with_one_attempt_spent_and_the_day_given_back(stage: Stage) -> None:
    id = stage.queue()
    stage.transport.answer(*[ConnectTimeoutError(endpoint_url=URL)] * 3)
    stage.work()
    record = stage.status(id)
    assert (record.state, record.attempts, len(stage.transport.tried)) == (State.RETRYING, 1, 3)
    assert stage.gate.usage().total == 0
    assert_agreement(stage.redis)
    # its first delay is five seconds, then it goes to the head of its lane
    other = stage.queue()
    assert stage.gate.promote()[0] == 0
    stage.pass_time(5)
    assert stage.gate.promote()[0] == 1
    assert [b.id for b in stage.claim()[1]] == [id, other]


def test_while_the_account_is_paused_a_blip_is_not_tried_again(stage: Stage) -> None:
    id = stage.queue()
    stage.transport.answer(ConnectTimeoutError(endpoint_url=URL))
    _, (begun,) = stage.claim()
    stage.policy.pause("stop", by="ada")
    stage.gate.settle([stage.sender.send_message(begun)])
    assert len(stage.transport.tried) == 1
    assert stage.state(id) is State.RETRYING


def test_redis_away_during_a_blip_leaves_the_first_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue()
    stage.transport.answer(ConnectTimeoutError(endpoint_url=URL))
    with monkeypatch.context() as patch:
        patch.setattr(stage.gate, "renew_tokens", away)
        stage.work()
    assert stage.state(id) is State.RETRYING


def test_out_of_attempts_it_has_failed_and_can_be_queued_again(stage: Stage) -> None:
    id = stage.queue()
    for _ in range(stage.sender.policy.retry.max_attempts):
        stage.transport.answer(*[ConnectTimeoutError(endpoint_url=URL)] * 3)
        stage.work()
        stage.pass_time(2000)
        stage.gate.promote()
    record = stage.status(id)
    assert record.state is State.FAILED
    assert record.attempts == stage.sender.policy.retry.max_attempts
    assert "Given up" in record.reason
    assert_agreement(stage.redis)
    stage.messages.retry(id, "ada")
    stage.work()
    assert stage.state(id) is State.SENT


@pytest.mark.parametrize(
    ("account", "own", "state"),
    [
        ("hold", None, State.UNKNOWN),
        ("hold", "resend", State.RETRYING),
        ("resend", None, State.RETRYING),
        ("resend", "hold", State.UNKNOWN),
    ],
)
def test_a_lost_reply_is_unknown_unless_the_policy_says_resend(
    stage: Stage, account: str, own: str | None, state: State
) -> None:
    stage.sender = stage.new_sender(on_unknown=account)
    id = stage.queue(on_unknown=own)
    stage.transport.answer(ReadTimeoutError(endpoint_url=URL))
    stage.work()
    record = stage.status(id)
    assert (record.state, record.attempts) == (state, 1)
    assert len(stage.transport.tried) == 1
    # SES may have counted it
    assert stage.gate.usage().total == 1
    assert stage.redis.exists(stage.keys.content(id))
    assert_agreement(stage.redis)


@pytest.mark.parametrize("then", ["refused", "given up", "expired", "cancelled", "suppressed"])
def test_of_what_ses_may_have_taken_nobody_says_that_it_was_not_sent(stage: Stage, then: str) -> None:
    # Given a message whose reply was lost, and that is sent again, as its policy says
    stage.sender = stage.new_sender(on_unknown="resend", retry=RetryPolicy(max_attempts=2))
    id = stage.queue(expires_at=datetime.fromtimestamp(stage.now + 3600, timezone.utc))
    stage.transport.answer(ReadTimeoutError(endpoint_url=URL))
    stage.work()
    assert stage.state(id) is State.RETRYING
    # When its second try comes to nothing
    if then == "cancelled":
        assert stage.messages.cancel(id, "ada") is State.UNKNOWN
    elif then == "expired":
        stage.pass_time(3601)
        stage.gate.promote()
    elif then == "suppressed":
        SuppressionList(stage.redis).add([Suppressed("ada@example.org", "BOUNCE", stage.now, "test")])
        stage.rules.refresh()
    stage.transport.answer(
        *[says(Kind.REFUSED)] if then == "refused" else [ConnectTimeoutError(endpoint_url=URL)] * 3
    )
    stage.pass_time(60)
    stage.gate.promote()
    stage.work()
    # Then it is still unknown, with its body and with no result for RQ; a person may judge it
    record = stage.status(id)
    assert (record.state, "may have taken an earlier try" in record.reason) == (State.UNKNOWN, True)
    assert stage.redis.exists(stage.keys.content(id))
    assert not stage.redis.exists(f"rq:results:{id}")
    assert_agreement(stage.redis)
    stage.messages.cancel(id, "ada")
    assert stage.state(id) is State.CANCELLED


def test_resolved_as_queued_it_is_a_message_like_any_other(stage: Stage) -> None:
    stage.sender = stage.new_sender(on_unknown="resend", retry=RetryPolicy(max_attempts=2))
    id = stage.queue()
    stage.transport.answer(*[ReadTimeoutError(endpoint_url=URL)] * 2, says(Kind.REFUSED))
    stage.work()
    stage.pass_time(60)
    stage.gate.promote()
    stage.work()
    stage.messages.resolve(id, "queued", "ada")
    stage.work()
    assert stage.state(id) is State.REFUSED


@pytest.mark.parametrize("answer", ["id", says(Kind.REFUSED), says(Kind.UNKNOWN)])
def test_who_is_left_out_costs_nothing(stage: Stage, answer: str | Verdict) -> None:
    # Given two of four recipients on the suppression list, one of them of the mailbox simulator
    nobody = "bounce@simulator.amazonses.com"
    left_out = ("ada@example.org", nobody)
    SuppressionList(stage.redis).add([Suppressed(address, "BOUNCE", 0, "test") for address in left_out])
    stage.rules.refresh()
    stage.queue(["ada@example.org", "bob@example.org"], cc="cleo@example.org", bcc=nobody)
    full, _ = books(stage)
    # When it goes to the other two
    stage.transport.answer(answer)
    stage.work()
    # Then these alone are counted; a refusal costs nothing of the day
    spent = 0 if answer == says(Kind.REFUSED) else 2
    assert (stage.transport.tried[0].envelope.rate_cost, books(stage)) == (2, (full - 2, spent))


def test_who_is_left_out_leaves_the_others_where_they_were(stage: Stage) -> None:
    # Given a mail to two in each of its fields, the first of whom is on the suppression list
    fields = {
        field: [f"{who}.{field}@example.org" for who in ("ada", "bob")] for field in ("to", "cc", "bcc")
    }
    SuppressionList(stage.redis).add([Suppressed(ada, "bounce", 0, "test") for ada, _ in fields.values()])
    stage.rules.refresh()
    stage.queue(**fields)
    # When it goes, then to the second of each, in the same field
    stage.work()
    envelope = stage.transport.sent[0].envelope
    left = {"to": envelope.to, "cc": envelope.cc, "bcc": envelope.bcc}
    assert left == {field: (bob,) for field, (_, bob) in fields.items()}


def test_mail_to_the_mailbox_simulator_is_not_redirected(stage: Stage) -> None:
    """It reaches nobody; redirected it would cost of the day what was not claimed."""
    stage.sender = stage.new_sender(on_unverified="redirect", redirect_to="dev@example.com")
    stage.queue("success@simulator.amazonses.com")
    stage.work()
    assert stage.transport.sent[0].envelope.to == ("success@simulator.amazonses.com",)


def test_refused_is_the_end_and_costs_no_day(stage: Stage) -> None:
    id = stage.queue()
    stage.transport.answer(says(Kind.REFUSED, reason="SES refuses this message."))
    stage.work()
    assert (stage.state(id), stage.status(id).reason) == (State.REFUSED, "SES refuses this message.")
    assert stage.gate.usage().total == 0
    assert_agreement(stage.redis)


def test_a_bug_in_a_transport_is_judged_by_who_asked(stage: Stage) -> None:
    """The sender knows nothing of foreign errors: it lets them through, and the worker calls it unknown."""

    def broken(_: Outgoing) -> str:
        raise ZeroDivisionError

    stage.queue()
    stage.transport.answer(broken)
    _, (begun,) = stage.claim()
    with pytest.raises(ZeroDivisionError):
        stage.sender.send_message(begun)


# who may not receive ------------------------------------------------------------------------------------------------

SANDBOX = {"production": 0, "identities": {"example.com": True, "ada@example.org": True}}


def test_a_recipient_that_is_not_verified_is_held_without_a_call(stage: Stage) -> None:
    stage.sync(**SANDBOX)
    before = books(stage)
    id = stage.queue(["ada@example.org", "bob@example.org"])
    stage.work()
    record = stage.status(id)
    assert record.state is State.HELD
    assert record.hold == "recipient:bob@example.org"
    assert record.reason == "recipient bob@example.org is not verified in eu-west-1"
    assert stage.transport.tried == []
    assert books(stage) == before
    assert stage.messages.holds() == {record.hold: record.reason}
    assert_agreement(stage.redis)


def test_refuse_ends_what_hold_would_keep(stage: Stage) -> None:
    stage.sender = stage.new_sender(on_unverified="refuse")
    stage.sync(**SANDBOX)
    known = stage.queue("bob@example.org")
    stage.work()
    stage.sync(production=0)  # the identities may not be listed: SES judges
    judged = stage.queue("cleo@example.org")
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "recipient:cleo@example.org"))
    stage.work()
    assert [stage.state(id) for id in (known, judged)] == [State.REFUSED, State.REFUSED]
    assert stage.messages.holds() == {}
    assert stage.gate.usage().total == 0
    assert_agreement(stage.redis)


def test_redirect_sends_all_to_one_address_and_to_nobody_else(stage: Stage) -> None:
    stage.sender = stage.new_sender(on_unverified="redirect", redirect_to="ada@example.org")
    stage.sync(**SANDBOX)
    id = stage.queue("bob@example.org", cc="cleo@example.org", bcc="dan@example.org")
    stage.work()
    assert stage.state(id) is State.SENT
    assert stage.transport.sent[0].envelope.recipients == ("ada@example.org",)
    assert stage.status(id).envelope.to == ("bob@example.org",)


@pytest.mark.parametrize("place", ["to", "cc", "bcc"])
def test_redirect_leaves_out_the_others_of_a_mail_to_the_mailbox_simulator_too(
    place: str, stage: Stage
) -> None:
    stage.sender = stage.new_sender(on_unverified="redirect", redirect_to="ada@example.org")
    stage.sync(**SANDBOX)
    people = {"to": "bob@example.org", "cc": "cleo@example.org", "bcc": "dan@example.org"}
    stage.queue(**{**people, place: "success@simulator.amazonses.com"})
    stage.work()
    assert stage.transport.sent[0].envelope.recipients == ("ada@example.org",)


def test_redirect_to_an_address_that_is_not_verified_is_held(stage: Stage) -> None:
    stage.sender = stage.new_sender(on_unverified="redirect", redirect_to="eve@example.org")
    stage.sync(**SANDBOX)
    id = stage.queue("ada@example.org")
    stage.work()
    assert stage.status(id).hold == "recipient:eve@example.org"


def test_a_recipient_verified_a_moment_ago_is_not_held_by_an_old_list(stage: Stage) -> None:
    """The worker that was woken by the freeing has read its list up to a second ago."""
    stage.sync(**SANDBOX)
    id = stage.queue("bob@example.org")
    old = (stage.rules.snapshot, stage.rules.identities)
    stage.sync(production=0, identities={**SANDBOX["identities"], "bob@example.org": True})
    stage.rules.snapshot, stage.rules.identities = old
    stage.work()
    assert stage.state(id) is State.SENT


# what SES refuses as a whole ----------------------------------------------------------------------------------------

BLOCKS: list[tuple[str, dict[str, str], Kind]] = [
    ("sender:shop@example.com", {}, Kind.CONFIGURATION),
    ("sender:shop@example.com", {}, Kind.UNVERIFIED_SENDER),
    ("configuration_set:news", {"configuration_set": "news"}, Kind.CONFIGURATION),
    ("account", {}, Kind.CONFIGURATION),
    ("credentials", {}, Kind.CREDENTIALS),
]


@pytest.mark.parametrize(("hold", "options", "kind"), BLOCKS)
def test_the_others_of_a_refused_stream_are_not_tried(
    stage: Stage, hold: str, options: dict[str, str], kind: Kind
) -> None:
    ids = [stage.queue(**options) for _ in range(5)]
    stage.transport.answer(says(kind, hold))
    stage.work()
    assert len(stage.transport.tried) == 1
    assert {stage.status(id).hold for id in ids} == {hold}
    assert stage.gate.usage().total == 0
    # nor by another process, which learns of it from Redis
    other = Stage.__new__(Stage)
    other.__dict__.update(stage.__dict__)
    other.rules = type(stage.rules)(stage.redis, "default", "eu-west-1")
    other.rules.refresh()
    other.sender = other.new_sender()
    late = stage.queue(**options)
    other.work()
    assert len(stage.transport.tried) == 1
    assert stage.status(late).hold == hold
    assert_agreement(stage.redis)


def test_other_senders_and_sets_go_on(stage: Stage) -> None:
    stage.transport.answer(
        says(Kind.CONFIGURATION, "sender:shop@example.com"),
        says(Kind.CONFIGURATION, "configuration_set:news"),
    )
    stage.queue()
    stage.queue(sender="b@example.com", configuration_set="news")
    stage.work()
    ids = [stage.queue(sender="b@example.com"), stage.queue(sender="c@example.com", configuration_set="x")]
    stage.work()
    assert [stage.state(id) for id in ids] == [State.SENT, State.SENT]


def test_a_set_called_none_does_not_block_mail_without_a_set(stage: Stage) -> None:
    stage.transport.answer(says(Kind.CONFIGURATION, "configuration_set:None"))
    stage.queue(configuration_set="None")
    id = stage.queue()
    stage.work()
    assert stage.state(id) is State.SENT


def test_a_recipient_that_ses_refuses_against_its_own_list_is_not_tried_with_every_mail(stage: Stage) -> None:
    stage.transport.answer(says(Kind.CONFIGURATION, "recipient:ada@example.org"))
    first, second, other = stage.queue(), stage.queue(), stage.queue("bob@example.org")
    stage.work()
    assert [stage.state(id) for id in (first, second, other)] == [State.HELD, State.HELD, State.SENT]
    assert len(stage.transport.tried) == 2
    assert_agreement(stage.redis)


def test_the_block_keeps_its_age_while_others_are_held_by_it(stage: Stage) -> None:
    """Else the time for a new try would never come while mail keeps coming."""
    stage.transport.answer(says(Kind.CONFIGURATION, "account"))
    stage.queue()
    stage.work()
    written = stage.redis.hget(stage.keys.blocks, "account")
    stage.pass_time(200)
    stage.queue()
    stage.work()
    assert stage.redis.hget(stage.keys.blocks, "account") == written


def test_an_answer_nobody_knows_holds_its_message_alone_for_a_person(stage: Stage) -> None:
    stage.transport.answer(says(Kind.UNRECOGNIZED, "person"))
    id, other = stage.queue(), stage.queue()
    stage.work()
    assert (stage.status(id).hold, stage.state(other)) == ("person", State.SENT)
    assert not stage.redis.exists(stage.keys.blocks)
    assert_agreement(stage.redis)


# never after its time -----------------------------------------------------------------------------------------------


def until(stage: Stage, seconds: float) -> datetime:
    return datetime.fromtimestamp(stage.now + seconds, timezone.utc)


def in_the_queue(stage: Stage) -> str:
    return stage.queue(expires_at=until(stage, 10))


def in_the_schedule(stage: Stage) -> str:
    return stage.queue(send_at=until(stage, 9), expires_at=until(stage, 10))


def held(stage: Stage) -> str:
    id = stage.queue(expires_at=until(stage, 10))
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "recipient:ada@example.org"))
    stage.sync(production=0)
    stage.work()
    return id


def retrying(stage: Stage) -> str:
    id = stage.queue(expires_at=until(stage, 10))
    stage.transport.answer(says(Kind.THROTTLED))
    stage.work()
    return id


@pytest.mark.parametrize("where", [in_the_queue, in_the_schedule, held, retrying])
def test_expired_it_is_never_sent_wherever_it_waited(stage: Stage, where: Callable[[Stage], str]) -> None:
    id = where(stage)
    assert stage.state(id) is not State.EXPIRED
    tried = len(stage.transport.tried)
    other = stage.queue("bob@example.org")
    stage.pass_time(10)
    stage.messages.free("recipient:ada@example.org", "verified")
    stage.gate.promote()
    stage.work()
    assert stage.state(id) is State.EXPIRED
    assert stage.state(other) is State.SENT
    assert len(stage.transport.tried) == tried + 1
    assert_agreement(stage.redis)


def test_just_in_time_it_may_leave_and_for_so_long(stage: Stage) -> None:
    id = in_the_queue(stage)
    stage.pass_time(9.999)
    before = time.monotonic()
    _, (begun,) = stage.claim()
    assert begun.id == id
    assert before + 0.001 <= begun.leave_by <= time.monotonic() + 0.001


def test_expired_between_claim_and_begin_it_is_not_sent(stage: Stage) -> None:
    id = in_the_queue(stage)
    stage.pass_time(9.9)
    before = books(stage)
    claim = stage.ask(want=1)
    assert claim.ids == (id,)
    stage.pass_time(0.2)
    assert stage.gate.start(claim.grants) == []
    assert stage.state(id) is State.EXPIRED
    assert books(stage)[1] == before[1]
    assert_agreement(stage.redis)


def slow(stage: Stage, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Redis takes so long to hand out a content."""
    fetch, clock = stage.gate.content, time.monotonic

    def content(id: str) -> bytes:
        stage.pass_time(seconds)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + seconds)
        return fetch(id)

    monkeypatch.setattr(stage.gate, "content", content)


LARGE = "x" * (INLINE_CONTENT_BYTES + 1)


def test_expired_while_its_content_was_fetched_it_is_not_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, other = stage.queue(text=LARGE, expires_at=until(stage, 10)), stage.queue(text=LARGE)
    before = books(stage)
    _, begun = stage.claim()
    slow(stage, monkeypatch, 10.0)
    stage.gate.settle([*map(stage.sender.send_message, begun)])
    assert (stage.state(id), stage.state(other)) == (State.EXPIRED, State.SENT)
    assert [each.id for each in stage.transport.tried] == [other]
    assert books(stage)[1] == before[1] + 1
    assert_agreement(stage.redis)


def test_its_time_counts_from_before_the_last_look_however_long_the_answer_takes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue(expires_at=until(stage, 10))
    claim = stage.ask(want=1)
    run, clock = gate_module.run_many, time.monotonic

    def answers_late(*args: Any) -> Any:
        heard = run(*args)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 10)
        return heard

    monkeypatch.setattr(gate_module, "run_many", answers_late)
    stage.gate.settle([*map(stage.sender.send_message, stage.gate.start(claim.grants))])
    assert (stage.state(id), stage.transport.sent) == (State.EXPIRED, [])


def test_a_content_that_came_too_late_for_its_tokens_gets_new_ones(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue(text=LARGE)
    before = books(stage)
    _, (begun,) = stage.claim()
    slow(stage, monkeypatch, 1.0)
    stage.gate.settle([stage.sender.send_message(used_by(begun, time.monotonic() + UNUSED_SECONDS))])
    assert stage.state(id) is State.SENT
    assert books(stage) == (before[0] - 1, before[1] + 1)
    assert_agreement(stage.redis)


def test_where_there_are_no_new_tokens_it_goes_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    id = stage.queue(text=LARGE)
    before = books(stage)
    _, (begun,) = stage.claim()
    slow(stage, monkeypatch, 1.0)
    stage.policy.pause("stop", by="ada")
    stage.gate.settle([stage.sender.send_message(used_by(begun, time.monotonic() + UNUSED_SECONDS))])
    assert (stage.state(id), stage.status(id).attempts, stage.transport.tried) == (State.QUEUED, 0, [])
    assert books(stage) == before
    assert_agreement(stage.redis)


def test_another_try_that_is_late_leaves_the_first_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stage.queue(expires_at=until(stage, 10))
    stage.transport.answer(says(Kind.TRANSIENT))
    take, clock = stage.gate.renew_tokens, time.monotonic

    def answers_late(*args: Any, **kwargs: Any) -> Any:
        answer = take(*args, **kwargs)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 10)
        return answer

    monkeypatch.setattr(stage.gate, "renew_tokens", answers_late)
    stage.work()
    assert (stage.state(id), len(stage.transport.tried)) == (State.RETRYING, 1)


def test_a_clock_that_was_set_back_after_a_throttle_stops_nothing(stage: Stage) -> None:
    first = stage.queue()
    stage.transport.answer(says(Kind.RATE))
    stage.work()
    pace = stage.gate.usage().pace
    stage.pass_time(-3600)
    assert stage.gate.usage().pace >= pace
    stage.pass_time(3600 + 30)
    stage.gate.promote()
    stage.work()
    assert stage.state(first) is State.SENT


@pytest.mark.parametrize(("rate", "n"), [(1.0, 1), (1.0, 3), (14.0, 50)])
def test_however_late_its_content_comes_it_pays_once_and_need_not_wait(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, rate: float, n: int
) -> None:
    stage.sync(rate=rate, daily=50_000.0)
    stage.pass_time(5)
    id = stage.queue([f"p{i}@example.org" for i in range(n)], text=LARGE)
    before = stage.gate.usage()
    _, (begun,) = stage.claim()
    slow(stage, monkeypatch, 1.0)
    stage.gate.settle([stage.sender.send_message(used_by(begun, time.monotonic() + UNUSED_SECONDS))])
    assert (stage.state(id), stage.slept) == (State.SENT, [])
    assert stage.gate.usage().tokens == pytest.approx(before.tokens - n)
    assert_agreement(stage.redis)


def test_tokens_that_another_has_taken_meanwhile_are_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a mail whose content comes late, at one a second, and another that went meanwhile
    stage.sync(rate=1.0, daily=50_000.0)
    stage.pass_time(5)
    id = stage.queue(text=LARGE)
    _, (begun,) = stage.claim()
    stage.redis.hset(stage.keys.gate, "level", "-2.5")
    slow(stage, monkeypatch, 1.0)
    stage.gate.settle([stage.sender.send_message(used_by(begun, time.monotonic() + UNUSED_SECONDS))])
    assert stage.state(id) is State.SENT
    assert sum(stage.slept) == pytest.approx(1.5, abs=0.05)


def test_tokens_that_others_take_again_and_again_are_not_waited_for_without_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a mail whose content comes late, at one a second, and others that are quicker each time
    stage.sync(rate=1.0, daily=50_000.0)
    stage.pass_time(5)
    id = stage.queue(text=LARGE)
    _, (begun,) = stage.claim()

    def others_are_quicker(seconds: float) -> None:
        assert len(stage.slept) < 10, "it waits without end"
        stage.sleep(seconds)
        stage.redis.hincrbyfloat(stage.keys.gate, "level", -1)

    stage.redis.hset(stage.keys.gate, "level", "-2.5")
    monkeypatch.setattr(stage.sender, "sleep", others_are_quicker)
    slow(stage, monkeypatch, 1.0)
    # When it asks for new tokens, Then it waits two seconds at most, and goes back
    stage.gate.settle([stage.sender.send_message(used_by(begun, time.monotonic() + UNUSED_SECONDS))])
    assert (stage.state(id), stage.transport.tried) == (State.QUEUED, [])
    assert 1 < sum(stage.slept) <= BLIP_LONGEST_SECONDS
