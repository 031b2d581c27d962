"""Events as SNS posts them, taken by views that others wrote: django-anymail's, and django-ses's with its signatures
checked."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sesq.simulator import Simulator
from sesq.simulator.events.sns import signer

RECEIVERS = Path(__file__).parents[1] / "support" / "webhook_receivers.py"
AMAZON = "https://sns.us-east-1.amazonaws.com"
FATES = {"bob@example.org": "bounce:MailboxFull", "eve@example.org": "complaint", "ada@example.org": "click"}


class Receivers:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._lines = process.stdout
        self.url = f"http://127.0.0.1:{self._lines.readline().strip()}"

    def told(self, count: int) -> list[Any]:
        return [json.loads(self._lines.readline()) for _ in range(count)]


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    certificate = tmp_path / "sns.pem"
    certificate.write_bytes(signer().pem)
    command = [sys.executable, str(RECEIVERS), str(certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Receivers(process)
        process.kill()


@pytest.fixture
def ses() -> Iterator[Simulator]:
    with Simulator(production=True, max_send_rate=100, verified=["example.com"]) as simulator:
        yield simulator


def send(ses: Simulator, *to: str) -> None:
    content = {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}}
    message = {
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": list(to)},
        "Content": content,
    }
    request = urllib.request.Request(
        f"{ses.endpoint_url}/v2/email/outbound-emails", json.dumps(message).encode(), method="POST"
    )
    urllib.request.urlopen(request, timeout=10).close()


def test_anymail_takes_every_event(ses: Simulator, receivers: Receivers) -> None:
    ses.set_events(webhook=f"{receivers.url}/anymail", sns_url=AMAZON, fates=FATES)
    send(ses, "ada@example.org", "bob@example.org", "eve@example.org")
    # Then each has its event; of a click SES does not tell whose it was
    told = receivers.told(10)
    assert [event for _, event in told] == [
        *["sent"] * 3,
        *["delivered"] * 2,
        "bounced",
        "complained",
        *["clicked"] * 3,
    ]


def test_django_ses_takes_every_event_and_checks_its_signature(ses: Simulator, receivers: Receivers) -> None:
    ses.set_events(webhook=f"{receivers.url}/ses", sns_url=AMAZON, fates=FATES)
    send(ses, "ada@example.org", "bob@example.org", "eve@example.org")
    assert receivers.told(5) == [
        ["ses", event] for event in ("send", "delivery", "bounce", "complaint", "click")
    ]
    assert ses.set_events()["webhook_failures"] == 0


def test_django_ses_refuses_a_certificate_of_no_address_of_amazons(
    ses: Simulator, receivers: Receivers
) -> None:
    # Given envelopes that name the simulator's own address, Then the view refuses them: it does check
    ses.set_events(webhook=f"{receivers.url}/ses")
    send(ses, "ada@example.org")
    ses.set_events(webhook=f"{receivers.url}/ses", sns_url=AMAZON)
    send(ses, "ada@example.org")
    assert receivers.told(2) == [["ses", "send"], ["ses", "delivery"]]
    assert ses.set_events()["webhook_failures"] == 2
