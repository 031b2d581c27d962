"""What every transport promises, asked of each: a new one joins by a scene of its own in `SCENES`."""

from __future__ import annotations

import tempfile
import uuid
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar

import pytest

from recording import RecordingTransport
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.identities import BorrowedIdentities
from sesq.simulator import Simulator
from sesq.worker.transports import (
    NotCleared,
    Outgoing,
    SendFailed,
    SesTransport,
    SmtpTransport,
    Transport,
)
from sesq.worker.transports.base import OfAccount
from sesq.worker.transports.client import AwsClient, ClientSettings
from sesq.worker.transports.smtp_session import SmtpServer
from sesq.worker.verdicts import Answer, Channel, Kind, weigh

SENDER = "Shop <shop@shop.example>"
CODES = {
    Kind.RATE: ("TooManyRequestsException", "Maximum sending rate exceeded."),
    Kind.DAY_SPENT: ("TooManyRequestsException", "Daily message quota exceeded."),
    Kind.PAUSED: ("MessageRejected", "Sending paused for this account."),
    Kind.TRANSIENT: ("ServiceUnavailable", ""),
    Kind.UNKNOWN: ("InternalFailure", ""),
}
FAULTS = {
    Kind.RATE: "throttle",
    Kind.DAY_SPENT: "daily",
    Kind.PAUSED: "paused",
    Kind.TRANSIENT: "unavailable",
    Kind.UNKNOWN: "internal_error",
}


def lists_of(mail: dict[str, Any]) -> tuple[str, str | None] | None:
    """The contact list and the topic of a mail in the simulator's record."""
    told = mail["options"].get("ListManagementOptions")
    return told and (told["ContactListName"], told.get("TopicName"))


class Scene(ABC):
    """A transport, and what stands behind it."""

    transport: Transport

    @abstractmethod
    def answer_next(self, kind: Kind) -> None:
        """Make the next send meet an answer of that kind."""

    @abstractmethod
    def accepted(self) -> list[str]:
        """The ids (the `sesq-id`) of what was accepted, in order."""

    @abstractmethod
    def tenants(self) -> list[str | None]:
        """The tenants of what was accepted, in order."""

    @abstractmethod
    def lists(self) -> list[tuple[str, str | None] | None]:
        """The contact lists and topics of what was accepted, in order."""

    @abstractmethod
    def borrow(self, *arns: str) -> None:
        """Let the transport use identities of other accounts."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds."""


class RecordingScene(Scene):
    def __init__(self) -> None:
        self.transport = self._recording = RecordingTransport()

    def answer_next(self, kind: Kind) -> None:
        code, text = CODES[kind]
        self._recording.answer(
            weigh(Answer(Channel.API, (code,), text), envelope=Envelope(sender=SENDER), region="us-east-1")
        )

    def accepted(self) -> list[str]:
        return [outgoing.id for outgoing in self._recording.sent]

    def tenants(self) -> list[str | None]:
        return [outgoing.envelope.tenant for outgoing in self._recording.sent]

    def lists(self) -> list[tuple[str, str | None] | None]:
        envelopes = [outgoing.envelope for outgoing in self._recording.sent]
        return [each.contact_list and (each.contact_list, each.topic) for each in envelopes]

    def borrow(self, *_: str) -> None:
        """It judges no sender."""

    def close(self) -> None:
        self.transport.close()


class SesScene(Scene):
    """The API transport before the simulator, in an account that lets everything through."""

    def __init__(self) -> None:
        self._ses = Simulator(
            production=True, max_send_rate=1000, max_24_hour_send=-1, verified=("shop@shop.example",)
        )
        self._ses.start()
        self._ses.add_tenant("acme")
        settings = ClientSettings(region="us-east-1", endpoint_url=self._ses.endpoint_url)
        self.transport = self._transport = SesTransport(AwsClient(settings))

    def borrow(self, *arns: str) -> None:
        self._transport.of_account = OfAccount(BorrowedIdentities.of(arns))

    def answer_next(self, kind: Kind) -> None:
        self._ses.set_faults({FAULTS[kind]: {"count": 1}})

    def accepted(self) -> list[str]:
        return [mail["tags"]["sesq-id"] for mail in self._ses.messages() if mail["accepted"]]

    def tenants(self) -> list[str | None]:
        return [mail["tenant"] for mail in self._ses.messages() if mail["accepted"]]

    def lists(self) -> list[tuple[str, str | None] | None]:
        return [lists_of(mail) for mail in self._ses.messages() if mail["accepted"]]

    def close(self) -> None:
        self.transport.close()
        self._ses.stop()


