"""Bulk mail goes in its send window alone, also where an hour comes twice: SES's record is the judge."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from batch import write_template
from sesq.queue.batches import Batches
from sesq.queue.policy import Policy
from sesq.queue.states import State
from system import System, eventually

WINDOW = "Sun 02:30-03:00 Europe/Berlin"
BERLIN, NEW_YORK = 300, 40
GRACE = 10.0
"""Seconds: what was granted in the last moment may still leave."""


def utc(text: str) -> float:
    return datetime.fromisoformat(f"2027-10-31T{text}").replace(tzinfo=timezone.utc).timestamp()


# in Berlin it is 02:30 at 00:30 UTC, 02:00 again at 01:00 UTC, and 02:30 again at 01:30 UTC
OPENINGS = {
    "berlin": [(utc("00:30"), utc("01:00")), (utc("01:30"), utc("02:00"))],
    "newyork": [(utc("06:30"), utc("07:00"))],
}


def move_to(s: System, moment: float) -> None:
    """While nothing is on its way: a lease would end with the jump, and its worker be taken for dead."""
    policy = Policy(s.redis)
    policy.pause("the clocks are moved", by="the story")
    eventually(lambda: s.redis.zcard(s.keys.leases) == 0, "nothing is on its way")
    s.move_clocks(moment - s.gate.usage().now)
    policy.resume(by="the story")


def went(s: System, zone: str = "") -> list[dict[str, Any]]:
    """The mails that SES took for those in a zone, by its own record."""
    found = [each for each in s.ses.messages(limit=1000) if each["to"][0].startswith(zone)]
    return sorted(found, key=lambda each: float(each["at"]))


def is_done(s: System, id: str) -> None:
    """Until it is; else tells what is left of it."""
    batches = Batches(s.redis)
    try:
        eventually(lambda: batches.get(id).state == "done", "the batch is done")
    except AssertionError:
        left = [each for each in batches.recipients(id) if each.state is not State.SENT]
        told = [s.outbox.status(each.id) for each in left[:5]]
        raise AssertionError(f"{batches.get(id)}\n{told}\n{s.log()}") from None


def settled(s: System, id: str, outside: int) -> Callable[[], bool]:
    """Whether all who wait in the batch wait for a window, and nobody is on the way."""

    def is_so() -> bool:
        batch = Batches(s.redis).get(id)
        return batch.counts[State.SENDING] == 0 and s.redis.zcard(s.keys.windowed) == outside

    return is_so


def test_it_goes_in_each_of_both_hours_and_in_no_other(system: Any, tmp_path: Path) -> None:
    s: System
    # Given an account of 30 a second, by night before the clocks are set back, and a batch with a zone for each row
    with system(max_send_rate=30, max_24_hour_send=50_000) as s:
        move_to(s, utc("00:10"))
        s.start_workers(2)
        s.wait_for_sync()
        path = tmp_path / "rows.csv"
        rows = [f"berlin{n}@example.org,B{n},Europe/Berlin" for n in range(BERLIN)]
        rows += [f"newyork{n}@example.org,N{n},America/New_York" for n in range(NEW_YORK)]
        path.write_text("\n".join(["email,name,tz", *rows, ""]))
        words = [str(write_template(tmp_path / "news")), str(path), "--from", "shop@example.com"]
        words += ["--window", WINDOW, "--zone-column", "tz"]
        told = json.loads(s.run("sesq.console", "batch", "check", *words, "--json"))
        assert told["outside"] == (
            "340 are outside their send windows, of which the first opens at 2027-10-31 02:30+02:00"
        )
        id = s.run("sesq.console", "batch", "send", *words).strip()
        berlin = Batches(s.redis)

        # When no window is open, Then nothing goes but transactional mail
        eventually(settled(s, id, 2), "both chunks wait for their windows")
        assert s.outbox.wait(s.outbox.send(s.mail("urgent@example.org"))).message_id
        assert [each["to"] for each in went(s)] == [["urgent@example.org"]]

        # When the hour comes for the first time
        move_to(s, utc("00:30"))
        eventually(lambda: len(went(s, "berlin")) >= 30, f"some have gone\n{s.log()[-3000:]}")
        # and when it is two o'clock again
        move_to(s, utc("01:00"))
        eventually(settled(s, id, 2), f"the others wait for the next hour\n{s.log()[-3000:]}")
        first = len(went(s, "berlin"))
        assert 30 <= first < BERLIN
        # Then those who wait are told when it opens again
        waiting = next(each.id for each in berlin.recipients(id) if each.state is State.QUEUED)
        record = s.outbox.status(waiting)
        assert record.waits_because == (
            f"outside the send window {WINDOW}, which opens at 2027-10-31 02:30+01:00"
        )
        assert record.goes_at is not None
        assert utc("01:30") <= record.goes_at < utc("01:31")

        # When the hour comes a second time, Then the others go
        move_to(s, utc("01:30"))
        eventually(lambda: len(went(s, "berlin")) == BERLIN, f"all have gone\n{s.log()[-3000:]}")
        assert went(s, "newyork") == []
        # and those across the ocean when their own clocks show it
        move_to(s, utc("06:30"))
        is_done(s, id)

        # Then, by SES's record, each went once, in a window of their own
        for zone, count in (("berlin", BERLIN), ("newyork", NEW_YORK)):
            mails = went(s, zone)
            assert len({each["to"][0] for each in mails}) == len(mails) == count
            for each in mails:
                at = float(each["at"])
                assert any(start <= at < end + GRACE for start, end in OPENINGS[zone]), (zone, at)
            # those of a zone in the order of the file, but for what was on its way at the same time
            order = [int(each["to"][0].partition("@")[0].removeprefix(zone)) for each in mails]
            assert all(abs(number - place) <= 64 for place, number in enumerate(order))
        report = s.ses.report()
        assert (report["refused"], report["duplicates"]) == ({}, 0)
