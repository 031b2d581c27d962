"""A new account grows by a ramp, over days. It stands still while too much bounces, and SES's record is the judge."""

from __future__ import annotations

import json
from bisect import bisect_right
from datetime import datetime
from typing import Any

from sesq.queue.usage import Ramp
from system import System, eventually

DAY = 86_400
QUEUE = "/000000000000/ses-events"
FIRST, LAST, DAYS = 200, 1600, 3
MAIL = 1800
BOUNCING = range(220, 280)
"""A tenth of what the first two days send."""
CLOCKS_DIFFER = 0.5


def ramp_of(s: System) -> Ramp:
    ramp = s.gate.usage().ramp
    assert ramp is not None
    return ramp


def wait_until_spent(s: System, accepted: int) -> None:
    def spent() -> bool:
        usage = s.gate.usage()
        # a sync that read SES before the clocks were moved takes mail of the day before for that of others
        return s.ses.report()["accepted"] >= accepted and usage.remaining == 0 and not usage.others

    eventually(spent, f"{accepted} have gone, and the day is spent\n{s.log()[-3000:]}")
    assert s.ses.report()["accepted"] == accepted


def wait_for_the_rest_of_the_day(s: System, accepted: int) -> None:
    """What was sent the day before ceases to count some minutes after the ramp's new day has begun."""
    s.move_clocks(600)
    wait_until_spent(s, accepted)


def begin_the_next_day(s: System) -> None:
    s.move_clocks(ramp_of(s).steps[0][0] - s.gate.usage().now + 0.5)


def growing_until(history: list[dict[str, Any]], time: float) -> float:
    """For how many seconds it has grown by then, as the audit trail has it."""
    seconds, since = 0.0, None
    for entry in reversed(history):
        at = datetime.fromisoformat(entry["at"].replace("Z", "+00:00")).timestamp()
        if at > time:
            break
        if since is not None:
            seconds += at - since
        since = None if entry["new"]["ramp"]["stands_still_since"] else at
    return seconds + (time - since if since is not None else 0.0)


def judge(s: System, history: list[dict[str, Any]]) -> None:
    """By SES's record, and the audit trail: never more in 24 hours than the ramp allowed at their end."""
    times = sorted(message["at"] for message in s.ses.messages(limit=10 * MAIL))
    assert len(times) == MAIL
    for number, time in enumerate(times, 1):
        day = min(DAYS, int(growing_until(history, time + CLOCKS_DIFFER) // DAY))
        within = number - bisect_right(times, time - DAY)
        assert within <= FIRST * 2**day, (within, day, time)


def test_a_ramp_grows_stands_still_while_too_much_bounces_and_goes_on(system: Any) -> None:
    s: System
    with system(max_send_rate=500, max_24_hour_send=5000) as s:
        # Given a ramp, more mail than its first days let go, workers, and a reader of events
        fates = {f"person{i}@example.org": "bounce" for i in BOUNCING}
        s.ses.set_events(queue="ses-events", fates=fates)
        options = ("--from", str(FIRST), "--to", str(LAST), "--over", f"{DAYS}d")
        s.run("sesq.console", "quota", "ramp", *options)
        s.start_workers(2)
        url = s.ses.endpoint_url
        settings = {"AWS_ENDPOINT_URL_SQS": url, "SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL": url + QUEUE}
        s.start("sesq.console", "events", **settings)
        last = s.send(MAIL)[-1]

        # When its first day is spent
        wait_until_spent(s, 200)
        # Then the last mail is told a day on which the ramp lets it go: 400 and 800 go before it
        record = s.outbox.status(last)
        assert "a ramp limits the day, from 200 to 1600 recipients in 3 days" in record.waits_because
        assert record.goes_at is not None
        assert abs(record.goes_at - s.gate.usage().now - 3 * DAY) < 0.02 * 3 * DAY
        assert ramp_of(s).still_since is None

        # When the second day begins, twice as many go
        begin_the_next_day(s)
        wait_until_spent(s, 400)
        wait_for_the_rest_of_the_day(s, 600)
        assert s.ses.report()["max_recipients_in_24h"] == 400

        # And a tenth of it bounces: the ramp stands still, and what is told of the last mail counts that
        eventually(lambda: ramp_of(s).still_since is not None, f"it stands still\n{s.log()[-3000:]}")
        because = s.outbox.status(last).waits_because
        assert "the ramp of 200 to 1600 stands still: " in because
        assert "bounces (reviewed at 5.0%" in because
        status = json.loads(s.run("sesq.console", "status", "--json"))
        assert status["policy"]["ramp"]["stands_still_since"] is not None
        assert any("stands still since" in sentence for sentence in status["why"])
        # Then on the third day no more go than on the second
        s.move_clocks(DAY + 600)
        wait_until_spent(s, 1000)
        assert s.ses.report()["max_recipients_in_24h"] == 400

        # When so much went well that the rate is below the line
        eventually(lambda: ramp_of(s).still_since is None, f"it goes on\n{s.log()[-3000:]}")
        assert ramp_of(s).cap == 400
        said = s.outbox.status(last).goes_at
        # Then it grows again, and the rest goes when that was told
        begin_the_next_day(s)
        wait_until_spent(s, 1400)
        s.move_clocks(1200)
        eventually(lambda: s.ses.report()["accepted"] == MAIL, f"all of it goes\n{s.log()[-3000:]}")
        assert said is not None
        assert abs(said - s.gate.usage().now) < 0.02 * DAY

        # And SES refused nothing, nobody got anything twice, and never did more go than the ramp allowed
        report = s.ses.report()
        assert (report["refused"], report["duplicates"]) == ({}, 0)
        assert report["max_recipients_in_24h"] == 800
        history = json.loads(s.run("sesq.console", "quota", "history", "--json"))
        history = [entry for entry in history if "ramp" in entry["new"]]
        assert [entry["by"] for entry in history[:-1]] == ["sesq", "sesq"]
        judge(s, history)