class SmtpScene(Scene):
    """SES's SMTP interface, with a certificate that is checked."""

    FAULTS: ClassVar = {**FAULTS, Kind.UNKNOWN: "reset"}
    TLS = "starttls"

    def __init__(self) -> None:
        self._ses = Simulator(
            production=True,
            max_send_rate=1000,
            max_24_hour_send=-1,
            verified=("shop@shop.example",),
            smtp_port=0,
            smtp_tls_port=0,
        )
        self._ses.start()
        self._ses.add_tenant("acme")
        self._folder = tempfile.TemporaryDirectory()
        trusted = Path(self._folder.name, "ca.pem")
        trusted.write_text(self._ses.certificate)
        port = self._ses.smtp_tls_port if self.TLS == "tls" else self._ses.smtp_port
        server = SmtpServer("localhost", port, self.TLS, "AKIDEXAMPLE", "anything", str(trusted))
        self.transport = self._transport = SmtpTransport(server, region="us-east-1", concurrency=4)

    def borrow(self, *arns: str) -> None:
        self._transport.borrowed = BorrowedIdentities.of(arns)

    def answer_next(self, kind: Kind) -> None:
        self._ses.set_faults({self.FAULTS[kind]: {"count": 1}})

    def accepted(self) -> list[str]:
        return [mail["tags"]["sesq-id"] for mail in self._ses.messages() if mail["accepted"]]

    def tenants(self) -> list[str | None]:
        return [mail["tenant"] for mail in self._ses.messages() if mail["accepted"]]

    def lists(self) -> list[tuple[str, str | None] | None]:
        return [lists_of(mail) for mail in self._ses.messages() if mail["accepted"]]

    def close(self) -> None:
        self.transport.close()
        self._ses.stop()
        self._folder.cleanup()


class SmtpOverTlsScene(SmtpScene):
    TLS = "tls"


SCENES = [RecordingScene, SesScene, SmtpScene, SmtpOverTlsScene]


