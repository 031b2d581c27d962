"""What an application can ask of its outbox: early answers, its own transaction, asyncio, the examples as written."""

from __future__ import annotations

import asyncio
import doctest
import json
from datetime import datetime, timedelta, timezone

import pytest
from redis import Redis

import sesq.producer.async_outbox
import sesq.producer.message
import sesq.producer.outbox
from agreement import assert_agreement
from sesq.config.errors import InvalidMessage, UnknownMessage, WouldBeRefused, WrongState
from sesq.producer import AsyncOutbox, Message, Outbox
from sesq.queue.gate import SYNC
from sesq.queue.messages import Messages
from sesq.queue.states import State
from sesq.queue.transport import note_transport

RAW = b"From: shop@example.com\r\nTo: ada@example.org\r\nSender: shop@example.com\r\n\r\nHello.\r\n"


def mail(to: str = "ada@example.org", **options: object) -> Message:
    return Message(**{"sender": "Shop <shop@example.com>", "to": to, "text": "Hello.", **options})  # type: ignore[arg-type]


@pytest.fixture
def sandbox(redis: Redis) -> Redis:
    """An account in the sandbox, as a worker has read it."""
    tell_sandbox(redis, "default")
    return redis


def tell_sandbox(redis: Redis, account: str) -> None:
    told = {"rate": 1, "daily": 200, "sent": 0, "production": 0, "sending": 1, "readable": 1}
    identities = {"example.com": 1, "ada@example.org": 1, "bob@example.org": 0}
    words = {"paused_because": "", "enforcement": "", "identities": identities}
    SYNC.run(redis, account, json.dumps({**told, **words}))


@pytest.mark.parametrize(
    "module",
    [sesq.producer.outbox, sesq.producer.async_outbox, sesq.producer.message],
    ids=lambda m: m.__name__,
)
def test_the_examples_in_the_docstrings_are_true(module: object, redis: Redis) -> None:
    result = doctest.testmod(module, extraglobs={"redis": redis})  # type: ignore[arg-type]
    assert result.attempted
    assert result.failed == 0


class TestCheck:
    def test_it_tells_at_the_door_what_the_sandbox_would_refuse(self, sandbox: Redis) -> None:
        # Given a recipient that is not verified; when it is sent with check, then it is refused and not queued
        outbox = Outbox(sandbox)
        with pytest.raises(WouldBeRefused, match=r"recipient bob@example\.org is not verified"):
            outbox.send(mail("bob@example.org"), check=True)
        with pytest.raises(WouldBeRefused, match=r"sender eve@elsewhere\.org is not verified"):
            outbox.send(mail(sender="eve@elsewhere.org"), check=True)
        assert sum(Messages(sandbox).counts().values()) == 0

    @pytest.mark.parametrize("header", ["Sender: eve@elsewhere.org", "Return-Path: <eve@elsewhere.org>"])
    def test_whoever_else_a_finished_mail_names_as_its_sender_counts(
        self, sandbox: Redis, header: str
    ) -> None:
        raw = f"From: shop@example.com\r\nTo: ada@example.org\r\n{header}\r\n\r\nHello.\r\n".encode()
        problems = Outbox(sandbox).check(Message.from_bytes(raw))
        assert problems == ["sender eve@elsewhere.org is not verified"]
        for fine in (b"bounces@example.com", b"<>", b"<bounces@example.com>"):
            assert Outbox(sandbox).check(Message.from_bytes(b"Return-Path: " + fine + b"\r\n" + RAW)) == []

    def test_one_refused_mail_of_many_and_none_is_queued(self, sandbox: Redis) -> None:
        with pytest.raises(WouldBeRefused):
            Outbox(sandbox).send_many([mail(), mail("bob@example.org")], check=True)
        assert sum(Messages(sandbox).counts().values()) == 0

    def test_an_account_is_read_once_for_many(self, sandbox: Redis) -> None:
        def reads() -> int:
            return int(sandbox.info("commandstats").get("cmdstat_hgetall", {"calls": 0})["calls"])

        before = reads()
        Outbox(sandbox).send_many([mail() for _ in range(20)], check=True)
        assert reads() - before <= 2

    def test_what_is_verified_goes_and_without_an_account_nothing_is_known_against_it(
        self, sandbox: Redis
    ) -> None:
        outbox = Outbox(sandbox)
        assert outbox.send(mail(), check=True)
        assert outbox.check(mail("bob@example.org", account="other")) == []

    def test_from_asyncio_as_well(self, sandbox: Redis) -> None:
        outbox = AsyncOutbox(sandbox)
        (problem,) = asyncio.run(outbox.check(mail("bob@example.org")))
        assert problem.startswith("recipient bob@example.org is not verified")
        with pytest.raises(WouldBeRefused):
            asyncio.run(outbox.send(mail("bob@example.org"), check=True))


