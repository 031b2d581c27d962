"""The quota of the day is spent to the last recipient, never further, and the rest waits in its place."""

from __future__ import annotations

import json
from typing import Any

from sesq.queue.states import State
from system import System, eventually

DAY_SECONDS = 86_400


def test_exactly_200_go_and_60_wait_until_the_day_has_passed(system: Any) -> None:
    s: System
    with system(max_send_rate=20, max_24_hour_send=200) as s:
        # Given 260 recipients queued for an account of 20 a second and 200 a day, and four workers
        ids = s.send(260)
        s.start_workers(4)

        # When all that may go has gone
        s.wait_for(State.SENT, 200)
        eventually(lambda: s.gate.usage().remaining == 0, "the day is spent")

        # Then SES took exactly 200 and refused nothing, and the others are still in their queue
        report = s.ses.report()
        assert report["accepted"] == 200
        assert report["refused"] == {}
        assert report["throttles"] == 0
        assert s.count(State.QUEUED) == 60
        waiting = [s.outbox.status(id) for id in ids if s.outbox.status(id).state is State.QUEUED]
        assert all(len(record.history) == 1 and record.attempts == 0 for record in waiting)

        # and it is known when they go
        status = json.loads(s.run("sesq.console", "status", "--json"))
        assert status["usage"]["remaining"] == 0
        assert status["usage"]["next_free_at"] is not None
        first = eventually(lambda: min(m["at"] for m in s.ses.messages()), "the first mail")
        assert DAY_SECONDS - 5 <= s.gate.usage().lanes[0]["room_at"] - first <= DAY_SECONDS + 180

        # When a day passes
        s.move_clocks(DAY_SECONDS + 180)

        # Then they go, once each
        s.wait_for(State.SENT, 260)
        report = s.ses.report()
        assert (report["accepted"], report["refused"], report["duplicates"]) == (260, {}, 0)
        assert report["max_recipients_in_24h"] == 200
