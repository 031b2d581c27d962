"""Why a message waits and when it goes, as its producer is told."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from redis import Redis

from batch import template
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.explain import NO_WORKER
from sesq.queue.ramp import mind_ramp, start_ramp
from sesq.queue.reputation import Standing
from sesq.queue.results import SendResult, put_back
from sesq.queue.states import Lane, State
from sesq.worker.verdicts import Kind
from stage import Stage, says

DAY_SECONDS = 86_400


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """At 10 a second and 100 a day, and with a worker as RQ's tools know it."""
    stage = Stage(redis)
    stage.sync(rate=10.0, daily=100.0)
    for lane in Lane:
        redis.sadd(f"rq:workers:{stage.keys.queue(lane)}", "w")
    return stage


def told(stage: Stage, id: str) -> tuple[str, float | None]:
    """Why, and in how many seconds."""
    record = stage.outbox.status(id)
    return record.waits_because, None if record.goes_at is None else record.goes_at - stage.now


def test_the_next_one_may_go_now(stage: Stage) -> None:
    because, wait = told(stage, stage.queue())
    assert (because, wait) == ("it may go now", pytest.approx(0, abs=0.2))


def test_what_would_wait_for_more_than_ten_years_is_not_told_a_time(stage: Stage) -> None:
    stage.policy.set({"rate": "0.000001"}, by="test")
    stage.sync(rate=10.0, daily=-1.0)
    for _ in range(400):
        stage.queue()
    because, wait = told(stage, stage.queue())
    assert "400 recipients go before it" in because
    assert wait is None


def test_it_waits_for_those_before_it_and_goes_when_it_was_told(stage: Stage) -> None:
    for _ in range(30):
        stage.queue()
    last = stage.queue(lane="bulk")
    stage.queue(lane="bulk")
    because, wait = told(stage, last)
    assert "30 recipients go before it" in because
    assert wait is not None
    # When time passes in steps of a tenth of a second, then it goes by then
    begun = stage.now
    while stage.state(last) is State.QUEUED:
        stage.pass_time(0.1)
        stage.work(50)
    assert stage.now - begun == pytest.approx(wait, abs=0.5)


def test_when_the_day_is_spent_it_says_so_and_when_it_goes(stage: Stage) -> None:
    for _ in range(10):
        stage.queue([f"ada{i}@example.org" for i in range(10)])
        stage.work()
        stage.pass_time(2)
    because, wait = told(stage, stage.queue())
    assert "the day has no room for it yet: 100 of 100 recipients in 24 hours" in because
    assert wait == pytest.approx(DAY_SECONDS, rel=0.01)
    # and bulk mail may not use what is kept for the other
    stage.policy.set({"reserve": "10"}, by="ada")
    assert "10 are kept for transactional mail" in told(stage, stage.queue(lane="bulk"))[0]


def test_a_ramp_says_so_and_its_mail_goes_when_it_was_told(stage: Stage) -> None:
    # Given a ramp of ten to forty, whose first day is spent
    stage.sync(rate=10.0, daily=1000.0)
    start_ramp(stage.redis, "default", 10, 40, 2 * DAY_SECONDS, by="ada")
    for _ in range(50):
        stage.queue()
    last = stage.queue()
    for _ in range(2):
        stage.pass_time(60)
        stage.work(60)
    because, wait = told(stage, last)
    assert "the day has no room for it yet: 10 of 10 recipients in 24 hours, 40 before it" in because
    assert "; a ramp limits the day, from 10 to 40 recipients in 2 days" in because
    # When days pass, then it goes when it was told, which by the first day's limit would have been much later
    assert wait is not None
    assert wait < 2.1 * DAY_SECONDS
    begun = stage.now
    while stage.state(last) is State.QUEUED:
        stage.pass_time(60)
        stage.work(60)
    assert stage.now - begun == pytest.approx(wait, abs=180)


