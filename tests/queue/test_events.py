"""The stream of events: all changes in order, at least once; nothing while nobody listens; a gap is told."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from redis import Redis

from batch_stage import BatchStage
from redis_user import EVERYTHING, limited_client
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import InputError, InvalidMessage, WrongState
from sesq.producer import Message, Outbox
from sesq.producer.consuming import consume
from sesq.queue.batches import Batches
from sesq.queue.damage import read_damage
from sesq.queue.events import EventReader, MessageEvent, forget, listen
from sesq.queue.results import put_back
from sesq.queue.states import State
from sesq.worker.verdicts import Kind
from stage import says

KEYS = ("sesq:default:listening", "sesq:default:events")
SLACK = 100
"""Events beyond the cap that stay until some are dropped."""


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    stage = BatchStage(redis)
    stage.sync(rate=1000, daily=50_000)
    return stage


def reader(stage: BatchStage, consumer: str = "crm", **options: bool) -> EventReader:
    return EventReader(stage.redis, "default", consumer, sleep=stage.sleep, **options)


def all_of(reader: EventReader) -> Iterator[MessageEvent]:
    while events := reader.read(block=0.001):
        for event in events:
            yield event
            reader.acknowledge(event.id)


def told(stage: BatchStage) -> dict[str, list[tuple[str, str]]]:
    """What the consumer crm has not read yet: id -> [(state, reason)]; each event goes on from the one before."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with_reader = reader(stage)
    for event in all_of(with_reader):
        if found[event.message]:
            assert event.was == found[event.message][-1][0]
        found[event.message].append((event.state, event.reason))
    with_reader.close()
    return found


def test_while_nobody_listens_redis_keeps_no_events(stage: BatchStage) -> None:
    stage.queue()
    stage.work()
    assert not stage.redis.exists(*KEYS)


