"""A batch can be stopped at any moment, other mail goes on, and it is known who got it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from agreement import assert_agreement
from batch import write_rows, write_template
from sesq.queue.batches import Batches
from sesq.queue.states import State
from system import System, eventually

RECIPIENTS = 1200


def test_paused_within_one_claim_then_cancelled_and_reported(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=50_000) as s:
        rows = write_rows(tmp_path / "rows.csv", (f"person{i}@example.org" for i in range(RECIPIENTS)))
        folder = write_template(tmp_path / "news")
        send = ["sesq.console", "batch", "send", str(folder), str(rows), "--from", "shop@example.com"]
        id = s.run(*send).strip()
        batches = Batches(s.redis)
        s.start_workers(2)
        eventually(lambda: batches.get(id).sent > 100, "some have got it")

        # When it is paused, then what was granted ends, and no claim grants more
        granted = batches.get(id)
        batches.pause(id, "a wrong link")
        at_pause = granted.sent + granted.counts[State.SENDING]
        eventually(lambda: batches.get(id).counts[State.SENDING] == 0, "what was on its way has ended")
        paused = batches.get(id)
        assert paused.state == "paused"
        assert paused.sent - at_pause <= 50  # at most what one claim may grant between the two looks
        # and mail behind it goes
        other = s.outbox.send(s.mail(lane="bulk"))
        assert s.outbox.wait(other, 30).state is State.SENT
        assert batches.get(id).sent == paused.sent

        # When it is resumed, it goes on
        s.run("sesq.console", "batch", "resume", id)
        eventually(lambda: batches.get(id).sent > paused.sent + 50, "it goes on")

        # When it is cancelled, then the report and SES say the same
        s.run("sesq.console", "batch", "cancel", id, "enough")
        eventually(lambda: batches.get(id).ended, "what was on its way has ended")
        reported = list(csv.DictReader(io.StringIO(s.run("sesq.console", "batch", "report", id))))
        got = {row["email"]: row["message_id"] for row in reported if row["state"] == "sent"}
        mails = [mail for mail in s.ses.messages() if mail["tags"]["sesq-id"] != other]
        assert got == {mail["to"][0]: mail["id"] for mail in mails}
        assert len(reported) == RECIPIENTS
        rest = [row for row in reported if row["state"] != "sent"]
        assert {row["state"] for row in rest} == {"cancelled"}
        assert all(row["reason"].endswith("enough") for row in rest)
        assert 0 < len(rest) < RECIPIENTS
        eventually(lambda: s.redis.llen("rq:queue:sesq.default.bulk") == 0, "its chunks leave the queue")
        assert_agreement(s.redis)