class TestTransaction:
    def test_it_is_queued_only_if_the_transaction_is_executed(self, redis: Redis) -> None:
        # Given an order and its mail in one transaction
        outbox = Outbox(redis)
        with redis.pipeline() as pipeline:
            pipeline.set("order:1", "paid")
            id = outbox.send(mail(), pipeline=pipeline)
            assert not redis.exists("order:1")
            assert sum(Messages(redis).counts().values()) == 0
            # When it is executed
            pipeline.execute()
        # Then both are there
        assert outbox.status(id).state is State.QUEUED
        assert_agreement(redis)

    def test_given_up_it_queues_nothing(self, redis: Redis) -> None:
        with redis.pipeline() as pipeline:
            Outbox(redis).send(mail(), pipeline=pipeline)
            pipeline.reset()
        assert sum(Messages(redis).counts().values()) == 0

    def test_an_idempotency_key_is_refused_there(self, redis: Redis) -> None:
        with redis.pipeline() as pipeline, pytest.raises(InvalidMessage, match="idempotency_key"):
            Outbox(redis).send(mail(idempotency_key="order-1"), pipeline=pipeline)

    def test_what_the_account_cannot_send_is_refused_there_too(self, redis: Redis) -> None:
        # Given an account whose worker sends by SMTP
        note_transport(redis, "default", "smtp")
        # When a mail asks in a transaction for what SMTP cannot carry, Then it is refused and queued nowhere
        with redis.pipeline() as pipeline:
            with pytest.raises(InvalidMessage, match="SMTP"):
                Outbox(redis).send(mail(track=False), pipeline=pipeline)
            assert not pipeline.command_stack


class TestReschedule:
    def test_a_waiting_message_is_put_off(self, redis: Redis) -> None:
        outbox = Outbox(redis)
        id = outbox.send(mail())
        due = datetime.now(timezone.utc) + timedelta(hours=2)
        outbox.reschedule(id, due)
        record = outbox.status(id)
        assert (record.state, record.send_at) == (State.SCHEDULED, pytest.approx(due.timestamp(), abs=0.001))
        assert_agreement(redis)

    def test_a_time_without_a_zone_is_refused(self, redis: Redis) -> None:
        outbox = Outbox(redis)
        id = outbox.send(mail())
        with pytest.raises(InvalidMessage, match="time zone"):
            outbox.reschedule(id, datetime(2030, 1, 1))  # noqa: DTZ001

    def test_a_time_out_of_bounds_or_after_the_end_is_refused(self, redis: Redis) -> None:
        outbox = Outbox(redis)
        end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
        id = outbox.send(mail(expires_at=end))
        for due in (
            datetime.max.replace(tzinfo=timezone.utc),
            datetime.min.replace(tzinfo=timezone.utc),
            end,
        ):
            with pytest.raises(InvalidMessage, match=r"^send_at: "):
                outbox.reschedule(id, due)
        assert outbox.status(id).state is State.QUEUED
        outbox.reschedule(id, end - timedelta(milliseconds=1))
        assert outbox.status(id).state is State.SCHEDULED

    def test_a_cancelled_one_is_not(self, redis: Redis) -> None:
        outbox = Outbox(redis)
        id = outbox.send(mail())
        outbox.cancel(id)
        with pytest.raises(WrongState, match="cancelled"):
            outbox.reschedule(id, datetime.now(timezone.utc))