@pytest.fixture(params=SCENES, ids=lambda scene: scene.__name__)
def scene(request, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    scene = request.param()
    yield scene
    scene.close()


def simple(**changes) -> Outgoing:
    envelope = Envelope(**{"sender": SENDER, "to": ("bob@x.org",), "subject": "Hi", **changes})
    return Outgoing(uuid.uuid4().hex, envelope, SimpleContent("Hi", text="Good day"))


def raw() -> Outgoing:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, "bob@x.org", "Grüße"
    mail.set_content("Schönen Tag")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Größe.pdf")
    envelope = Envelope(sender=SENDER, to=("bob@x.org",), bcc=("eve@z.org",), kind="raw")
    return Outgoing(uuid.uuid4().hex, envelope, mail.as_bytes())


@pytest.mark.parametrize("make", [simple, raw])
def test_an_accepted_message_has_a_message_id_and_leaves_once(make, scene):
    outgoing = make()

    message_id = scene.transport.send(outgoing)

    assert isinstance(message_id, str)
    assert message_id
    assert scene.accepted() == [outgoing.id]


def test_every_message_has_a_message_id_of_its_own(scene):
    ids = {scene.transport.send(simple()) for _ in range(5)}

    assert len(ids) == 5


@pytest.mark.parametrize("kind", CODES)
def test_a_failure_comes_as_a_verdict_and_the_next_message_goes(kind, scene):
    # Given an answer that is no yes
    scene.answer_next(kind)

    # When a message is sent
    with pytest.raises(SendFailed) as caught:
        scene.transport.send(simple())

    # Then it is judged, nothing was accepted and nothing was tried again
    assert caught.value.verdict.kind is kind
    assert str(caught.value) == caught.value.verdict.reason
    assert scene.accepted() == []

    # And the transport is none the worse for it
    later = simple()
    scene.transport.send(later)
    assert scene.accepted() == [later.id]


def test_what_is_not_cleared_does_not_leave_and_the_next_message_goes(scene):
    def never():
        raise NotCleared("too late")

    with pytest.raises(NotCleared, match="too late"):
        scene.transport.send(replace(simple(), clear=never))

    assert scene.accepted() == []
    later = simple()
    scene.transport.send(later)
    assert scene.accepted() == [later.id]


@pytest.mark.parametrize("make", [simple, raw])
def test_it_is_sent_for_its_tenant(make, scene):
    mail = make()
    scene.transport.send(mail)
    scene.transport.send(replace(mail, envelope=replace(mail.envelope, tenant="acme")))

    assert scene.tenants() == [None, "acme"]


@pytest.mark.parametrize("make", [simple, raw])
@pytest.mark.parametrize("topic", [None, "weekly"])
def test_it_is_sent_as_of_its_contact_list(make, topic, scene):
    mail = make()
    alone = replace(mail.envelope, bcc=())
    scene.transport.send(replace(mail, envelope=alone))
    scene.transport.send(replace(mail, envelope=replace(alone, contact_list="news", topic=topic)))

    assert scene.lists() == [None, ("news", topic)]


@pytest.mark.parametrize("make", [simple, raw])
def test_the_address_for_bounces_has_to_be_verified(make, scene):
    mail = make()
    scene.transport.send(
        replace(mail, envelope=replace(mail.envelope, feedback_to="shop+bounces@shop.example"))
    )
    assert scene.accepted() == [mail.id]
    if isinstance(scene, RecordingScene):
        return
    with pytest.raises(SendFailed) as caught:
        scene.transport.send(replace(mail, envelope=replace(mail.envelope, feedback_to="b@other.example")))
    assert (caught.value.verdict.kind, caught.value.verdict.hold) == (
        Kind.UNVERIFIED_SENDER,
        "sender:b@other.example",
    )


@pytest.mark.parametrize("feedback_to", [None, "b@partner.example"])
def test_an_identity_of_another_account_may_send(feedback_to, scene):
    envelope = {"sender": "Ada <ada@news.partner.example>", "feedback_to": feedback_to}
    if not isinstance(scene, RecordingScene):
        with pytest.raises(SendFailed):
            scene.transport.send(simple(**envelope))
    scene.borrow("arn:aws:ses:us-east-1:111111111111:identity/partner.example")
    mail = simple(**envelope)
    scene.transport.send(mail)
    assert scene.accepted() == [mail.id]


def test_mail_goes_by_a_global_endpoint(monkeypatch):
    pytest.importorskip("awscrt")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    scene = SesScene()
    scene.transport.of_account = OfAccount(endpoint_id="abcdef12.g3h")
    cleared = []
    mail = replace(simple(tenant="acme", track="off"), clear=lambda: cleared.append(scene.accepted()))
    assert scene.transport.send(mail)
    # It was looked at once more just before it left, and says by which endpoint it goes
    assert (cleared, scene.accepted()) == ([[]], [mail.id])
    (told,) = scene._ses.messages()
    assert told["options"] == {
        "EndpointId": "abcdef12.g3h",
        "ConfigurationOverrides": {
            "Tracking": {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}
        },
    }
    scene.close()


def test_several_threads_may_send_at_once(scene):
    outgoing = [simple() for _ in range(20)]

    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(scene.transport.send, outgoing))

    assert len(set(ids)) == 20
    assert sorted(scene.accepted()) == sorted(one.id for one in outgoing)


def test_warming_up_sends_nothing(scene):
    scene.transport.warm_up()

    assert scene.accepted() == []


def test_closing_twice_is_fine_and_a_later_message_goes(scene):
    scene.transport.warm_up()
    scene.transport.close()
    scene.transport.close()

    outgoing = simple()
    scene.transport.send(outgoing)

    assert scene.accepted() == [outgoing.id]
