"""What Django's signal tells of messages; and options that stay with a message which is built anew."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.dispatch import Signal
from django.test import override_settings
from redis import Redis

import django_project  # noqa: F401  (it configures Django, once for the process)
from batch_stage import BatchStage
from pages import code_on
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InvalidMessage
from sesq.producer.django import EmailBackend
from sesq.producer.django.kept_options import keep_options
from sesq.producer.django.management.commands import sesq_events
from sesq.producer.django.signals import ChangedMessage, message_changed
from sesq.queue.events import MessageEvent, listen
from sesq.queue.states import State
from sesq.worker.verdicts import Kind
from stage import says


@pytest.fixture(autouse=True)
def _settings(redis: Redis, redis_server: EmbeddedRedis) -> Iterator[None]:
    with override_settings(SESQ_REDIS_URL=redis_server.url):
        yield


@pytest.fixture
def heard() -> Iterator[list[ChangedMessage]]:
    events: list[ChangedMessage] = []

    def hear(sender: type, event: ChangedMessage, **_: Any) -> None:
        assert sender is ChangedMessage
        events.append(event)

    message_changed.connect(hear)
    yield events
    message_changed.disconnect(hear)


def test_receivers_hear_of_each_change_once_by_the_command(redis: Redis, heard: list[ChangedMessage]) -> None:
    # Given an application that listens, and mail of which SES refuses one
    listen(redis, "default", "django")
    stage = BatchStage(redis)
    stage.sync(rate=1000, daily=50_000)
    sent = stage.queue(["Ada <ada@example.org>", "bob@example.org"], tags={"kind": "receipt"})
    stage.work()
    refused = stage.queue("eve@example.org")
    stage.transport.answer(says(Kind.REFUSED))
    stage.work()
    # When the command runs, Then its receivers hear in order, in anymail's words
    call_command("sesq_events", "--idle", "0.1")
    assert [(event.sesq_id, event.event_type) for event in heard] == [
        (sent, "queued"),
        (sent, "sending"),
        (sent, "sent"),
        (refused, "queued"),
        (refused, "sending"),
        (refused, "rejected"),
    ]
    third, last = heard[2], heard[-1]
    assert third.message_id == stage.status(sent).message_id
    assert (third.recipient, third.recipients) == ("ada@example.org", ("ada@example.org", "bob@example.org"))
    assert (third.tags, third.reject_reason, third.timestamp.timestamp()) == (
        {"kind": "receipt"},
        None,
        pytest.approx(stage.now, abs=0.001),
    )
    assert (last.reject_reason, last.description, last.state) == ("invalid", "Because.", State.REFUSED)
    # and a second run tells nothing again
    heard.clear()
    call_command("sesq_events", "--idle", "0.1")
    assert heard == []


def event(**told: Any) -> MessageEvent:
    return MessageEvent(**{"id": "5-0", "account": "default", "at": 5.0, "message": "m", **told})


@pytest.mark.parametrize(
    ("state", "event_type", "reject_reason"),
    [
        ("scheduled", "queued", None),
        ("queued", "queued", None),
        ("sending", "sending", None),
        ("retrying", "deferred", None),
        ("held", "held", None),
        ("unknown", "unknown", None),
        ("sent", "sent", None),
        ("delivered", "delivered", None),
        ("bounced", "bounced", None),
        ("complained", "complained", "spam"),
        ("refused", "rejected", "invalid"),
        ("suppressed", "rejected", "blocked"),
        ("failed", "failed", "other"),
        ("expired", "failed", "timed_out"),
        ("cancelled", "cancelled", None),
    ],
)
def test_each_state_has_a_word_of_anymail(state: str, event_type: str, reject_reason: str | None) -> None:
    changed = ChangedMessage.of(event(state=state, reason="why"))
    assert (changed.event_type, changed.reject_reason) == (event_type, reject_reason)
    assert (changed.state, changed.description, changed.recipient) == (state, "why", None)


@pytest.mark.parametrize(
    ("kind", "reject_reason"),
    [("hard", "bounced"), ("soft", "other"), ("prevented", "blocked"), ("rejected", "invalid"), ("", None)],
)
def test_a_bounce_says_whether_the_address_is_bad(kind: str, reject_reason: str | None) -> None:
    changed = ChangedMessage.of(event(state="bounced", was="sent", kind=kind))
    assert (changed.event_type, changed.reject_reason) == ("bounced", reject_reason)


def test_a_gap_is_told_too() -> None:
    changed = ChangedMessage.of(event(type="gap", message="", since=1.0, until=5.0))
    assert (changed.event_type, changed.sesq_id) == ("gap", "")


def test_there_is_a_row_for_every_state() -> None:
    rows = test_each_state_has_a_word_of_anymail.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {state for state, *_ in rows} == {state.value for state in State}


def test_a_receiver_that_fails_is_called_again_and_the_others_with_it(
    heard: list[ChangedMessage], caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    failures = [RuntimeError("no database")] * 2

    def fail(**_: Any) -> None:
        if failures:
            raise failures.pop()

    message_changed.connect(fail)
    try:
        assert sesq_events.tell_with_patience(event(state="sent"), waits.append)
        assert (len(heard), waits) == (3, [1, 2])
        assert "passed over" not in caplog.text
        # One that always fails is passed over, and that is in the log
        failures += [RuntimeError("no database")] * 5
        assert not sesq_events.tell_with_patience(event(state="sent"), waits.append)
        assert waits == [1, 2, 1, 2, 4, 8]
        assert "event 5-0 is passed over: 1 receivers failed 5 times" in caplog.text
    finally:
        message_changed.disconnect(fail)


def test_an_event_waits_while_the_database_is_away(heard: list[ChangedMessage]) -> None:
    failures: list[Exception] = [OperationalError("gone away")] * 12

    def fail(**_: Any) -> None:
        if failures:
            raise failures.pop()

    waits: list[float] = []
    message_changed.connect(fail)
    try:
        assert sesq_events.tell_with_patience(event(state="sent"), waits.append)
        assert waits == [1.0] * 12
    finally:
        message_changed.disconnect(fail)


def test_sigterm_lets_the_next_run_begin_at_once(
    redis: Redis, heard: list[ChangedMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(redis, "default", "django")
    id = BatchStage(redis).queue()
    with monkeypatch.context() as patch:
        patch.setattr(sesq_events, "tell", lambda _: os.kill(os.getpid(), signal.SIGTERM))
        call_command("sesq_events", "--idle", "0.1")
    assert not redis.exists("sesq:default:reader:django")
    call_command("sesq_events", "--idle", "0.1")
    assert [each.sesq_id for each in heard] == [id]


def test_an_event_whose_handling_was_cut_short_is_told_again(
    redis: Redis, heard: list[ChangedMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(redis, "default", "django")
    ids = [BatchStage(redis).queue() for _ in range(2)]

    def interrupt(*_: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sesq_events, "tell_with_patience", interrupt)
        call_command("sesq_events", "--idle", "0.1")
    call_command("sesq_events", "--idle", "0.1")
    assert [each.sesq_id for each in heard] == ids


def test_the_command_says_what_is_wrong(redis: Redis) -> None:
    with pytest.raises(CommandError, match="AppConfig"):
        call_command("sesq_events", "--idle", "0.1")
    assert not redis.exists("sesq:default:listening")


@pytest.mark.usefixtures("heard")
def test_the_command_says_which_name_is_wrong() -> None:
    with pytest.raises(CommandError, match="consumer"):
        call_command("sesq_events", "--consumer", "a b")
    assert isinstance(message_changed, Signal)


def test_options_and_ids_stay_with_a_message_that_is_built_anew(redis: Redis) -> None:
    # Given a message whose options were kept, to more people than SES takes at once
    people = [f"p{i}@example.org" for i in range(60)]
    first = EmailMessage("Hi", "Hello", "shop@example.com", people)
    ids = keep_options(first, lane="bulk", tags={"kind": "news", "list": "a"}, idempotency_key="june")
    assert first.sesq_ids == ids  # type: ignore[attr-defined]
    # When a package writes it down, and sends it later as a message of its own
    again = EmailMessage(first.subject, first.body, first.from_email, first.to, headers=first.extra_headers)
    assert EmailBackend().send_messages([again]) == 1
    # Then the queue has it under those ids, with those options
    stage = BatchStage(redis)
    records = [stage.status(id) for id in ids]
    assert again.sesq_ids == ids  # type: ignore[attr-defined]
    assert [len(record.envelope.recipients) for record in records] == [50, 10]
    assert {record.lane for record in records} == {"bulk"}
    assert all(record.envelope.tags == {"kind": "news", "list": "a"} for record in records)
    assert b"X-Sesq" not in (redis.get(f"sesq:default:content:{ids[0]}") or b"")
    # and if it is sent once more, it is still one message
    EmailBackend().send_messages(
        [EmailMessage(first.subject, first.body, first.from_email, first.to, headers=first.extra_headers)]
    )
    assert redis.llen("rq:queue:sesq.default.bulk") == 2


def test_a_person_who_is_named_twice_has_one_place_and_what_is_none_is_not_said() -> None:
    people = [f"p{i}@example.org" for i in range(50)]
    email = EmailMessage("Hi", "Hello", "shop@example.com", people, cc=["p0@EXAMPLE.org"])
    assert len(keep_options(email, send_at=None, lane="bulk")) == 1
    assert set(email.extra_headers) == {"X-Sesq-Id", "X-Sesq-Lane"}


def test_options_without_a_header_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="account"):
        keep_options(EmailMessage("Hi", "Hello", "shop@example.com", ["a@example.org"]), account="eu")


def test_the_receiver_and_the_kept_options_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    message = EmailMessage("Hi", "Hello", "shop@example.com", ["a@example.org"])
    names: dict[str, Any] = {"message": message}
    for code in code_on("how-to/django.md"):
        if "keep_options" in code or "receivers.py" in code:
            exec(code, names)
    assert names["ids"] == message.sesq_ids  # type: ignore[attr-defined]
    assert message.extra_headers["X-Sesq-Lane"] == "bulk"
    message_changed.send(
        ChangedMessage,
        event=ChangedMessage.of(event(state="bounced", kind="hard", reason="no such user", message_id="x")),
    )
    assert capsys.readouterr().out == "None x no such user\n"
