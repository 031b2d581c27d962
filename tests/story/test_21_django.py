"""A Django project sends mail through the queue, without a line about it in its own code."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from arrived import arrived
from sesq.queue.states import State
from system import System

PROJECT = Path(__file__).parent / "django_shop"


def test_mail_of_a_django_project_arrives_as_it_was_written(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20, max_24_hour_send=200) as s:
        # Given a Django project, a file to attach, and a worker
        shutil.copytree(PROJECT, tmp_path / "project")
        invoice = tmp_path / "Rechnung ü.pdf"
        invoice.write_bytes(os.urandom(20_000))
        s.start_workers(1)
        # When a command of the project sends from two transactions, of which one is rolled back, and is run again
        s.environment["PYTHONPATH"] = str(tmp_path / "project")
        manage = ("manage", "receipts", str(invoice))
        s.run(*manage)
        s.run(*manage)
        s.wait_for(State.SENT, 1)
        # Then one mail has arrived, with its blind copy unseen and its options gone from the headers
        (sent,) = arrived(s.ses)
        assert s.messages.counts()[State.QUEUED] == 0
        assert sent.call["to"] == ["=?utf-8?q?Ada_=C5=81ovelace?= <ada@example.org>"]
        assert sent.call["bcc"] == ["archive@example.com"]
        assert sent.call["tags"]["kind"] == "receipt"
        assert sent.mail["Subject"] == "Ihre Bestellung: Grüße aus der Bücherei"
        assert sent.mail["To"].addresses[0].display_name == "Ada Łovelace"
        assert sent.mail["X-Order"] == "7"
        assert not [name for name in sent.mail if name.lower().startswith("x-sesq") or name == "Bcc"]
        # and every part is what it was, to the byte
        assert sent.bytes_of(invoice.name) == invoice.read_bytes()
        assert sent.bytes_of("<logo>") == invoice.read_bytes()[:500]
        assert sent.bytes_of("text/plain").strip() == b"Danke, Ada."
        assert b"<b>Ada</b>" in sent.bytes_of("text/html")