def test_a_ramp_that_stands_still_says_why_and_its_mail_goes_by_what_it_lets_go(stage: Stage) -> None:
    start_ramp(stage.redis, "default", 10, 40, 2 * DAY_SECONDS, by="ada")
    mind_ramp(stage.redis, "default", Standing(1000, 90, 0))
    for _ in range(21):
        stage.queue()
    last = stage.queue()
    stage.pass_time(60)
    stage.work(60)
    because, wait = told(stage, last)
    assert "; the ramp of 10 to 40 stands still: 9.00% bounces" in because
    assert wait == pytest.approx(2 * DAY_SECONDS, rel=0.01)


def test_recipients_of_a_batch_wait_for_those_before_them(stage: Stage) -> None:
    stage.sync(rate=10.0, daily=10_000.0)
    rows = ({"email": f"p{i}@example.org", "name": "P"} for i in range(700))
    id = take(stage.redis, batch_request(template(), "shop@example.com", "k"), numbered(rows)).id
    assert told(stage, f"{id}-1-100")[0] == "600 recipients go before it, at 10/second"
    assert "700 recipients go before it" in told(stage, stage.queue(lane="bulk"))[0]
    # those that came back are before them again
    stage.gate.settle([put_back(grant, "late") for grant in stage.ask(5).grants])
    assert "701 recipients go before it" in told(stage, stage.queue(lane="bulk"))[0]
    # and while their batch is paused they are before nobody
    stage.redis.hset(stage.keys.batch(id), mapping={"state": "paused", "reason": "a wrong link"})
    assert told(stage, f"{id}-1-100") == ("its batch is paused: a wrong link", None)
    assert told(stage, stage.queue(lane="bulk"))[0] == "it may go now"


def test_recipients_of_a_chunk_wait_for_those_of_it_that_have_not_been_granted(stage: Stage) -> None:
    stage.sync(rate=10.0, daily=10_000.0)
    rows = ({"email": f"p{i}@example.org", "name": "P"} for i in range(200))
    id = take(stage.redis, batch_request(template(), "shop@example.com", "k"), numbered(rows)).id
    # Given five of a chunk that are on their way
    claim = stage.ask(5)
    assert len(claim.grants) == 5
    # Then one of the others waits for those between
    assert "95 recipients go before it" in told(stage, f"{id}-0-100")[0]
    # And one that came back waits for nobody
    stage.pass_time(1)
    stage.gate.settle([put_back(grant, "late") for grant in claim.grants])
    assert told(stage, f"{id}-0-0")[0] == "it may go now"


def test_what_would_go_after_its_time_goes_never(stage: Stage) -> None:
    for _ in range(50):
        stage.queue()
    id = stage.queue(expires_at=datetime.fromtimestamp(stage.now + 2, timezone.utc))
    because, wait = told(stage, id)
    assert (because.endswith("it expires before it can go"), wait) == (True, None)


def test_what_goes_just_before_its_time_runs_out_is_told_when(stage: Stage) -> None:
    for _ in range(70):
        stage.queue()
    # It goes after 7 s, less what the bucket holds
    id = stage.queue(expires_at=datetime.fromtimestamp(stage.now + 8, timezone.utc))
    because, wait = told(stage, id)
    assert because == "70 recipients go before it, at 10/second"
    assert wait == pytest.approx(7, abs=1)


def test_what_fits_into_the_rest_of_the_day_exactly_may_go_now(stage: Stage) -> None:
    stage.sync(rate=100.0, daily=100.0, sent=90.0)
    id = stage.queue([f"ada{i}@example.org" for i in range(10)])
    stage.pass_time(5)
    assert told(stage, id)[0] == "it may go now"
    # and one recipient more has no room
    larger = stage.queue([f"bob{i}@example.org" for i in range(11)])
    assert "the day has no room for it yet" in told(stage, larger)[0]


@pytest.mark.parametrize("lane", list(Lane))
def test_what_is_paused_goes_when_somebody_says_so(stage: Stage, lane: Lane) -> None:
    id = stage.queue(lane=lane.value)
    stage.policy.pause("a look", by="ada", bulk_only=lane is Lane.BULK)
    because, wait = told(stage, id)
    assert (because.endswith("is paused by ada: a look"), wait) == (True, None)


