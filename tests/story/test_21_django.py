"""A Django project sends mail through the queue, without a line about it in its own code."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

from arrived import arrived
from sesq.queue.states import State
from system import System, eventually

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


def test_receivers_are_told_once_by_each_way(system: Any, tmp_path: Path) -> None:
    s: System
    secret, hook = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SESQ_ACCOUNTS__DEFAULT__WEBHOOKS__SHOP__"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {f"{hook}URL": f"http://127.0.0.1:{port}/sesq/webhook", f"{hook}SECRET": secret}
    settings |= {f"{hook}RECIPIENTS": "true", "SHOP_WEBHOOK_SECRET": secret}
    with system(production=False, max_send_rate=20, max_24_hour_send=200, settings=settings) as s:
        # Given a Django project that is told by webhook in its web server, and by the stream in a command
        shutil.copytree(PROJECT, tmp_path / "project")
        s.environment["PYTHONPATH"] = str(tmp_path / "project")
        by_http, by_stream = tmp_path / "by_http", tmp_path / "by_stream"
        s.start("manage", "runserver", "--noreload", f"127.0.0.1:{port}", SHOP_CHANGES=str(by_http))
        s.start("manage", "sesq_events", SHOP_CHANGES=str(by_stream))
        s.start("sesq.console", "webhooks", "run")
        eventually(lambda: is_open(port), "the web server is up")
        eventually(lambda: s.redis.hlen(s.keys.listening) == 3, f"both listen: {s.log()}")
        # When a mail bounces, and one that the sandbox held is freed
        s.ses.verify("example.org")
        s.ses.set_events(queue="ses-events", fates={"person0@example.org": "bounce"})
        s.start_workers(1)
        s.start(
            "sesq.console",
            "events",
            AWS_ENDPOINT_URL_SQS=s.ses.endpoint_url,
            SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL=f"{s.ses.endpoint_url}/000000000000/ses-events",
        )
        (bounced,) = s.send(1)
        held = s.outbox.send(s.mail("bob@example.net"))
        s.wait_for(State.HELD, 1)
        s.ses.verify("example.net")
        s.wait_for(State.BOUNCED, 1)
        s.wait_for(State.DELIVERED, 1)
        # Then each way tells the receivers each change of both, once and in order
        ends = ("sending", "sent")
        wanted = {
            bounced: ["queued", *ends, "bounced person0@example.org is bad"],
            held: ["queued", "sending", "held", "queued", *ends, "delivered"],
        }
        for file in (by_http, by_stream):
            eventually(lambda file=file: changes(file) == wanted, f"{changes(file)}\n{s.log()}")


def changes(file: Path) -> dict[str, list[str]]:
    """Message -> what was written down of it."""
    found: dict[str, list[str]] = {}
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        id, _, change = line.partition(" ")
        found.setdefault(id, []).append(change)
    return found


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