class TestWait:
    def test_it_returns_at_the_end_of_the_message_or_of_the_time(self, redis: Redis) -> None:
        outbox = Outbox(redis)
        id = outbox.send(mail())
        assert outbox.wait(id, timeout=0).state is State.QUEUED
        outbox.cancel(id)
        assert outbox.wait(id).state is State.CANCELLED


class TestAsync:
    def test_the_loop_goes_on_meanwhile(self, redis: Redis) -> None:
        async def story() -> tuple[State, State]:
            # Given a message that is waited for
            outbox = AsyncOutbox(Outbox(redis))
            id = await outbox.send(mail())
            waiting = asyncio.create_task(outbox.wait(id))
            # When another task cancels it, then the wait ends
            before = (await outbox.status(id)).state
            await outbox.cancel(id)
            return before, (await waiting).state

        assert asyncio.run(story()) == (State.QUEUED, State.CANCELLED)

    def test_each_method_passes_on_all_that_it_is_given(self, redis: Redis) -> None:
        # Given a sandbox, whose SES would refuse what goes to a stranger, and an outbox of another account
        outbox, later = AsyncOutbox(Outbox(redis)), datetime.now(timezone.utc) + timedelta(days=1)
        tell_sandbox(redis, "shop")
        allowed, refused = (mail(to, account="shop") for to in ("ada@example.com", "bob@example.org"))

        async def story() -> None:
            # Then check= counts for one and for many, and is off where it is not given
            for send, given in ((outbox.send, refused), (outbox.send_many, [refused])):
                with pytest.raises(WouldBeRefused):
                    await send(given, check=True)  # type: ignore[operator]
                await send(given)  # type: ignore[operator]
            assert await outbox.check(refused) != await outbox.check(allowed) == []
            # and the account is looked at that is named
            id = await outbox.send(allowed, check=True)
            with pytest.raises(UnknownMessage):
                await outbox.status(id)
            await outbox.reschedule(id, later, "shop")
            record = await outbox.wait(id, 0, "shop")
            assert (record.account, record.state) == ("shop", State.SCHEDULED)
            assert record.send_at == pytest.approx(later.timestamp(), abs=0.01)
            assert await outbox.cancel(id, "shop") is State.CANCELLED
            assert (await outbox.status(id, "shop")).state is State.CANCELLED
            assert (await outbox.wait(id, account="shop")).state is State.CANCELLED

        asyncio.run(story())

    def test_many_at_once(self, redis: Redis) -> None:
        ids = asyncio.run(AsyncOutbox(redis).send_many(mail(f"person{i}@example.org") for i in range(20)))
        assert len(set(ids)) == 20


def test_a_client_that_decodes_serves_as_well(redis: Redis, redis_server: object) -> None:
    # Given an application whose client reads text
    decoding = Redis(unix_socket_path=redis.connection_pool.connection_kwargs["path"], decode_responses=True)
    # When its outbox is used, then it works, and the application's client is as it was
    outbox = Outbox(decoding)
    assert outbox.status(outbox.send(mail())).state is State.QUEUED
    decoding.set("text", "ä")
    assert decoding.get("text") == "ä"
    decoding.close()
    outbox.redis.close()


def test_the_settings_say_how_long_records_stay(
    redis: Redis, redis_server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given settings
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("SESQ_KEEP_DAYS", "2")
    # When an outbox is made of the settings, Then they count, except where the caller names another time
    for given, kept in ((None, 2), (3, 3)):
        outbox = Outbox(keep_days=given)
        assert outbox.keep_seconds == kept * 86_400
        outbox.redis.close()


def test_the_settings_say_what_an_account_cannot_send(
    redis: Redis, redis_server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given settings by which the account sends by SMTP, and no worker that was started yet
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__TRANSPORT", "smtp")
    outbox = Outbox()
    # When a mail asks for what SMTP cannot carry, Then it is refused and not queued
    with pytest.raises(InvalidMessage, match="SMTP"):
        outbox.send(mail(track=False))
    assert sum(Messages(redis).counts().values()) == 0
    outbox.redis.close()