def test_a_pause_of_bulk_mail_is_told_to_bulk_mail_alone(stage: Stage) -> None:
    stage.policy.pause("too many bounces", by="ada", bulk_only=True)
    assert told(stage, stage.queue())[0] == "it may go now"
    assert told(stage, stage.queue(lane="bulk"))[0] == "bulk mail is paused by ada: too many bounces"


@pytest.mark.parametrize("lane", list(Lane))
def test_what_was_cancelled_in_the_middle_of_a_lane_is_before_nobody(stage: Stage, lane: Lane) -> None:
    # Given 30 urgent mails, of which ten were taken back from the middle: their entries stand in the lane still
    before = [stage.queue() for _ in range(30)]
    for id in before[10:20]:
        stage.messages.cancel(id, by="ada")
    assert stage.redis.llen(f"rq:queue:{stage.keys.queue(Lane.TRANSACTIONAL)}") == 30
    # Then a mail after them waits for the other twenty, whatever its own lane
    assert "20 recipients go before it" in told(stage, stage.queue(lane=lane.value))[0]


def test_urgent_mail_waits_for_no_bulk_mail(stage: Stage) -> None:
    for _ in range(30):
        stage.queue(lane="bulk")
    assert told(stage, stage.queue())[0] == "it may go now"


def test_urgent_mail_may_use_what_is_kept_for_it(stage: Stage) -> None:
    stage.policy.set({"reserve": "100"}, by="ada")
    assert told(stage, stage.queue())[0] == "it may go now"
    assert "the day has no room for it yet" in told(stage, stage.queue(lane="bulk"))[0]


def test_what_nobody_sends_and_what_ses_does_not_send_are_told(stage: Stage) -> None:
    id = stage.queue()
    stage.sync(sending=0, paused_because="SES has paused this account")
    assert told(stage, id) == ("SES has paused this account", None)
    stage.redis.delete(stage.keys.snapshot)
    assert told(stage, id) == ("SES has not described this account yet", None)
    stage.redis.delete(f"rq:workers:{stage.keys.queue(Lane.TRANSACTIONAL)}")
    assert told(stage, id) == (NO_WORKER, None)


def test_an_account_without_a_rate_waits_and_can_be_looked_at(stage: Stage) -> None:
    # Given an account whose tokens are used up, to which SES then gives no rate at all
    for _ in range(6):
        stage.queue()
    stage.work(6)
    id = stage.queue()
    stage.sync(rate=0.0, daily=0.0, sending=0, paused_because="SES gives this account no sending rate")
    # Then nothing goes, and the books can still be read
    assert stage.claim()[0].reason == "ses_paused"
    assert stage.gate.usage().rate == 0
    assert told(stage, id) == ("SES gives this account no sending rate", None)


def test_other_waits(stage: Stage) -> None:
    due = datetime.fromtimestamp(stage.now + 600, timezone.utc)
    assert told(stage, stage.queue(send_at=due)) == ("its time has not come", pytest.approx(600))
    held, retried = stage.queue(), stage.queue()
    stage.transport.answer(says(Kind.UNVERIFIED_RECIPIENT, "person", reason="not verified"))
    stage.transport.answer(*[says(Kind.TRANSIENT, reason="SES was away")] * 3)
    stage.work(1)
    stage.work(1)
    assert told(stage, held) == ("not verified", None)
    because, wait = told(stage, retried)
    assert (because, wait) == ("SES was away", pytest.approx(5, abs=1))
    # What is over waits for nothing
    sent = stage.queue()
    stage.work()
    assert told(stage, sent) == ("", None)


# send windows

WINDOW = "Mon-Fri 09:00-17:00 Europe/Berlin"
OPENS = 1_700_035_200.0  # Wednesday 15 November 2023, 09:00 in Berlin
OUTSIDE = f"outside the send window {WINDOW}, which opens at 2023-11-15 09:00+01:00"


def batch_of(stage: Stage, count: int, key: str, **options: Any) -> str:
    """Queues a batch. Returns its id."""
    row = {"name": "P", **options.pop("row", {})}
    rows = ({"email": f"p{number}@example.org", **row} for number in range(count))
    return take(stage.redis, batch_request(template(), "shop@example.com", key, **options), numbered(rows)).id


