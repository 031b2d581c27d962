"""Webhooks over real HTTP: a bounce is told once; and what fails, hangs, is killed or restarted loses nothing."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from own_redis import OwnRedis, own_redis
from sesq.queue.events import MessageEvent
from sesq.queue.keys import CLOCK_OFFSET
from sesq.queue.states import State
from sesq.queue.webhook_body import event_of
from system import System, eventually, running_system

pytestmark = pytest.mark.redis

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = "SESQ_ACCOUNTS__DEFAULT__WEBHOOKS__{}__{}"
QUEUE = "/000000000000/ses-events"


class Receiver(ThreadingHTTPServer):
    """An app's endpoint. It answers with `status`, or not at all while it hangs; it believes signatures alone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.status = 200
        self.hangs = False
        self.released = threading.Event()
        self.taken: list[MessageEvent] = []
        """What it answered 200 to, in order."""
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=hidden"

    def states(self, message: str) -> list[str]:
        """The states of a message as it was told them first, each once."""
        return list(dict.fromkeys(event.state for event in self.taken if event.message == message))


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Webhook(SECRET).verify(body, dict(self.headers))
        if self.server.hangs:
            self.server.released.wait(60)
            self.close_connection = True
            return
        status = self.server.status
        if status == 200:
            self.server.taken.append(event_of(body))
        else:
            self.server.refused += 1
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def app() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def hooks(**receivers: Receiver) -> dict[str, str]:
    """The settings of webhooks with these names."""
    found = {}
    for name, receiver in receivers.items():
        values = {"URL": receiver.url, "SECRET": SECRET, "TIMEOUT_SECONDS": "1"}
        found |= {HOOK.format(name.upper(), key): value for key, value in values.items()}
    return found


def run_webhooks(s: System) -> subprocess.Popen[bytes]:
    """Starts it, and returns when it is told what happens."""
    before = s.log().count("this process delivers")
    process = s.start("sesq.console", "webhooks", "run")
    eventually(lambda: s.log().count("this process delivers") > before, f"it delivers\n{s.log()}", 90)
    return process


def listen_to_ses(s: System) -> None:
    url = s.ses.endpoint_url
    s.start(
        "sesq.console",
        "events",
        AWS_ENDPOINT_URL_SQS=url,
        SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL=url + QUEUE,
    )


def test_a_bounce_reaches_the_app_once(system: Any, app: Receiver) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, settings=hooks(app=app)) as s:
        # Given a webhook, workers, and mail of which one bounces
        s.ses.set_events(queue="ses-events", fates={"person0@example.org": "bounce"})
        run_webhooks(s)
        s.start_workers(1)
        listen_to_ses(s)
        bounced, delivered = s.send(2)
        # When SES has told what became of it
        s.wait_for(State.BOUNCED, 1)
        s.wait_for(State.DELIVERED, 1)
        # Then the app knows, each change once and in order
        ends = {(bounced, "bounced"), (delivered, "delivered")}
        eventually(lambda: ends <= {(e.message, e.state) for e in app.taken}, f"{app.taken}\n{s.log()}")
        for id, end in ends:
            assert app.states(id) == ["queued", "sending", "sent", end]
        assert len({event.id for event in app.taken}) == len(app.taken)
        (last,) = (event for event in app.taken if event.state == "bounced")
        assert last.message_id == s.outbox.status(bounced).message_id
        assert "sent" in last.was
        # And the log has nothing of what is secret
        assert not any(each in s.log() for each in ("hidden", SECRET, "person0@"))


def test_a_held_mail_that_is_freed_is_told(system: Any, app: Receiver) -> None:
    s: System
    with system(production=False, max_send_rate=50, max_24_hour_send=1000, settings=hooks(app=app)) as s:
        run_webhooks(s)
        s.start_workers(1)
        id = s.outbox.send(s.mail("bob@example.net"))
        s.wait_for(State.HELD, 1)
        s.ses.verify("example.net")
        s.wait_for(State.SENT, 1)
        eventually(lambda: "sent" in app.states(id), f"it is told: {app.taken}")
        assert [state for state in app.states(id) if state in ("held", "sent")] == ["held", "sent"]


def test_an_endpoint_that_hangs_delays_no_other(system: Any, app: Receiver) -> None:
    s: System
    with receiving() as slow, system(settings=hooks(app=app, slow=slow)) as s:
        slow.hangs = True
        s.start("sesq.console", "webhooks", "run")
        eventually(lambda: s.log().count("this process delivers") == 2, s.log())
        ids = s.send(20)
        eventually(lambda: {e.message for e in app.taken} == set(ids), f"all is told: {app.taken}")
        assert slow.taken == []
        # And when it comes back, it is told all of it
        slow.hangs = False
        slow.released.set()
        s.redis.incrbyfloat(CLOCK_OFFSET, 120)
        eventually(
            lambda: {e.message for e in slow.taken} == set(ids), f"all is told: {slow.taken}\n{s.log()}"
        )


@pytest.fixture
def own(short_path: Path) -> Iterator[OwnRedis]:
    with own_redis(short_path) as server:
        yield server


def test_failures_kills_and_restarts_lose_nothing_and_keep_the_order(
    own: OwnRedis, app: Receiver, tmp_path: Path
) -> None:
    settings = {**hooks(app=app), "SESQ_REDIS_TIMEOUT_SECONDS": "1"}
    with own.client() as client, running_system(client, own.url, tmp_path, settings=settings) as s:
        # Given an endpoint that fails, and messages that change twice
        process = run_webhooks(s)
        app.status = 500
        ids = s.send(10)
        eventually(lambda: app.refused >= 4, f"it is tried\n{s.log()}")
        for id in ids[:5]:
            s.messages.cancel(id, by="ada")
        # When the process is killed, and Redis is killed, and both are started again
        process.kill()
        process.wait()
        own.stop(signal.SIGKILL)
        own.start()
        for id in ids[5:]:
            s.messages.cancel(id, by="ada")
        app.status = 200
        s.redis.incrbyfloat(CLOCK_OFFSET, 3600)
        run_webhooks(s)
        # And Redis restarts once more while it delivers
        eventually(lambda: app.taken, f"it is told something\n{s.log()}")
        own.stop()
        own.start()
        # Then every change of every message arrives, in its order
        want: dict[str, list[str]] = defaultdict(lambda: ["queued", "cancelled"])
        eventually(
            lambda: all(app.states(id) == want[id] for id in ids),
            f"{[(id, app.states(id)) for id in ids]}\n{s.log()}",
        )
