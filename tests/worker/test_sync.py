"""Account sync on a simulated SES: what SES says now is what the gate uses, and what waited for it goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from agreement import assert_agreement
from sesq.producer import Message
from sesq.queue.ramp import start_ramp
from sesq.queue.results import SendResult
from sesq.queue.snapshot import read_identities, read_own_identities, read_snapshot
from sesq.queue.states import State
from sesq.queue.windows import times_of
from sesq.simulator import Simulator
from sesq.worker.account import AccountUnavailable, AccountUnreadable, ControlCalls, Description, SesAccount
from sesq.worker.sync import LEASE_SECONDS, MOST_PROBES, PROBE_SECONDS, RETRY_SECONDS, AccountSync
from sesq.worker.transports import SesTransport
from sesq.worker.transports.client import AwsClient, ClientSettings
from sesq.worker.verdicts import Kind, Verdict
from stage import Stage, says

BOB = "recipient:bob@example.org"
SHOP = "sender:shop@example.com"


@pytest.fixture
def ses(aws_environment: None) -> Iterator[Simulator]:
    with Simulator(control_rate=None, max_send_rate=50.0, max_24_hour_send=500.0) as ses:
        ses.verify("example.com", "ada@example.org")
        yield ses


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def sync(stage: Stage, ses: Simulator) -> AccountSync:
    client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
    calls = ControlCalls(stage.redis, "default", sleep=lambda _: stage.redis.delete(stage.keys.control))
    return AccountSync(stage.redis, "default", SesAccount(client, calls), "us-east-1", interval=60.0)


def again(stage: Stage, sync: AccountSync, after: float = 60.0) -> None:
    """The next sync, and the worker's look at it."""
    stage.pass_time(after)
    sync.run()
    stage.rules.refresh()


def test_the_snapshot_is_what_ses_says(stage: Stage, ses: Simulator, sync: AccountSync) -> None:
    sync.run()
    snapshot = read_snapshot(stage.redis, "default")
    assert (snapshot.mode, snapshot.rate, snapshot.daily, snapshot.listed) == ("sandbox", 50.0, 500.0, True)
    assert snapshot.synced_at == stage.now


