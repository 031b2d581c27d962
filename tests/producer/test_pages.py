"""The Python on the pages about sending does what they say; the longer pages are run by the stories."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pages import code_on
from sesq.config.embedded import EmbeddedRedis
from sesq.producer import Message, Outbox
from sesq.queue.messages import Messages
from submitting import submission_server
from told_by_ses import tell


@pytest.fixture(autouse=True)
def _settings(redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", redis_server.url)
    monkeypatch.chdir(tmp_path)


def run(page: str, **names: Any) -> None:
    exec("\n".join(code_on(page)), names)


def test_the_first_mail_of_the_readme(redis: Redis, capsys: pytest.CaptureFixture[str]) -> None:
    run("../README.md")
    (record,) = Messages(redis).list()
    assert record.envelope.subject == "Your order"
    assert capsys.readouterr().out == "queued no worker is running: `sesq worker` starts one None\n"


def test_a_mail_for_another_account(redis: Redis) -> None:
    run("how-to/several-accounts.md", outbox=Outbox(redis), Message=Message)
    (record,) = Messages(redis, "shop").list()
    assert record.envelope.recipients == ("ada@example.org",)


def test_smtplib_and_the_submission_server(redis: Redis) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "shop@example.com", "ada@example.org"
    with submission_server(Outbox(redis)) as server:
        (code,) = code_on("how-to/smtp-submission.md")
        exec(code.replace("2525", str(server.listeners[0].port)), {"message": message})
    assert len(Messages(redis).list()) == 1


def test_events_and_the_recording_outbox(redis: Redis, capsys: pytest.CaptureFixture[str]) -> None:
    start, loop, forget, test = code_on("how-to/follow-results.md")
    names: dict[str, Any] = {}
    exec(start.replace("recipients=True", "recipients=True, idle=0.1"), names)
    # Given a mail that bounces
    id = names["outbox"].send(
        Message(sender="shop@example.com", to="ada@example.org", subject="Hi", text="Hello.")
    )
    tell(redis, id, "bounced", reason="no such user", kind="hard")
    exec(loop, names)
    assert capsys.readouterr().out == f"{id} ('ada@example.org',) no such user\n"
    exec(forget, names)
    assert not redis.exists("sesq:default:events")
    # and the test records
    exec(test, names)
    names["test_a_receipt_is_sent"]()
