"""Logs for machines: each line is an object, a message is found by its id, and nobody is named."""

from __future__ import annotations

import json
from typing import Any

from sesq.queue.states import State
from system import System


def test_a_message_is_followed_by_its_id_and_nobody_is_named(system: Any) -> None:
    s: System
    with system(production=False, max_send_rate=20, max_24_hour_send=100) as s:
        s.ses.verify("ada@example.org")
        worker = s.start_workers(1, SESQ_LOG_FORMAT="json")[0]
        # Given one mail that goes, and one that has to wait
        gone = s.outbox.send(s.mail("ada@example.org"))
        waits = s.outbox.send(s.mail("bob@example.net"))
        s.wait_for(State.SENT, 1)
        s.wait_for(State.HELD, 1)
        worker.terminate()
        assert worker.wait(30) == 0
        # Then every line of the worker is an object, with the time and the level
        lines = [json.loads(line) for line in (s.folder / "process-0.log").read_text().splitlines()]
        assert all({"timestamp", "level", "logger", "message"} <= line.keys() for line in lines)
        # and what became of each mail is found by its id, with SES's id or the reason
        told = {line["id"]: line for line in lines if "id" in line}
        (sent,) = [line for line in lines if gone in line["message"]]
        assert (sent["state"], sent["ses_ids"]) == ("sent", {gone: s.ses.messages()[0]["id"]})
        assert (told[waits]["state"], told[waits]["account"]) == ("held", "default")
        assert "…@example.net" in told[waits]["reason"]
        # and no one is named
        assert "bob@" not in s.log()
        assert "ada@" not in s.log()