def test_an_event_tells_of_each_change_what_the_history_tells(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    # Given messages that end in many ways
    answers = {
        "sent": [],
        "refused": [says(Kind.REFUSED)],
        "held": [says(Kind.UNVERIFIED_RECIPIENT, "recipient:bob@example.org")],
        "unknown": [says(Kind.UNKNOWN)],
    }
    ids = {}
    for name, some in answers.items():
        ids[name] = stage.queue("bob@example.org" if name == "held" else "ada@example.org")
        stage.transport.answer(*some)
        stage.work()
    stage.messages.release(ids["held"], "me")
    stage.messages.resolve(ids["unknown"], "failed", "me")
    stage.messages.retry(ids["unknown"], "me")
    ids["cancelled"] = stage.queue()
    stage.messages.cancel(ids["cancelled"], "me")
    ids["expired"] = stage.queue(expires_at=at(stage.now + 5))
    ids["scheduled"] = stage.queue(send_at=at(stage.now + 3))
    stage.pass_time(10)
    stage.gate.promote()
    stage.work()
    # When the events are read, Then those of each message are its history, from the first state to the last
    events = told(stage)
    for id in ids.values():
        record = stage.status(id)
        assert events[id] == [(change.state.value, change.reason) for change in record.history]
        assert events[id][-1][0] == record.state.value
    assert {events[id][-1][0] for id in ids.values()} == {"sent", "refused", "held", "cancelled", "expired"}
    # and nothing is told twice once it was acknowledged
    assert told(stage) == {}


def test_a_row_is_told_of_from_when_it_is_on_its_way(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    batch = stage.take(3).id
    stage.transport.answer(says(Kind.REFUSED))
    stage.send(10)
    events = told(stage)
    assert sorted([state for state, _ in each] for each in events.values()) == [
        ["sending", "refused"],
        ["sending", "sent"],
        ["sending", "sent"],
    ]
    assert all(id.startswith(f"{batch}-0-") for id in events)
    # and of what SES says later
    sent = [id for id, each in events.items() if each[-1][0] == "sent"]
    assert [stage.batches.mark_delivered(sent[0], "m-1") for _ in range(2)] == [True, False]
    (event,) = all_of(reader(stage))
    assert (event.message, event.was, event.state, event.message_id) == (sent[0], "sent", "delivered", "m-1")


def test_the_name_of_a_webhooks_consumer_is_not_an_applications(stage: BatchStage) -> None:
    with pytest.raises(InputError, match="of a webhook"):
        stage.outbox.events(consumer="webhook:crm", idle=0)
    assert not stage.redis.exists(*KEYS)


@pytest.mark.parametrize("paused_before", [False, True])
def test_rows_that_came_back_are_told_of_when_their_batch_is_cancelled(
    stage: BatchStage, paused_before: bool
) -> None:
    intake = stage.take(4)
    listen(stage.redis, "default", "crm")
    claim, _ = stage.claim(3)
    back = [put_back(grant, "not in turn") for grant in claim.grants]
    stage.gate.settle(back[:2])
    batches = Batches(stage.redis, "default")
    if paused_before:
        batches.pause(intake.id, "a look at it")
        stage.claim(1)
    batches.cancel(intake.id, "no more of it")
    stage.gate.settle(back[2:])
    stage.claim(5)
    assert {id: events[-1] for id, events in told(stage).items()} == {
        f"{intake.id}-0-{row}": ("cancelled", "no more of it" if row < 2 else "not in turn")
        for row in range(3)
    }


def test_an_event_names_the_mail_and_its_recipients_only_where_they_are_asked_for(stage: BatchStage) -> None:
    for consumer in ("crm", "ops"):
        listen(stage.redis, "default", consumer)
    id = stage.queue(
        ["Ada <ada@example.org>", "bob@example.org"],
        cc="eve@example.org",
        tags={"kind": "hello"},
        lane="bulk",
    )
    (result,) = stage.work()
    *_, event = all_of(reader(stage, recipients=True))
    assert (event.message, event.state, event.was, event.lane) == (id, "sent", "sending", "bulk")
    assert (event.message_id, event.tags, event.batch) == (result.message_id, {"kind": "hello"}, None)
    assert event.at == pytest.approx(stage.now, abs=0.001)
    assert event.recipients == ("ada@example.org", "bob@example.org", "eve@example.org")
    assert {each.recipients for each in all_of(reader(stage, "ops"))} == {()}
    assert b"example.org" not in b"".join(told[b"e"] for _, told in stage.redis.xrange(KEYS[1]))
    # and JSON carries it all
    assert MessageEvent.from_json(event.to_json()) == event
    for broken in ("{}", '{"v": 2}', '{"v": 1, "id": "1-0"}', "no"):
        with pytest.raises(InvalidMessage):
            MessageEvent.from_json(broken)


def test_what_was_not_acknowledged_is_told_again_before_all_else(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    ids = [stage.queue() for _ in range(5)]
    # Given a reader that dies after it has acknowledged one of three
    first = reader(stage)
    some = first.read(count=3, block=0.001)
    first.acknowledge(some[0].id)
    first.close()
    # When another one reads, Then it is told of all but that one, in order, and under the same names
    events = list(all_of(reader(stage)))
    assert [event.message for event in events] == ids[1:]
    assert [event.id for event in events[:2]] == [event.id for event in some[1:]]


def test_one_process_at_a_time_is_a_consumer(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    id = stage.queue()
    first, second = reader(stage), reader(stage)
    assert [event.message for event in first.read(block=0.001)] == [id]
    # Given that the first one is there, Then the second is told nothing
    assert second.read(block=0.001) == []
    # When the first one has died, Then the second is told what the first had not acknowledged
    assert 0 < stage.redis.pttl("sesq:default:reader:crm") <= 30_000
    stage.redis.delete("sesq:default:reader:crm")
    assert [event.message for event in second.read(block=0.001)] == [id]
    # and the first waits from now on
    assert first.read(block=0.001) == []


def test_who_goes_on_as_the_consumer_is_told_what_another_had_read_meanwhile(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    first, second = reader(stage), reader(stage)
    # Given a reader that has told all there was, and another one that took over and reads the next event
    before = stage.queue()
    assert [event.message for event in all_of(first)] == [before]
    stage.redis.delete("sesq:default:reader:crm")
    id = stage.queue()
    assert [event.message for event in second.read(block=0.001)] == [id]
    assert first.read(block=0.001) == []
    # When that one dies before it has acknowledged the event, Then the first one is told it
    stage.redis.delete("sesq:default:reader:crm")
    assert [event.message for event in first.read(block=0.001)] == [id]


def test_a_consumer_that_fell_behind_is_told_of_the_gap_until_it_acknowledges_that(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm", cap=50)
    first = stage.queue()
    own = reader(stage)
    assert [event.message for event in all_of(own)] == [first]
    own.close()
    # Given more events than stay
    ids = [stage.queue() for _ in range(400)]
    kept = stage.redis.xrange(KEYS[1])
    assert 50 <= len(kept) < 50 + SLACK
    # When the consumer reads, Then it is first told from when to when it lacks events, also after a restart
    gap = own.read(block=0.001)
    own.close()
    last = reader(stage)
    assert last.read(block=0.001) == gap
    assert gap[0].type == "gap"
    assert gap[0].since is not None
    assert gap[0].until is not None
    assert gap[0].since <= gap[0].until <= seconds(kept[0][0])
    # and then of all that is there
    last.acknowledge(gap[0].id)
    assert [event.message for event in all_of(last)] == ids[-len(kept) :]
    # and one who has read everything lacks nothing when what it has read is dropped
    ids = [stage.queue() for _ in range(60)]
    assert [event.message for event in all_of(last)] == ids
    for _ in range(20):
        ids = [stage.queue() for _ in range(10)]
        assert [event.message for event in all_of(last)] == ids


def test_events_that_were_dropped_while_they_waited_for_their_acknowledgement_are_a_gap(
    stage: BatchStage,
) -> None:
    listen(stage.redis, "default", "crm", cap=50)
    ids = [stage.queue() for _ in range(10)]
    first = reader(stage)
    assert [event.message for event in first.read(block=0.001)] == ids
    first.close()
    newer = [stage.queue() for _ in range(300)]
    events = list(all_of(reader(stage)))
    gaps = [event for event in events if event.type == "gap"]
    assert 1 <= len(gaps) <= 2
    assert events[: len(gaps)] == gaps
    assert [event.message for event in events[len(gaps) :]] == newer[-(len(events) - len(gaps)) :]
    assert len(events) - len(gaps) >= 50


def test_a_redis_that_failed_in_a_read_withholds_no_event(
    stage: BatchStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(stage.redis, "default", "crm")
    ids = [stage.queue() for _ in range(2)]
    own = reader(stage)

    def fail(*_: object) -> None:
        raise ConnectionError("lost")

    # Given events that Redis has given, while what belongs to them could not be read
    with monkeypatch.context() as patch:
        patch.setattr(EventReader, "_addressed", fail)
        with pytest.raises(ConnectionError):
            own.read(block=0.001)
    # When there are newer ones, Then the same reader tells all of them in order
    ids.append(stage.queue())
    assert [event.message for event in all_of(own)] == ids


def test_a_slow_consumer_leaves_the_rest_to_the_one_who_took_over(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    ids = [stage.queue() for _ in range(4)]
    clock = [0.0]

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    slow = EventReader(stage.redis, "default", "crm", sleep=interrupt, clock=lambda: clock[0])
    events = consume(slow, None, lambda: clock[0])
    assert next(events).message == ids[0]
    # Given an event whose handling outlasts the lease, so that another process has taken over
    clock[0] += 60
    stage.redis.delete("sesq:default:reader:crm")
    other = reader(stage)
    assert [event.message for event in other.read(block=0.001)] == ids
    # Then the slow one tells none of those that the other has
    with pytest.raises(KeyboardInterrupt):
        next(events)
    # and one that takes its time within the lease keeps it
    clock[0] = 0.0
    other.close()
    own = EventReader(stage.redis, "default", "crm", clock=lambda: clock[0])
    seen = []
    for event in consume(own, 50, lambda: clock[0]):
        seen.append(event.message)
        clock[0] += 20
        stage.redis.pexpire("sesq:default:reader:crm", 5000)
        if len(seen) == 3:
            break
    assert seen == ids[1:]


@pytest.mark.parametrize("damage", ["no", "[]", '{"v":1}', '{"v":2,"id":[]}', '{"v":1,"id":"x","at":"soon"'])
def test_an_event_that_cannot_be_read_is_a_gap_and_stops_no_other(stage: BatchStage, damage: str) -> None:
    listen(stage.redis, "default", "crm")
    stage.redis.xadd(KEYS[1], {"e": damage})
    stage.redis.xadd(KEYS[1], {"other": "x"})
    id = stage.queue(tags={"a": "b"})
    stage.redis.hset(stage.keys.message(id), mapping={"tags": "{bad", "to": "[1, bad"})
    events = list(all_of(reader(stage, recipients=True)))
    assert [event.type for event in events] == ["gap", "gap", "message"]
    assert (events[-1].message, events[-1].tags, events[-1].recipients) == (id, {}, ())
    # and none of them comes again
    assert list(all_of(reader(stage))) == []


def test_fields_of_a_newer_version_are_left_out(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    told = {"v": 2, "id": "x", "was": "", "state": "queued", "reason": "", "at": 5, "lane": "bulk", "new": 1}
    stage.redis.xadd(KEYS[1], {"e": json.dumps(told)})
    (event,) = all_of(reader(stage))
    assert (event.message, event.state, event.at) == ("x", "queued", 5)


def test_a_stream_that_redis_has_lost_goes_on_after_a_gap(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    stage.queue()
    began = float(stage.redis.hget(KEYS[0], "consumer:crm") or 0)
    stage.redis.delete(KEYS[1])
    id = stage.queue()
    gap, *events = all_of(reader(stage))
    assert (gap.type, [event.message for event in events]) == ("gap", [id])
    assert gap.since == pytest.approx(began, abs=0.01)
    assert gap.until == pytest.approx(stage.now, abs=1)
    # and one that nobody needs can be forgotten without it
    stage.redis.delete(KEYS[1])
    assert forget(stage.redis, "default", "crm")


def test_a_gap_that_grew_is_told_though_the_smaller_one_was_acknowledged(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm", cap=10)
    for _ in range(150):
        stage.queue()
    (small,) = reader(stage).read(block=0.001)
    stage.redis.delete("sesq:default:reader:crm")
    for _ in range(150):
        stage.queue()
    own = reader(stage)
    (gap,) = own.read(block=0.001)
    assert gap.until is not None
    assert small.until is not None
    assert gap.until >= small.until
    assert gap.id != small.id
    assert gap.since == small.since
    own.acknowledge(small.id)
    assert own.read(block=0.001) == [gap]


def test_a_gap_of_one_who_has_read_nothing_begins_when_it_began_to_listen(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm", cap=10)
    for _ in range(150):
        stage.queue()
    (gap,) = reader(stage).read(block=0.001)
    began = float(stage.redis.hget(KEYS[0], "consumer:crm") or 0)
    assert gap.since == pytest.approx(began, abs=0.01)


def with_old_events(stage: BatchStage, age: int) -> int:
    """Three events of that age (s). Returns the time of the first (ms)."""
    listen(stage.redis, "default", "crm")
    old = (int(time.time()) - age) * 1000
    stage.redis.delete(KEYS[1])
    for n in range(3):
        stage.redis.xadd(KEYS[1], {"e": "{}"}, id=f"{old + n}-0")
    return old


def test_no_event_stays_longer_than_two_weeks(stage: BatchStage) -> None:
    old = with_old_events(stage, 14 * 86_400 + 1)
    stage.queue()
    assert len(stage.redis.xrange(KEYS[1])) == 1
    assert stage.redis.hget(KEYS[0], "lost") == f"{old + 2}-0".encode()


def test_an_event_stays_for_two_weeks(stage: BatchStage) -> None:
    with_old_events(stage, 14 * 86_400 - 60)
    stage.queue()
    assert len(stage.redis.xrange(KEYS[1])) == 4
    assert stage.redis.hget(KEYS[0], "lost") is None


def test_where_some_of_a_page_were_dropped_the_others_are_told_after_the_gap(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    ids = [stage.queue() for _ in range(10)]
    first = reader(stage)
    page = first.read(block=0.001)
    first.close()
    # Given that three of ten, which nobody has acknowledged, are dropped
    stage.redis.xtrim(KEYS[1], minid=page[3].id, approximate=False)
    # Then the other seven come, in order
    gap, *others = all_of(reader(stage))
    assert gap.type == "gap"
    assert [event.message for event in others] == ids[3:]


def test_the_last_consumer_that_goes_turns_the_stream_off(stage: BatchStage) -> None:
    assert [listen(stage.redis, "default", name) for name in ("crm", "ops", "crm")] == [True, True, False]
    stage.queue()
    own = reader(stage)
    assert forget(stage.redis, "default", "crm")
    assert not forget(stage.redis, "default", "crm")
    with pytest.raises(WrongState, match="crm"):
        own.read(block=0.001)
    assert len(list(all_of(reader(stage, "ops")))) == 1
    assert forget(stage.redis, "default", "ops")
    assert not stage.redis.exists(*KEYS)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä", "-a"])
def test_a_consumer_has_a_name(stage: BatchStage, name: str) -> None:
    with pytest.raises(InputError, match="consumer"):
        listen(stage.redis, "default", name)


@pytest.mark.parametrize("command", ["xadd", "xlen", "xtrim"])
def test_a_stream_that_cannot_be_written_stops_no_mail(
    stage: BatchStage, redis_server: EmbeddedRedis, command: str
) -> None:
    listen(stage.redis, "default", "crm", cap=1)
    for _ in range(SLACK):
        stage.queue()
    with limited_client(stage.redis, redis_server.url, (*EVERYTHING, f"-{command}")) as client:
        id = Outbox(client).send(
            Message(sender="shop@example.com", to="ada@example.org", subject="Hi", text="Hello.")
        )
    assert stage.state(id) is State.QUEUED
    assert [damage.what for damage in read_damage(stage.redis, "default")] == [KEYS[1]]


def test_a_stream_key_of_another_type_is_set_aside(stage: BatchStage) -> None:
    listen(stage.redis, "default", "crm")
    stage.redis.delete(KEYS[1])
    stage.redis.set(KEYS[1], "broken")
    id = stage.queue()
    assert stage.state(id) is State.QUEUED
    assert [told[b"e"] for _, told in stage.redis.xrange(KEYS[1])]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def seconds(id: bytes) -> float:
    return int(id.split(b"-")[0]) / 1000