def test_bulk_mail_outside_the_accounts_window_is_told_when_that_opens(stage: Stage) -> None:
    stage.policy.configure({}, WINDOW)
    first, second = stage.queue(lane="bulk"), stage.queue(lane="bulk")
    assert told(stage, first) == (OUTSIDE, pytest.approx(OPENS - stage.now, abs=0.2))
    assert told(stage, second) == (OUTSIDE, pytest.approx(OPENS - stage.now + 0.1, abs=0.2))
    assert told(stage, stage.queue())[0] == "it may go now"


def test_a_recipient_of_a_batch_is_told_of_its_window_in_its_lane_and_out_of_it(stage: Stage) -> None:
    stage.sync(rate=10.0, daily=-1.0)
    id = batch_of(stage, 600, "k", window=WINDOW)
    behind = stage.queue(lane="bulk")
    for row, wait in ((f"{id}-0-0", 0.0), (f"{id}-1-50", 55.0)):
        assert told(stage, row) == (OUTSIDE, pytest.approx(OPENS - stage.now + wait, abs=1.0))
    # what has no window goes by night
    assert told(stage, behind)[1] == pytest.approx(0, abs=0.2)
    # When a worker has met the chunks, it is told the same
    assert [each.id for each in stage.claim(1)[1]] == [behind]
    for row, wait in ((f"{id}-0-0", 0.0), (f"{id}-1-50", 55.0)):
        assert told(stage, row) == (OUTSIDE, pytest.approx(OPENS - stage.now + wait, abs=1.0))


def test_what_a_window_is_too_short_for_goes_in_the_next(stage: Stage) -> None:
    # Given a window of ten minutes a day, at 1 a second
    stage.sync(rate=1.0, daily=-1.0)
    short = "09:00-09:10 Europe/Berlin"
    id = batch_of(stage, 1000, "k", window=short)
    assert told(stage, f"{id}-1-450")[1] == pytest.approx(OPENS - stage.now + DAY_SECONDS + 350, abs=3)
    # When the window is open
    stage.pass_time(OPENS - stage.now)
    because, wait = told(stage, f"{id}-1-450")
    assert "950 recipients go before it" in because
    assert wait == pytest.approx(DAY_SECONDS + 350, abs=3)


def test_the_window_of_a_row_is_that_of_its_zone(stage: Stage) -> None:
    tokyo = "Mon-Fri 09:00-17:00 Asia/Tokyo"
    id = batch_of(stage, 1, "k", window=WINDOW, zone_column="tz", row={"tz": "Asia/Tokyo"})
    because, wait = told(stage, f"{id}-0-0")
    assert because == f"outside the send window {tokyo}, which opens at 2023-11-15 09:00+09:00"
    assert wait == pytest.approx(OPENS - 8 * 3600 - stage.now, abs=0.2)


def test_a_window_that_is_damaged_is_told_and_no_time_is(stage: Stage) -> None:
    id = batch_of(stage, 1, "k", window=WINDOW)
    stage.redis.delete(stage.keys.windows)
    because, wait = told(stage, f"{id}-0-0")
    assert because.startswith(f"outside the send window {WINDOW}; Redis does not know when it opens")
    assert wait is None


def test_windows_that_are_never_open_at_the_same_time(stage: Stage) -> None:
    stage.policy.configure({}, "Sat,Sun 10:00-12:00 UTC")
    id = batch_of(stage, 1, "k", window=WINDOW)
    assert told(stage, f"{id}-0-0")[1] is None


def test_a_row_with_a_record_is_told_of_the_window_for_which_it_was_put_off(stage: Stage) -> None:
    id = batch_of(stage, 1, "k", window="22:00-23:30 UTC")
    (started,) = stage.claim(1)[1]
    stage.gate.settle([SendResult(started.grant, State.RETRYING, "SES was too busy", delay=3600.0)])
    stage.pass_time(3 * 3600)
    stage.gate.promote()
    assert stage.claim(1)[1] == []
    because, wait = told(stage, f"{id}-0-0")
    assert because == "outside the send window 22:00-23:30 UTC, which opens at 2023-11-15 22:00+00:00"
    assert stage.now + (wait or 0) == OPENS + 14 * 3600
