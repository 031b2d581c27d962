"""One webhook: what it is told and in which order, how often, and what a dead process or endpoint loses: nothing."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from redis_user import limited_client
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import QueueUnavailable
from sesq.console.checkup.rights import ACL
from sesq.producer import Message, Outbox
from sesq.queue.audit import audit
from sesq.queue.events import MessageEvent, forget, listen
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.webhook_body import webhook_id
from sesq.queue.webhook_records import Waiting
from sesq.queue.webhooks import WebhookStore
from sesq.worker.webhooks import endpoint as endpoint_module
from stub_endpoint import StubEndpoint
from told_by_ses import tell
from webhooks import DAY, NAME, SECRET, Clock, Hook

KEYS = Keys("default")
WHOLE_LEASE = 25_000
"""ms: twenty seconds, and the five that one attempt may take here."""
MakeHook = Callable[..., Hook]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hook(redis: Redis, stub: StubEndpoint, clock: Clock) -> Iterator[MakeHook]:
    """`hook(events=…)`: a webhook that listens from now on, and is closed with the test."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Hook:
            made = Hook(redis, stub, clock, **settings)
            stack.callback(made.endpoint.close)
            made.step()
            return made

        yield make


@pytest.fixture
def send(redis: Redis) -> Callable[[], str]:
    mail = Message(sender="shop@example.com", to="Ada <ada@example.org>", subject="Hi", text="Very private.")
    return lambda: Outbox(redis).send(mail)


@pytest.fixture
def cancel(redis: Redis) -> Callable[[str], None]:
    return lambda id: Messages(redis).cancel(id, by="ada")


def unavailable(*_: Any) -> Any:
    raise QueueUnavailable("Redis cannot be reached")


def all_day_but_for_others(h: Hook, send: Callable[[], str]) -> int:
    """What waits first fails until it is given up, and new events are taken. Returns how often it was tried."""
    dead, tried = h.store.health().dead, 0
    while h.store.health().dead == dead and tried < 100:
        send()
        h.step()
        h.clock.now = h.store.next_due() or h.clock.now
        h.stub.plays.append(h.stub.reply(500))
        h.step()
        tried += 1
    return tried


def lapse(redis: Redis) -> None:
    """The leases of a process that was killed have run out."""
    redis.delete(KEYS.webhook_runner(NAME), KEYS.reader(f"webhook:{NAME}"))


def test_each_change_is_told_once_in_order_and_signed(hook: MakeHook, send: Any, cancel: Any) -> None:
    # Given a webhook, and two messages of which one is cancelled
    h = hook()
    one, other = send(), send()
    cancel(one)
    # When it is served, Then it is told all of it
    h.step(2)
    assert h.told == [(one, "queued"), (other, "queued"), (one, "cancelled")]
    first = h.stub.requests[0]
    assert (first.json["type"], first.json["data"]["account"]) == ("message.queued", "default")
    assert first.headers["content-type"] == "application/json"
    assert first.json["timestamp"].endswith("Z")
    # And neither addresses nor content
    assert b"ada@example.org" not in first.body
    assert b"private" not in first.body
    assert h.store.health().delivered == 3


def test_it_is_told_the_states_and_the_recipients_that_it_asks_for(
    hook: MakeHook, send: Any, cancel: Any
) -> None:
    h = hook(events=["cancelled"], recipients=True)
    id = send()
    cancel(id)
    h.step(2)
    assert h.told == [(id, "cancelled")]
    assert h.stub.requests[0].json["data"]["recipients"] == ["ada@example.org"]


@pytest.mark.parametrize(
    ("events", "told"), [(["opened"], ["opened"]), (["delivered"], []), (None, ["opened"])]
)
def test_it_is_told_of_opens_where_it_asks_for_them(
    events: list[str] | None, told: list[str], hook: MakeHook, redis: Redis
) -> None:
    h = hook(**({} if events is None else {"events": events}))
    opened = {"type": "opened", "detail": "{}"}
    tell(redis, "x", "sent", passed_on=opened)
    h.step(2)
    assert [request.json["type"] for request in h.stub.requests] == told