def test_a_ramp_stands_still_and_goes_on_as_the_week_says(
    stage: Stage, sync: AccountSync, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "sesq.sync")
    start_ramp(stage.redis, "default", 100, 400, 2 * 86_400, by="ada")
    hour = int(stage.now // 3600)
    stage.redis.hset(stage.keys.reputation, mapping={f"{hour}:sent": 1000, f"{hour}:bounced": 80})
    sync.run()
    ramp = stage.gate.usage().ramp
    assert ramp is not None
    assert ramp.still_since == stage.now
    assert "account default: the ramp stands still: 8.00% bounces" in caplog.text
    # A week later nothing of that counts any more
    again(stage, sync, 7 * 86_400)
    ramp = stage.gate.usage().ramp
    assert ramp is not None
    assert (ramp.still_since, ramp.cap) == (None, 100)
    assert "account default: the ramp goes on: too few to judge: 0 bounces" in caplog.text


def test_a_ramp_that_has_grown_frees_what_a_whole_day_had_no_room_for(
    stage: Stage, sync: AccountSync
) -> None:
    start_ramp(stage.redis, "default", 5, 10, 86_400, by="ada")
    id = stage.queue([f"p{i}@example.com" for i in range(8)])
    sync.run()
    stage.work()
    assert stage.state(id) is State.HELD
    again(stage, sync, 86_400)
    assert stage.state(id) is State.QUEUED


def test_mail_goes_by_the_leave_of_another_account(stage: Stage, sync: AccountSync) -> None:
    # Given mail that waits, since nobody knew that its sender is another account's to lend
    sync.run()
    stage.rules.refresh()
    id = stage.queue(sender="a@news.partner.example")
    stage.work()
    assert stage.status(id).hold == "sender:a@news.partner.example"
    # When the settings say so, then it goes with the next sync, and nobody there may receive in the sandbox
    sync.borrowed = ("partner.example", "example.com")
    again(stage, sync)
    stage.work()
    assert stage.state(id) is State.SENT
    identities = read_identities(stage.redis, "default")
    assert not identities.covers_recipient("a@partner.example")
    # and what is verified here stays so
    assert identities.covers_recipient("a@example.com")
    assert "partner.example" not in read_own_identities(stage.redis, "default")


def send_past_the_queue(sync: AccountSync, *recipients: str) -> None:
    for to in recipients:
        sync.ses.client.api.send_email(
            FromEmailAddress="shop@example.com",
            Destination={"ToAddresses": [to]},
            Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
        )


def test_what_others_sent_is_kept_apart_and_the_ledger_is_not_touched(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    send_past_the_queue(sync, "ada@example.org", "x@example.com")
    sync.run()
    usage = stage.gate.usage()
    assert (usage.others, usage.total, usage.remaining) == (2, 0, 498)


def test_books_that_are_lost_while_ses_is_asked_do_not_hide_what_ses_counted(
    stage: Stage, ses: Simulator, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_past_the_queue(sync, "ada@example.org", "x@example.com")
    stage.queue("ada@example.org")
    stage.queue("x@example.com")
    stage.work()
    assert stage.gate.usage().total == 2
    describe = sync.ses.describe

    def lose_the_books_meanwhile(note: Callable[[], None]) -> Description:
        description = describe(note)
        stage.redis.flushall()
        stage.set_clock()
        return description

    # When Redis is emptied between the question and the answer
    with monkeypatch.context() as patch:
        patch.setattr(sync.ses, "describe", lose_the_books_meanwhile)
        with pytest.raises(AccountUnavailable, match="lost"):
            sync.run()
    # Then nothing goes by that answer, and the next one counts all of it
    assert stage.gate.usage().closed == "unsynced"
    sync.run()
    usage = stage.gate.usage()
    assert (usage.others, usage.total) == (2, 0)


@pytest.mark.parametrize("lost", ["gate", "ledger"])
def test_books_that_are_lost_are_asked_for_at_once(stage: Stage, sync: AccountSync, lost: str) -> None:
    # Given an account that was read a moment ago, and a mail that has gone since
    assert sync.run_if_due()
    stage.queue("ada@example.org")
    stage.work()
    assert not sync.run_if_due()
    # When Redis loses what went, and a claim finds it
    stage.redis.delete(f"sesq:default:{lost}")
    stage.pass_time(40)
    assert stage.claim()[0].reason == "unsynced"
    # Then SES is asked before its turn, and mail may go
    assert sync.run_if_due()
    assert stage.gate.usage().closed is None


def test_one_process_reads_for_all_within_the_interval(stage: Stage, sync: AccountSync) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: sync.run_if_due(), range(8))) == [False] * 7 + [True]
    stage.pass_time(59)
    assert not sync.run_if_due()
    stage.pass_time(1)
    assert sync.run_if_due()


def test_when_ses_cannot_be_asked_the_last_word_counts_and_it_is_asked_again_soon(
    stage: Stage, ses: Simulator, sync: AccountSync, caplog: pytest.LogCaptureFixture
) -> None:
    sync.run()
    before = read_snapshot(stage.redis, "default")
    ses.stop()
    stage.pass_time(60)
    assert sync.run_if_due()
    assert read_snapshot(stage.redis, "default") == before
    assert not sync.run_if_due()
    stage.pass_time(RETRY_SECONDS)
    assert sync.run_if_due()
    assert "did not describe the account" in caplog.text


def test_that_ses_cannot_be_asked_is_logged_at_first_and_then_ever_more_rarely(
    stage: Stage, ses: Simulator, sync: AccountSync, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sesq.sync")

    def logged() -> list[str]:
        return [each.getMessage() for each in caplog.records if "the account" in each.getMessage()]

    # Given SES does not answer, When it is asked nine times, Then the first, second, fourth and eighth are logged
    address = ses.endpoint_url
    ses.stop()
    for asked, lines in enumerate([1, 2, 2, 3, 3, 3, 3, 4, 4], start=1):
        assert sync.run_if_due()
        assert (sync.failures, len(logged())) == (asked, lines)
        stage.pass_time(RETRY_SECONDS)
    assert logged()[0].endswith("It is asked every 5 s; `sesq doctor` tells more")
    # And when SES answers again, that is logged, and the next failure is a first one again
    with Simulator(port=int(address.rpartition(":")[2]), control_rate=None) as back:
        assert back.endpoint_url == address
        assert sync.run_if_due()
    assert logged()[-1] == "account default: SES describes the account again"
    assert sync.failures == 0


class Killed(BaseException):
    """The process ends here."""


def test_a_process_that_dies_in_the_middle_shuts_the_account_for_some_seconds(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.redis.delete(stage.keys.snapshot)

    def die(_note: object) -> Description:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sync.ses, "describe", die)
        with pytest.raises(Killed):
            sync.run_if_due()
    # Then another one leaves it the time to answer, and no longer
    stage.pass_time(LEASE_SECONDS - 1)
    assert not sync.run_if_due()
    assert stage.gate.usage().closed == "unsynced"
    stage.pass_time(1)
    assert sync.run_if_due()
    assert stage.gate.usage().closed is None
    # And what has succeeded counts for the whole interval
    stage.pass_time(LEASE_SECONDS)
    assert not sync.run_if_due()


def test_a_process_that_dies_in_the_middle_shuts_the_account_for_no_longer_than_its_interval(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.interval = LEASE_SECONDS / 4

    def die(_note: object) -> Description:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sync.ses, "describe", die)
        with pytest.raises(Killed):
            sync.run_if_due()
    stage.pass_time(sync.interval - 1)
    assert not sync.run_if_due()
    stage.pass_time(1)
    assert sync.run_if_due()


def test_a_clock_that_is_set_back_delays_no_sync(stage: Stage, sync: AccountSync) -> None:
    assert sync.run_if_due()
    stage.pass_time(-3600)
    assert sync.run_if_due()
    stage.pass_time(30)
    assert not sync.run_if_due()
    stage.pass_time(30)
    assert sync.run_if_due()


def test_a_clock_that_is_set_back_delays_no_probe(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    id = refused(stage, sync, says(Kind.CONFIGURATION, SHOP))
    stage.pass_time(-3600)
    again(stage, sync)
    stage.work()
    assert stage.state(id) is State.SENT


def test_an_account_that_may_not_be_read_goes_by_the_configured_limits(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_asking: object) -> None:
        raise AccountUnreadable("not authorized to perform ses:GetAccount")

    monkeypatch.setattr(sync.ses, "describe", denied)
    sync.run()
    assert (stage.gate.usage().rate, stage.gate.usage().daily) == (1.0, 200.0)
    stage.policy.configure({"rate": "14", "daily": "50000"})
    assert (stage.gate.usage().rate, stage.gate.usage().daily) == (14.0, 50_000.0)
    assert read_snapshot(stage.redis, "default").mode == "unknown"


def test_a_change_is_told_and_wakes_those_who_wait(
    stage: Stage, ses: Simulator, sync: AccountSync, caplog: pytest.LogCaptureFixture
) -> None:
    sync.run()
    caplog.set_level(logging.INFO, "sesq.sync")
    caplog.clear()
    with stage.redis.pubsub(ignore_subscribe_messages=True) as signals:
        signals.subscribe(stage.keys.wake)
        signals.get_message(timeout=5)
        again(stage, sync)
        assert signals.get_message(timeout=0) is None
        assert "is now" not in caplog.text
        ses.set_account(max_send_rate=200.0, production_access=True)
        again(stage, sync)
        assert signals.get_message(timeout=5)
    assert "the rate is now 200" in caplog.text
    assert "the account is out of the sandbox" in caplog.text


def refused(stage: Stage, sync: AccountSync, verdict: Verdict) -> str:
    """A message that SES has refused so."""
    sync.run()
    stage.rules.refresh()
    id = stage.queue("ada@example.org")
    stage.pass_time(1)
    stage.transport.answer(verdict)
    stage.work()
    return id


def test_the_day_that_ses_called_spent_goes_on_when_ses_says_otherwise(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    """Our ledger knew of nothing: somebody else had spent it, or SES was wrong."""
    id = refused(stage, sync, says(Kind.DAY_SPENT))
    assert stage.claim()[0].reason == "day"
    with stage.redis.pubsub(ignore_subscribe_messages=True) as signals:
        signals.subscribe(stage.keys.wake)
        signals.get_message(timeout=5)
        again(stage, sync)
        assert signals.get_message(timeout=5)
    assert stage.claim()[0].ids == (id,)


def test_a_pause_ends_when_ses_says_so(stage: Stage, ses: Simulator, sync: AccountSync) -> None:
    ses.set_account(sending_enabled=False)
    sync.run()
    id = stage.queue("ada@example.org")
    assert stage.claim()[0].reason == "ses_paused"
    ses.set_account(sending_enabled=True)
    again(stage, sync)
    assert stage.claim()[0].ids == (id,)


def test_an_answer_that_was_asked_for_before_the_pause_does_not_end_it(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.run()
    stage.rules.refresh()
    stage.queue("ada@example.org")
    describe = sync.ses.describe

    def meet_the_pause_meanwhile(note: Callable[[], None]) -> Description:
        description = describe(note)
        stage.pass_time(1)
        stage.transport.answer(says(Kind.PAUSED))
        stage.work()
        return description

    # When SES refuses all mail between the question and the answer, which says that it sends
    with monkeypatch.context() as patch:
        patch.setattr(sync.ses, "describe", meet_the_pause_meanwhile)
        sync.run()
    # Then it is still known to be paused; and the next answer counts
    assert stage.gate.usage().closed == "ses_paused"
    assert read_snapshot(stage.redis, "default").paused_because == "Because."
    stage.pass_time(1)
    sync.run()
    assert stage.gate.usage().closed is None


# what waited --------------------------------------------------------------------------------------------------------


def test_what_waited_for_a_recipient_goes_in_order_once_it_is_verified(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    again(stage, sync)
    ids = []
    for to in ("bob@example.org", "cleo@example.org", "bob@example.org", "bob@example.org"):
        ids.append(stage.queue(to))
        stage.pass_time(1)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.HELD}
    again(stage, sync)
    assert stage.messages.waiting_for(BOB) == 3
    ses.verify("bob@example.org")
    again(stage, sync)
    assert [b.id for b in stage.claim()[1]] == [ids[0], ids[2], ids[3]]
    assert stage.state(ids[1]) is State.HELD
    assert_agreement(stage.redis)


@pytest.mark.parametrize(("batch", "state"), [("running", State.QUEUED), ("paused", State.HELD)])
def test_who_waits_for_a_batch_goes_when_it_does(
    stage: Stage, sync: AccountSync, batch: str, state: State
) -> None:
    """Whoever resumed it may have died before those were freed that were held with it."""
    id = stage.queue("ada@example.org")
    _, (begun,) = stage.claim()
    held = SendResult(begun.grant, State.HELD, "paused", hold="batch:b1")
    stage.gate.settle([held])
    stage.redis.hset(stage.keys.batch("b1"), mapping={"state": batch})
    again(stage, sync)
    assert stage.state(id) is state


def test_production_access_frees_every_recipient(stage: Stage, ses: Simulator, sync: AccountSync) -> None:
    again(stage, sync)
    ids = [stage.queue(f"p{i}@example.net") for i in range(3)]
    stage.work()
    ses.set_account(production_access=True)
    again(stage, sync)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.SENT}
    assert stage.messages.holds() == {}
    assert_agreement(stage.redis)


def test_what_rq_was_told_to_cancel_is_not_freed(stage: Stage, ses: Simulator, sync: AccountSync) -> None:
    again(stage, sync)
    ids = [stage.queue(f"p{i}@example.net") for i in range(2)]
    stage.work()
    Job.fetch(ids[0], stage.redis, JSONSerializer).cancel()
    ses.set_account(production_access=True)
    again(stage, sync, after=120)
    stage.work()
    assert [stage.state(id) for id in ids] == [State.CANCELLED, State.SENT]


def test_what_waited_for_its_sender_goes_once_that_is_verified(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    again(stage, sync)
    ids = [stage.queue("ada@example.org", sender="a@new.example") for _ in range(3)]
    stage.work()
    assert {stage.status(id).hold for id in ids} == {"sender:a@new.example"}
    again(stage, sync, after=PROBE_SECONDS + 1)
    assert {stage.state(id) for id in ids} == {State.HELD}, "a listed sender needs no probe"
    ses.verify("new.example")
    again(stage, sync)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.SENT}
    assert not stage.redis.exists(stage.keys.blocks)
    assert_agreement(stage.redis)


REFUSED_AS_A_WHOLE = [
    ("configuration_set:news", {"configuration_set": "news"}),
    ("account", {}),
    # its sender is verified: MAIL FROM, or a permission, is what is missing
    (SHOP, {}),
    # the list says that the recipient may receive
    ("recipient:ada@example.org", {}),
]


@pytest.mark.parametrize(("hold", "options"), REFUSED_AS_A_WHOLE)
def test_a_block_is_probed_with_one_message_and_ends_with_its_success(
    stage: Stage, sync: AccountSync, hold: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    again(stage, sync)
    # Given mail that SES refuses as a whole
    ids = [stage.queue("ada@example.org", **options) for _ in range(4)]
    stage.transport.answer(says(Kind.CONFIGURATION, hold))
    stage.work(want=1)
    stage.work()
    assert len(stage.transport.tried) == 1
    # When syncs come, then nothing is tried for a while
    for _ in range(4):
        again(stage, sync)
        stage.work()
    assert len(stage.transport.tried) == 1
    # then one is, and is refused again
    again(stage, sync, after=PROBE_SECONDS)
    stage.transport.answer(says(Kind.CONFIGURATION, hold))
    stage.work()
    assert len(stage.transport.tried) == 2
    assert {stage.state(id) for id in ids} == {State.HELD}
    again(stage, sync)
    stage.work()
    assert len(stage.transport.tried) == 2
    # until one gets through: then all go
    again(stage, sync, after=PROBE_SECONDS + 1)
    stage.work()
    assert len(stage.transport.sent) == 1
    again(stage, sync)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.SENT}
    assert not stage.redis.exists(stage.keys.blocks)
    assert_agreement(stage.redis)


def test_mail_that_waits_for_credentials_goes_once_ses_answers_to_them(
    stage: Stage, ses: Simulator, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    again(stage, sync)
    ids = [stage.queue("ada@example.org") for _ in range(4)]
    # Given that SES refuses the credentials, also to account sync
    stage.transport.answer(says(Kind.CREDENTIALS, "credentials"))
    stage.work()
    ses.stop()
    stage.pass_time(5)
    with pytest.raises(AccountUnavailable):
        sync.run()
    stage.rules.refresh()
    stage.work()
    assert {stage.state(id) for id in ids} == {State.HELD}
    # When account sync is answered again, then one message tries, and with its success all go
    monkeypatch.setattr(sync.ses, "describe", described)
    again(stage, sync, after=5)
    stage.work()
    assert len(stage.transport.sent) == 1
    again(stage, sync, after=5)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.SENT}
    assert not stage.redis.exists(stage.keys.blocks)


def described(note: Callable[[], None]) -> Description:
    """An account in production, of which nothing has been sent."""
    note()
    return Description(50.0, 500.0, 0.0, True, True, "HEALTHY", {"example.com": True})


@pytest.mark.parametrize(
    ("kind", "hold"),
    [(Kind.UNVERIFIED_SENDER, SHOP), (Kind.UNVERIFIED_RECIPIENT, "recipient:ada@example.org")],
)
def test_who_cannot_be_looked_up_is_probed_too(
    stage: Stage, sync: AccountSync, kind: Kind, hold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the identities may not be listed, only a try can tell."""
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    unlisted(sync, monkeypatch)
    again(stage, sync)
    ids = [stage.queue("ada@example.org") for _ in range(4)]
    stage.transport.answer(says(kind, hold))
    stage.work(want=1)
    stage.work()
    again(stage, sync)
    assert {stage.state(id) for id in ids} == {State.HELD}
    assert len(stage.transport.tried) == 1
    # When it is time, then one message tries
    again(stage, sync, after=PROBE_SECONDS)
    stage.work()
    assert len(stage.transport.sent) == 1
    # and after it, all go
    again(stage, sync)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.SENT}
    assert_agreement(stage.redis)


def test_what_the_list_held_is_tried_where_there_is_no_list_any_more(
    stage: Stage, ses: Simulator, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(stage, sync)
    ids = [stage.queue("bob@example.org") for _ in range(2)]
    stage.work()
    assert {stage.state(id) for id in ids} == {State.HELD}
    # When the list fails once, then the next one tells
    with monkeypatch.context() as once:
        unlisted(sync, once)
        again(stage, sync)
    again(stage, sync)
    assert {stage.state(id) for id in ids} == {State.HELD}
    # When there is none any more, then SES judges
    unlisted(sync, monkeypatch)
    again(stage, sync)
    again(stage, sync)
    stage.work()
    assert {stage.state(id) for id in ids} == {State.SENT}


def test_of_many_that_are_refused_some_try_at_a_time(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    unlisted(sync, monkeypatch)
    again(stage, sync)
    people = [f"p{number}@example.net" for number in range(MOST_PROBES + 5)]
    for to in people:
        stage.queue(to)
        stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, f"recipient:{to}"))
        stage.work()
    again(stage, sync, after=PROBE_SECONDS + 60)
    stage.work(want=100)
    # those try that have waited longest
    tried = [to for outgoing in stage.transport.sent for to in outgoing.envelope.recipients]
    assert sorted(tried) == sorted(people[:MOST_PROBES])
    again(stage, sync)
    stage.work(want=100)
    assert len(stage.transport.sent) == len(people)


def unlisted(sync: AccountSync, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identities of the account, which is in the sandbox, may not be listed."""
    monkeypatch.setattr(sync.ses, "_identities", lambda: (None, "the identities may not be listed"))


def test_a_worker_with_an_old_view_does_not_block_the_probe(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    again(stage, sync)
    id = stage.queue("ada@example.org")
    stage.transport.answer(says(Kind.CONFIGURATION, "account"))
    stage.work()
    stage.pass_time(PROBE_SECONDS + 1)
    sync.run()  # and the worker has not looked since
    assert stage.rules.blocks
    stage.work()
    assert stage.state(id) is State.SENT


LARGE = [f"p{number}@example.org" for number in range(5)]


def held_for_the_day(stage: Stage, sync: AccountSync) -> str:
    """A mail to five where a whole day has room for three."""
    id = stage.queue(LARGE)
    stage.pass_time(10)
    stage.claim()
    assert stage.status(id).hold == "day"
    again(stage, sync)
    assert stage.state(id) is State.HELD
    return id


@pytest.fixture
def roomy(stage: Stage, ses: Simulator, sync: AccountSync) -> AccountSync:
    """SES has room for 500 in a day."""
    ses.set_account(production_access=True)
    again(stage, sync)
    return sync


def test_what_a_day_had_no_room_for_goes_when_a_limit_for_a_time_ends(
    stage: Stage, roomy: AccountSync
) -> None:
    stage.policy.set({"daily": "3"}, by="ada", for_seconds=3600)
    id = held_for_the_day(stage, roomy)
    again(stage, roomy, after=3600)
    assert stage.state(id) is State.QUEUED
    assert_agreement(stage.redis)


@pytest.mark.parametrize(
    ("lane", "limits"),
    [
        ("transactional", {"daily": "3"}),
        ("bulk", {"reserve": "497"}),
        ("bulk", {"daily": "6", "reserve": "50%"}),
    ],
)
def test_what_a_day_had_no_room_for_goes_when_sesq_toml_has_other_limits(
    stage: Stage, roomy: AccountSync, lane: str, limits: dict[str, str]
) -> None:
    # Given limits that a worker read when it started
    stage.policy.configure(limits)
    id = stage.queue(LARGE, lane=lane)
    stage.pass_time(10)
    stage.claim()
    assert stage.status(id).hold == "day"
    events = len(stage.status(id).history)
    again(stage, roomy)
    assert (stage.state(id), len(stage.status(id).history)) == (State.HELD, events)
    # When one starts that reads others
    stage.policy.configure({})
    again(stage, roomy)
    assert stage.state(id) is State.QUEUED


def test_what_a_day_had_no_room_for_goes_when_ses_allows_more(
    stage: Stage, ses: Simulator, roomy: AccountSync
) -> None:
    ses.set_account(max_24_hour_send=3.0)
    again(stage, roomy)
    id, larger = held_for_the_day(stage, roomy), stage.queue([*LARGE, *(f"q{to}" for to in LARGE)])
    stage.claim()
    ses.set_account(max_24_hour_send=5.0)
    again(stage, roomy)
    assert (stage.state(id), stage.state(larger)) == (State.QUEUED, State.HELD)
    assert stage.messages.holds().keys() == {"day"}


def test_what_waits_for_a_person_waits(stage: Stage, sync: AccountSync) -> None:
    again(stage, sync)
    id = stage.queue("ada@example.org")
    stage.transport.answer(says(Kind.UNRECOGNIZED, "person"))
    stage.work()
    again(stage, sync, after=PROBE_SECONDS + 1)
    assert stage.state(id) is State.HELD
    assert_agreement(stage.redis)


def test_it_takes_expired_records_out_of_the_lists(stage: Stage, sync: AccountSync) -> None:
    again(stage, sync)
    id = stage.queue("ada@example.org")
    stage.work()
    stage.redis.delete(stage.keys.message(id))
    stage.pass_time(60)
    assert sync.run_if_due()
    assert stage.messages.counts()[State.SENT] == 0


def test_a_sync_that_is_asked_for_says_why_it_could_not(ses: Simulator, sync: AccountSync) -> None:
    ses.stop()
    with pytest.raises(AccountUnavailable):
        sync.run()


def test_a_clock_that_is_set_back_after_a_pause_does_not_keep_it(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    # Given a pause of SES's, and a clock that is set back an hour
    refused(stage, sync, says(Kind.PAUSED, "account"))
    assert stage.claim()[0].reason == "ses_paused"
    stage.pass_time(-3600)
    # When SES says that it sends, then the gate is open
    again(stage, sync)
    assert stage.gate.usage().closed is None


RETURN_PATH = (
    b"Return-Path: <bounces@mailer.example.net>\r\nFrom: Shop <shop@example.com>\r\nTo: ada@example.org\r\n"
    b"Subject: an old mail, sent again\r\n\r\nHello.\r\n"
)
SENDER_FIELD = RETURN_PATH.replace(b"Return-Path:", b"Sender:")
MAILER = "sender:bounces@mailer.example.net"


@pytest.mark.parametrize("raw", [RETURN_PATH, SENDER_FIELD], ids=["Return-Path", "Sender"])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "SES judges"])
def test_a_sender_in_one_mail_that_is_not_verified_holds_that_mail_alone(
    raw: bytes, listed: bool, stage: Stage, ses: Simulator, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    # Given mail of a verified sender, one of which names another one that is not
    if not listed:
        unlisted(sync, monkeypatch)
    through_ses(stage, ses)
    again(stage, sync)
    odd = stage.outbox.send(Message.from_bytes(raw))
    ids = [stage.queue("ada@example.org") for _ in range(3)]
    # When they are sent
    stage.work()
    # Then that mail waits and says for whom, the others have gone, and what the list tells SES was not asked
    assert [stage.state(id) for id in ids] == [State.SENT] * 3
    record = stage.status(odd)
    assert (record.state, record.hold) == (State.HELD, MAILER)
    assert "bounces@mailer.example.net" in record.reason
    assert "shop@example.com" not in record.reason
    assert refusals(ses) == (0 if listed else 1)
    # nor does it stand in the way of later ones, however often it tries
    for _ in range(3):
        again(stage, sync, after=PROBE_SECONDS + 1)
        stage.work()
        later = stage.queue("ada@example.org")
        stage.work()
        assert stage.state(later) is State.SENT
        assert stage.status(odd).hold == MAILER
    # When the other is verified, then it goes
    ses.verify("mailer.example.net")
    for _ in range(2):
        again(stage, sync, after=PROBE_SECONDS + 1)
        stage.work()
    assert stage.state(odd) is State.SENT
    assert not stage.redis.exists(stage.keys.blocks)
    assert_agreement(stage.redis)


def through_ses(stage: Stage, ses: Simulator) -> None:
    client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
    stage.transport = SesTransport(client)
    stage.rules.region = "us-east-1"
    stage.sender = stage.new_sender()


def refusals(ses: Simulator) -> int:
    """How many mails SES has refused."""
    return sum(not entry.accepted for entry in ses._do(lambda: list(ses.cloud.account().record.entries())))


def test_a_probe_takes_another_mail_each_time(
    stage: Stage, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    again(stage, sync)
    # Given three mails of one sender, whom SES refuses whatever its list says
    ids = []
    for _ in range(3):
        stage.pass_time(1)
        ids.append(stage.queue("ada@example.org"))
    stage.transport.answer(*[says(Kind.CONFIGURATION, SHOP)] * 4)
    stage.work(want=1)
    stage.work()
    # When one may try, again and again
    for _ in range(3):
        again(stage, sync, after=PROBE_SECONDS + 1)
        stage.work()
    # Then each has its turn
    first, second, third = ids
    assert [outgoing.id for outgoing in stage.transport.tried] == [first, second, third, first]
    # and with the first that SES takes all go, in their order
    again(stage, sync, after=PROBE_SECONDS + 1)
    stage.work()
    again(stage, sync)
    stage.work()
    assert [outgoing.id for outgoing in stage.transport.sent] == [second, first, third]
    assert_agreement(stage.redis)


def test_a_sync_writes_when_send_windows_are_open_also_where_ses_does_not_answer(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    # Given bulk mail that goes by day, and a worker that has run for weeks
    window = "09:00-17:00 Europe/Berlin"
    stage.policy.configure({}, window)
    stage.pass_time(21 * 86_400 + 12 * 3600)
    stage.queue(lane="bulk")
    assert stage.claim()[1] == []
    # When SES does not answer a sync
    ses.stop()
    with pytest.raises(AccountUnavailable):
        sync.run()
    # Then the times are there all the same, and the mail goes
    assert stage.redis.hget(stage.keys.windows, window).decode() == times_of(window, stage.now)
    assert len(stage.claim()[1]) == 1


def test_a_window_that_redis_has_lost_is_written_anew_before_anything_goes(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    # Given a worker that has a window by its settings, and a Redis that was emptied
    sync.bulk_window = "Sat,Sun 09:00-17:00 Europe/Berlin"
    stage.redis.flushall()
    stage.set_clock()
    stage.queue(lane="bulk")
    # When the account was synced, Then bulk mail waits
    sync.run()
    assert stage.redis.hget(stage.keys.configured, "window").decode() == sync.bulk_window
    claim, started = stage.claim()
    assert (claim.reason, started) == ("paused", [])
    # and a window that a later worker has, or has not, by its settings stays as that one wrote it
    stage.policy.configure({})
    again(stage, sync)
    assert len(stage.claim()[1]) == 1
