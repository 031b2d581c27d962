"""In the sandbox a batch takes days: what the check says before is what happens."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from batch import write_rows, write_template
from sesq.queue.batches import Batches
from system import System, eventually

RECIPIENTS = 520


def test_it_ends_when_the_check_said(system: Any, tmp_path: Path) -> None:
    s: System
    # Given a sandbox account of 200 a day, of which 30 are spent and 40 are to be kept for transactional mail
    with system(production=False, max_send_rate=20, max_24_hour_send=200) as s:
        s.ses.verify("readers.example")
        s.start_workers(1)
        for id in s.outbox.send_many(s.mail(f"first{i}@readers.example") for i in range(30)):
            assert s.outbox.wait(id, 30).message_id
        s.wait_for_sync()
        s.run("sesq.console", "quota", "set", "--reserve", "40")
        rows = write_rows(tmp_path / "rows.csv", (f"person{i}@readers.example" for i in range(RECIPIENTS)))
        arguments = [str(write_template(tmp_path / "news")), str(rows), "--from", "shop@example.com"]

        # When it is checked, and sent
        told = json.loads(s.run("sesq.console", "batch", "check", *arguments, "--json"))
        started = s.gate.usage().now
        id = s.run("sesq.console", "batch", "send", *arguments).strip()
        batches = Batches(s.redis)

        # and time passes, at SES as at the gate
        def at_rest() -> bool:
            usage, batch = s.gate.usage(), batches.get(id)
            # a sync that read SES before the clocks were moved takes mail of the day before for that of others
            spent = usage.remaining is not None and usage.remaining <= 40 and not usage.others
            return batch.state == "done" or (spent and batch.left == batch.waiting)

        while True:
            eventually(at_rest, "what may go today has gone")
            if batches.get(id).state == "done":
                break
            room_at = s.gate.usage().lanes[1]["room_at"]
            s.move_clocks(max(1.0, room_at - s.gate.usage().now + 0.5))
            eventually(
                lambda: s.gate.usage().remaining > 40 or batches.get(id).state == "done", "room is there"
            )

        # Then it ended within 2 % of when it was said to, on the days that were named
        ended = batches.get(id).ended
        assert ended is not None
        said = datetime.fromisoformat(told["ends_at"].replace("Z", "+00:00")).timestamp()
        assert abs(ended - said) <= 0.02 * (said - started), (ended - started, said - started)
        assert said - started > 3 * 86_400
        assert [day["recipients"] for day in told["days"]] == [130, 160, 160, 70]
        # and SES refused nothing
        report = s.ses.report()
        assert (report["refused"], report["duplicates"]) == ({}, 0)
        assert report["max_recipients_in_24h"] == 160
        assert report["accepted"] == RECIPIENTS + 30