def test_while_one_message_waits_its_later_events_do_and_other_messages_pass(
    hook: MakeHook, send: Any, cancel: Any, stub: StubEndpoint
) -> None:
    # Given an event that the endpoint cannot take now
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    # When more happens to that message, and to another one
    cancel(one)
    other = send()
    h.step(2)
    # Then the other passes
    assert h.told == [(one, "queued"), (other, "queued")]
    # And those of the first come in order, the failed one with the same id, when its time has come
    h.step(after=1.9)
    assert len(h.told) == 2
    h.step(2, after=0.2)
    assert h.told[2:] == [(one, "queued"), (one, "cancelled")]
    assert stub.requests[0].headers["webhook-id"] == stub.requests[2].headers["webhook-id"]
    assert stub.requests[0].body == stub.requests[2].body
    # And nothing is left
    h.step(after=DAY)
    assert len(h.told) == 4
    assert (h.store.health().waiting, h.store.next_due()) == (0, None)


def test_a_series_of_failures_is_logged_once_and_its_end_once(
    hook: MakeHook, send: Any, stub: StubEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    said = "it is tried again|it takes events again"
    h = hook()
    # Given an endpoint that takes the first event, When it does, Then nothing is said
    send()
    h.step()
    assert re.findall(said, caplog.text) == []
    # When it fails twice, and takes events again, Then that is said once each
    for _ in range(2):
        send()
        stub.plays.append(stub.reply(500))
        h.step()
    assert re.findall(said, caplog.text) == ["it is tried again"]
    send()
    send()
    h.step()
    assert re.findall(said, caplog.text) == ["it is tried again", "it takes events again"]


def test_the_first_failure_of_a_process_is_logged(
    hook: MakeHook, send: Any, stub: StubEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    h = hook()
    send()
    stub.plays.append(stub.reply(500))
    h.step()
    assert caplog.text.count("it is tried again") == 1


def test_an_endpoint_that_fails_for_three_messages_rests_twice_as_long_each_time(
    hook: MakeHook, send: Any, stub: StubEndpoint, clock: Clock
) -> None:
    # Given an endpoint that fails for one message after the other
    h, rests = hook(), []
    for _ in range(5):
        send()
        stub.plays.append(stub.reply(500))
        # When it is not asked before its rest is over, and fails again
        h.step(after=max(0.0, h.endpoint._rest_until - clock.now))
        rests.append(round(max(0.0, h.endpoint._rest_until - clock.now)))
    # Then it rests from the third message on
    assert rests == [0, 0, 1, 2, 4]


def test_the_pauses_grow_up_to_an_hour(hook: MakeHook, send: Any, stub: StubEndpoint, clock: Clock) -> None:
    h = hook()
    send()
    stub.plays.extend([stub.reply(500)] * 14)
    h.step()
    pauses = []
    for _ in range(13):
        due = h.store.next_due()
        assert due is not None
        pauses.append(round(due - clock.now))
        h.step(after=due - clock.now)
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [
        (503, "120", 120),
        (429, "999999", 3600),
        (429, "-5", 2),
        (503, "soon", 2),
        (500, "120", 2),
        (503, "", 2),
    ],
)
def test_the_time_that_an_endpoint_asks_for_is_kept_within_bounds(
    hook: MakeHook, send: Any, stub: StubEndpoint, clock: Clock, status: int, header: str, pause: float
) -> None:
    h = hook()
    send()
    stub.plays.append(stub.reply(status, Retry_After=header))
    h.step()
    other = send()
    due = h.store.next_due()
    assert due is not None
    assert round(due - clock.now) == pause
    # And meanwhile nothing else goes there either
    h.step()
    assert ((other, "queued") in h.told) == (pause == 2)


def test_a_later_attempt_keeps_the_time_that_an_endpoint_asks_for_too(
    hook: MakeHook, send: Any, stub: StubEndpoint, clock: Clock
) -> None:
    # Given an event whose first attempt failed
    h = hook()
    send()
    stub.plays.append(stub.reply(500))
    h.step()
    # When the second one is told to come back in ten minutes
    stub.plays.append(stub.reply(503, Retry_After="600"))
    h.step(after=3)
    # Then the third one waits for so long
    assert len(h.told) == 2
    assert round((h.store.next_due() or 0) - clock.now) == 600


def test_an_endpoint_that_fails_as_a_whole_is_left_alone_as_long_as_it_asks_for(
    hook: MakeHook, send: Any, stub: StubEndpoint
) -> None:
    # Given events of three messages that fail, the last one with a request to come back in ten minutes
    h = hook()
    for _ in range(4):
        send()
    stub.plays.extend([stub.reply(500), stub.reply(500), stub.reply(503, Retry_After="600")])
    h.step()
    # When a minute has passed, Then nothing is tried; and all of it after ten minutes
    h.step(2, after=61)
    assert len(h.told) == 3
    h.step(3, after=540)
    assert len(h.told) == 7


def test_once_an_endpoint_takes_events_again_one_that_fails_delays_no_other(
    hook: MakeHook, send: Any, stub: StubEndpoint
) -> None:
    # Given an endpoint that was left alone since events of three messages failed, and that takes events again
    h = hook()
    for _ in range(3):
        send()
    stub.plays.extend([stub.reply(500)] * 3)
    h.step()
    h.step(3, after=10)
    assert len(h.told) == 6
    # When one event fails, Then the next one of another message goes at once
    send()
    other = send()
    stub.plays.append(stub.reply(500))
    h.step()
    assert h.told[-1] == (other, "queued")


def test_an_event_that_nobody_takes_for_a_day_is_given_up_and_can_be_sent_again(
    hook: MakeHook, redis: Redis, send: Any, cancel: Any, stub: StubEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    # Given an event that always fails, and another message's that does not
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    cancel(one)
    other = send()
    h.step()
    # When a day of attempts has passed, among which others were taken
    failed = all_day_but_for_others(h, send)
    h.step()
    # Then it is given up, and what waited behind it is delivered
    assert h.told[:2] == [(one, "queued"), (other, "queued")]
    assert h.told[-1] == (one, "cancelled")
    (letter,) = h.store.dead_letters()
    assert (letter.event.message, letter.event.state, letter.attempts) == (one, "queued", 1 + failed)
    assert letter.why == "it answered 500"
    assert audit(redis) == []
    # And a person sends it again
    assert h.store.revive(h.clock()) == [letter.event.id]
    h.step()
    assert h.told[-1] == (one, "queued")
    assert h.store.dead_letters() == []
    # And no line of the log has the URL, the secret or an address
    assert not any(each in caplog.text for each in ("hidden", SECRET, "ada@", "private"))
    assert letter.event.id in caplog.text


def test_those_that_were_given_up_come_back_in_their_order(
    hook: MakeHook, send: Any, cancel: Any, stub: StubEndpoint
) -> None:
    # Given two events of a message, each of which was given up after a day
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    cancel(one)
    h.step()
    all_day_but_for_others(h, send)
    stub.plays.append(stub.reply(500))
    h.step()
    all_day_but_for_others(h, send)
    assert [each.event.state for each in h.store.dead_letters()] == ["cancelled", "queued"]
    # When all are sent again, Then they come in the order in which they happened
    assert len(h.store.revive(h.clock())) == 2
    h.step(2)
    assert h.told[-2:] == [(one, "queued"), (one, "cancelled")]


def test_an_endpoint_that_fails_all_day_is_disabled_and_said(
    hook: MakeHook, send: Any, stub: StubEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    # Given an endpoint that fails from the first event on
    h = hook()
    one = send()
    stub.plays.extend([stub.reply(502)] * 2)
    h.step()
    # When it still fails a day later, Then it is disabled, and the log says so
    h.fail_for(DAY - 10)
    assert h.store.health().disabled_at is None
    h.fail_for(4000)
    assert h.store.health().disabled_because == "it failed for a day: it answered 502"
    assert "webhook app: disabled: it failed for a day" in caplog.text
    # And it is told nothing, until a person enables it
    other = send()
    requests = len(stub.requests)
    h.step(3, after=4000)
    assert len(stub.requests) == requests
    assert h.store.enable(h.clock())
    h.step(2)
    assert h.store.health().disabled_at is None
    assert (other, "queued") in h.told[requests:]
    assert [(each.event.message) for each in h.store.dead_letters()] == [one]


def test_a_day_in_which_nothing_was_tried_is_no_day_of_failing(
    hook: MakeHook, send: Any, stub: StubEndpoint
) -> None:
    # Given an event that failed once before sesq was stopped for a day
    h = hook()
    id = send()
    stub.plays.extend([stub.reply(500)] * 2)
    h.step()
    # When it fails once more, Then the webhook is not disabled, and its day begins anew
    h.step(after=DAY + 3600)
    assert h.store.health().disabled_at is None
    assert h.store.health().failing_since == pytest.approx(h.clock.now, abs=1)
    # And it is, once it has failed for a day indeed
    h.fail_for(DAY + 4000)
    assert h.store.health().disabled_because == "it failed for a day: it answered 502"
    assert {message for message, _ in h.told} == {id}


def test_an_endpoint_that_is_gone_is_disabled_at_once_and_nothing_is_lost(
    hook: MakeHook, send: Any, stub: StubEndpoint
) -> None:
    h = hook()
    one, other = send(), send()
    stub.plays.append(stub.reply(410))
    h.step(3)
    assert h.told == [(one, "queued")]
    assert "410" in h.store.health().disabled_because
    h.store.enable(h.clock())
    h.step(2)
    assert sorted(h.told[1:]) == sorted([(one, "queued"), (other, "queued")])


@pytest.mark.parametrize(
    "play", [StubEndpoint.reset, StubEndpoint.reply(302, Location="http://127.0.0.1:1/")]
)
def test_what_is_no_success_is_tried_again(hook: MakeHook, send: Any, stub: StubEndpoint, play: Any) -> None:
    h = hook()
    id = send()
    stub.plays.append(play)
    h.step()
    h.step(after=3)
    assert h.told == [(id, "queued")] * 2
    assert h.store.health().waiting == 0


def test_an_endpoint_that_takes_nothing_is_left_alone_for_a_while(
    hook: MakeHook, send: Any, stub: StubEndpoint
) -> None:
    h = hook()
    ids = [send() for _ in range(10)]
    stub.plays.extend([stub.reply(500)] * 3)
    h.step(2)
    assert len(h.told) == 3  # and the others stay where they are
    h.step(3, after=1.3)
    assert [message for message, _ in h.told[3:]] == ids[3:]
    h.step(after=2)
    assert sorted(message for message, _ in h.told[10:]) == sorted(ids[:3])


def test_one_event_that_always_fails_delays_no_other(hook: MakeHook, send: Any, stub: StubEndpoint) -> None:
    h = hook()
    send()
    stub.plays.extend([stub.reply(500)] * 8)
    for _ in range(8):
        h.step(after=300)
    assert len(h.told) == 8
    other = send()
    h.step()
    assert h.told[-1] == (other, "queued")


def test_what_a_killed_process_had_is_delivered_by_the_next(
    hook: MakeHook, redis: Redis, send: Any, cancel: Any, stub: StubEndpoint
) -> None:
    # Given a process that is killed with one event to be tried again, and one that was read and not acknowledged
    killed = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    killed.step()
    other = send()
    reader = killed.endpoint._reader
    assert reader is not None
    reader.read()
    lapse(redis)
    # When another one takes over, Then both are delivered
    successor = hook()
    successor.step(2, after=3)
    assert successor.told == [(one, "queued"), (other, "queued"), (one, "queued")]
    assert audit(redis) == []


def test_only_one_process_delivers_and_the_one_that_lost_the_lease_changes_nothing(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint
) -> None:
    # Given two processes
    first, second = hook(), hook()
    one = send()
    second.step()
    assert second.told == []

    # When the lease of the first goes to the second in the middle of an attempt
    def late(handler: Any) -> None:
        lapse(redis)
        second.step()
        stub.reply(500)(handler)

    stub.plays.append(late)
    first.step()
    # Then the second has delivered, and the first has left no trace of its failure
    first.step()
    second.step()
    assert second.store.health().waiting == 0
    assert {message for message, _ in second.told} == {one}


def test_the_one_that_delivers_keeps_its_lease(
    hook: MakeHook, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a process that delivers, and whose lease soon runs out
    h = hook()
    assert 5000 < redis.pttl(KEYS.webhook_runner(NAME)) <= WHOLE_LEASE
    redis.pexpire(KEYS.webhook_runner(NAME), 5000)
    # When a quarter of the lease has passed by its own clock
    passed = time.monotonic() + WHOLE_LEASE / 4000
    monkeypatch.setattr(endpoint_module, "time", SimpleNamespace(time=time.time, monotonic=lambda: passed))
    h.step()
    # Then the lease is as long as in the beginning
    assert WHOLE_LEASE - 5000 < redis.pttl(KEYS.webhook_runner(NAME)) <= WHOLE_LEASE


def test_what_the_one_that_lost_the_lease_had_read_is_told_once(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint
) -> None:
    # Given a process that has read three events, and loses its lease while it delivers the first
    first, second = hook(), hook()
    ids = [send() for _ in range(3)]

    def late(handler: Any) -> None:
        lapse(redis)
        second.step()
        stub.reply(500)(handler)

    stub.plays.append(late)
    first.step()
    assert second.told == [(id, "queued") for id in [*ids, ids[0]]]
    # When it delivers again, Then it begins with what is new
    second.endpoint.close()
    new = send()
    first.step(3)
    assert first.told[4:] == [(new, "queued")]


def test_a_webhook_that_was_forgotten_while_it_delivered_tells_nothing_of_before(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint
) -> None:
    # Given a process that has read three events, and somebody who forgets the consumer meanwhile
    h = hook()
    ids = [send() for _ in range(3)]

    def forgotten(handler: Any) -> None:
        forget(redis, "default", f"webhook:{NAME}")
        stub.reply(200)(handler)

    stub.plays.append(forgotten)
    h.step()
    # When it listens anew, Then it is told what comes from then on, and no event twice
    h.step(2)
    new = send()
    h.step(2)
    assert h.told[-1] == (new, "queued")
    assert len(set(h.told)) == len(h.told)
    assert h.told[0] == (ids[0], "queued")


@pytest.mark.parametrize("answer", [200, 500])
def test_an_earlier_event_that_comes_back_while_a_later_one_is_tried_is_told_at_once(
    hook: MakeHook, send: Any, cancel: Any, stub: StubEndpoint, answer: int
) -> None:
    # Given a message whose first event was given up, and whose second is being tried
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    cancel(one)
    h.step()
    all_day_but_for_others(h, send)

    def revived(handler: Any) -> None:
        h.store.revive(h.clock())
        stub.reply(answer)(handler)

    # When a person sends the first one again meanwhile
    stub.plays.append(revived)
    h.step()
    before = len(h.told)
    # Then it is told at once, whatever became of the second, and that one after it
    assert h.store.next_due() == h.clock()
    h.step(2)
    told = [state for message, state in h.told[before:] if message == one]
    assert told == (["queued"] if answer == 200 else ["queued", "cancelled"])
    assert h.store.health().waiting == 0


def test_the_pauses_after_troubles_begin_anew_once_a_step_was_made(
    hook: MakeHook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = hook()
    troubles = iter([True, True, True, True, False, True, False, True, True])

    def step() -> None:
        troubled = next(troubles, None)
        if troubled is None:
            h.endpoint._stop.set()
        elif troubled:
            unavailable()

    monkeypatch.setattr(h.endpoint, "step", step)
    h.endpoint.run()
    assert re.findall(r"trying again in (\d) s", caplog.text) == ["1", "2", "5", "5", "1", "1", "2"]


def test_a_delivery_that_redis_could_not_be_told_is_not_made_twice(
    hook: MakeHook, send: Any, stub: StubEndpoint
) -> None:
    h = hook()
    id = send()
    reader: Any = h.endpoint._reader
    acknowledge = reader.acknowledge

    def away(*ids: str) -> None:
        reader.acknowledge = acknowledge
        raise QueueUnavailable("Redis cannot be reached")

    reader.acknowledge = away
    with pytest.raises(QueueUnavailable):
        h.step()
    h.step(2)
    assert h.told == [(id, "queued")]


def test_one_that_waited_is_not_delivered_twice_where_redis_could_not_be_told(
    hook: MakeHook, send: Any, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = hook()
    id = send()
    stub.plays.append(stub.reply(500))
    h.step()
    with monkeypatch.context() as away:
        away.setattr(h.store, "done", unavailable)
        with pytest.raises(QueueUnavailable):
            h.step(after=3)
    h.step()
    assert h.told == [(id, "queued")] * 2
    assert h.store.health().waiting == 0


def test_the_order_holds_where_redis_is_away_after_the_stream_was_read(
    hook: MakeHook, send: Any, cancel: Any, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an event that waits, and a later one of the same message that was read when Redis went away
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step(2)
    cancel(one)
    with monkeypatch.context() as away:
        away.setattr(h.store, "which_wait", unavailable)
        with pytest.raises(QueueUnavailable):
            h.step()
    # When Redis is back, Then the later one waits behind the first
    h.step()
    assert h.told == [(one, "queued")]
    h.step(2, after=3)
    assert h.told[1:] == [(one, "queued"), (one, "cancelled")]


def test_a_redis_that_lost_everything_is_listened_to_anew(hook: MakeHook, redis: Redis, send: Any) -> None:
    h = hook()
    redis.flushall()
    h.step(2)
    id = send()
    h.step(2)
    assert h.told == [(id, "queued")]


def test_a_webhook_that_fell_behind_is_told_of_the_gap(hook: MakeHook, redis: Redis, send: Any) -> None:
    listen(redis, "default", f"webhook:{NAME}", cap=5)
    mail = Message(sender="shop@example.com", to="ada@example.org", subject="Hi", text="Hello")
    for _ in range(10):
        Outbox(redis).send_many([mail] * 20)
    h = hook(events=["delivered"])
    h.step()
    (request,) = h.stub.requests
    assert request.json["type"] == "gap"
    assert request.json["data"]["since"] <= request.json["data"]["until"]
    h.step()
    assert len(h.stub.requests) == 1


def test_what_waits_is_bounded_and_the_stream_keeps_the_rest(
    hook: MakeHook, send: Any, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "MOST_WAITING", 1)
    h = hook()
    send()
    stub.plays.append(stub.reply(500))
    h.step()
    other = send()
    h.step()
    assert (other, "queued") not in h.told
    h.step(after=3)
    assert h.told[-1] == (other, "queued")


def test_the_rights_of_the_docs_are_enough(
    redis: Redis, redis_server: EmbeddedRedis, stub: StubEndpoint, clock: Clock, send: Any
) -> None:
    rights = ACL.partition(">PASSWORD ")[2].split()
    with limited_client(redis, redis_server.url, rights) as limited:
        h = Hook(limited, stub, clock)
        h.step()
        id = send()
        stub.plays.append(stub.reply(500))
        h.step()
        all_day_but_for_others(h, send)
        assert id in [letter.event.message for letter in h.store.dead_letters()]
        assert h.store.revive(clock()) != []
        h.store.disable("a look", clock())
        h.store.enable(clock())
        h.step(2)
        assert h.told[-1] == (id, "queued")
        h.endpoint.close()
        assert h.store.delete()


def entries(redis: Redis) -> dict[str, Any]:
    """What waits, by the event's id, as Redis keeps it."""
    return {
        id.decode(): json.loads(packed) for id, packed in redis.hgetall(KEYS.webhook_waiting(NAME)).items()
    }


def test_what_cannot_be_read_goes_to_the_dead_letters_and_the_later_events_are_told(
    hook: MakeHook, redis: Redis, send: Any, cancel: Any, stub: StubEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    # Given an event that waits, written by a version that this one cannot read, and a later one of its message
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    cancel(one)
    h.step()
    ((first, entry), *_) = sorted(entries(redis).items())
    readable = json.dumps(entry)
    redis.hset(KEYS.webhook_waiting(NAME), first, readable.replace('\\"v\\":1', '\\"v\\":99'))
    unreadable = redis.hget(KEYS.webhook_waiting(NAME), first)
    assert unreadable.decode() != readable
    # When its time comes, Then it is given up as it stands, and the later one is told
    h.step(2, after=3)
    assert h.told[1:] == [(one, "cancelled")]
    (letter,) = h.store.dead_letters()
    assert (letter.raw, letter.event.id, letter.event.message) == (unreadable.decode(), first, one)
    assert f"an event of message {one} cannot be read" in caplog.text
    assert redis.exists(KEYS.webhook_due(NAME), KEYS.webhook_waiting(NAME), KEYS.webhook_order(NAME)) == 0
    # And it stays until a version can read it
    assert h.store.revive(h.clock()) == []
    packed = json.loads(redis.lindex(KEYS.webhook_dead(NAME), 0))
    redis.lset(KEYS.webhook_dead(NAME), 0, json.dumps({**packed, "raw": readable}))
    assert h.store.revive(h.clock()) == [first]
    h.step()
    assert h.told[-1] == (one, "queued")


@pytest.mark.parametrize("damage", ["{", "", "[]", "null", '{"event": 7}'])
def test_a_damaged_entry_is_kept_as_it_stands_and_stops_nothing(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint, damage: str
) -> None:
    h = hook()
    send()
    stub.plays.append(stub.reply(500))
    h.step()
    (id,) = entries(redis)
    redis.hset(KEYS.webhook_waiting(NAME), id, damage)
    other = send()
    h.step(2, after=3)
    assert h.told[-1] == (other, "queued")
    assert (h.store.health().waiting, h.store.health().dead, h.store.next_due()) == (0, 1, None)
    assert h.store.revive(h.clock()) == []
    assert h.store.health().dead == 1


def test_an_entry_that_holds_another_event_is_given_up_and_is_not_told_again_and_again(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint
) -> None:
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    (id,) = entries(redis)
    redis.hset(KEYS.webhook_waiting(NAME), id, Waiting(event=an_event(7)).packed())
    h.step(2, after=3)
    assert h.told == [(one, "queued")]
    assert (h.store.health().waiting, h.store.health().dead) == (0, 1)


def test_fields_that_a_newer_version_has_added_do_not_matter(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint
) -> None:
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    ((id, entry),) = entries(redis).items()
    entry["event"] = json.dumps({**json.loads(entry["event"]), "mood": "good"})
    redis.hset(KEYS.webhook_waiting(NAME), id, json.dumps({**entry, "colour": "red"}))
    h.step(after=3)
    assert h.told == [(one, "queued")] * 2
    assert h.store.dead_letters() == []


def an_event(number: int) -> MessageEvent:
    return MessageEvent(id=f"{1000 + number}-0", account="default", at=1.0, message="M", state="sent")


def test_an_event_waits_at_the_same_cost_however_many_of_its_message_do(redis: Redis) -> None:
    # Given a message with many events, each of which waits
    store = WebhookStore(redis, "default", NAME)
    store.hold("runner", 600)
    costs: list[int] = []
    for number in range(201):
        before = redis.info("stats")
        store.put("runner", an_event(number), Waiting(event=an_event(number)), 1.0)
        after = redis.info("stats")
        both = ("total_net_input_bytes", "total_net_output_bytes")
        costs.append(sum(after[name] - before[name] for name in both))
    # Then the last costs as much as an early one, and all of them count
    assert costs[200] < 2 * costs[10]
    assert (store.count_waiting(), store.health().waiting) == (201, 201)
    # And they come one by one in their order
    for number in range(201):
        waiting = store.waiting("M")
        assert waiting is not None
        assert waiting.event == an_event(number)
        store.done("runner", waiting.event, 2.0)
    assert (store.count_waiting(), store.next_due()) == (0, None)


def test_the_events_of_one_message_are_bounded_and_the_stream_keeps_the_rest(
    hook: MakeHook, send: Any, cancel: Any, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a webhook that lets two events wait at most, and two of one message that do
    monkeypatch.setattr(endpoint_module, "MOST_WAITING", 2)
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    cancel(one)
    h.step()
    # When more happens, Then it is read once those are told
    other = send()
    h.step(2)
    assert (other, "queued") not in h.told
    h.step(3, after=3)
    assert sorted(h.told[1:]) == sorted([(one, "queued"), (one, "cancelled"), (other, "queued")])


@pytest.mark.parametrize("lost", ["webhook_order", "webhook_due"])
def test_a_lost_key_loses_no_event_and_no_order(
    hook: MakeHook, redis: Redis, send: Any, cancel: Any, stub: StubEndpoint, lost: str
) -> None:
    h = hook()
    one = send()
    stub.plays.append(stub.reply(500))
    h.step()
    cancel(one)
    h.step()
    h.endpoint.close()
    redis.delete(getattr(KEYS, lost)(NAME))
    successor = hook()
    successor.step(3, after=3)
    assert successor.told[1:] == [(one, "queued"), (one, "cancelled")]


@pytest.mark.parametrize(
    ("field", "value"),
    [("delivered", "x"), ("dropped", "1.5"), ("last_ok", "x"), ("failing_since", "nan"), ("failed_at", "x"),
     ("disabled_at", "x"), ("delivered", "9" * 40)],
)  # fmt: skip
def test_a_damaged_figure_stops_nothing_and_is_mended(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint, field: str, value: str
) -> None:
    # Given a figure of the webhook that is none, When it is served, Then it delivers, fails and counts as ever
    redis.hset(KEYS.webhook(NAME), field, value)
    WebhookStore(redis, "default", NAME).health()
    h = hook()
    id = send()
    stub.plays.append(stub.reply(500))
    h.step()
    assert h.store.health().failing_since == pytest.approx(h.clock.now, abs=1)
    h.step(2, after=3)
    assert h.told == [(id, "queued")] * 2
    assert (h.store.health().delivered, h.store.health().failing_since) == (1, None)


def test_two_accounts_have_no_id_in_common(hook: MakeHook, stub: StubEndpoint) -> None:
    h = hook()
    # Given the same event id in the streams of two accounts, Then their requests have ids of their own
    for account in ("default", "shop"):
        event = MessageEvent(id="1796054382287-0", account=account, at=1.0, message="M", state="sent")
        h.endpoint.sender.post(event)
    ids = [request.headers["webhook-id"] for request in stub.requests]
    assert ids == ["default.1796054382287-0", "shop.1796054382287-0"]


def test_the_id_has_letters_digits_and_three_signs_alone() -> None:
    event = MessageEvent(id="gap-1 0\r\n", account="a:b", at=1.0)
    assert webhook_id(event) == "a_b.gap-1_0__"


def test_the_auditor_knows_the_keys_and_finds_those_of_nobody(
    hook: MakeHook, redis: Redis, send: Any, stub: StubEndpoint
) -> None:
    h = hook()
    send()
    stub.plays.append(stub.reply(500))
    h.step()
    redis.rpush(KEYS.webhook_dead(NAME), json.dumps({}))
    assert audit(redis) == []
    redis.rpush(KEYS.webhook_dead("other"), json.dumps({}))
    (finding,) = audit(redis, sleep=lambda _: None)
    assert (finding.key, finding.repairable) == (KEYS.webhook_dead("other"), False)
    assert "sesq webhooks forget other" in finding.cure


def test_all_that_a_webhook_has_can_be_deleted(hook: MakeHook, redis: Redis, send: Any) -> None:
    h = hook()
    h.stub.plays.append(h.stub.reply(500))
    send()
    h.step()
    WebhookStore(redis, "default", NAME).delete()
    assert [key for key in redis.scan_iter("*webhook*") if b"reader" not in key] == []


@pytest.fixture(autouse=True)
def _all_lines_and_no_waits(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(endpoint_module, "IDLE_SECONDS", 0.01)
