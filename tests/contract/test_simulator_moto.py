"""The same calls to our simulator and to moto, through the real botocore.

Where both know an operation they must agree; where they do not, the difference is written down here with its reason,
and the test fails as soon as it is no longer one.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from sesq.simulator import Simulator

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
Outcome = tuple[str, Any]


@dataclass
class World:
    v1: Any
    v2: Any


def clients(endpoint_url: str) -> World:
    made = [
        boto3.client(
            service,
            endpoint_url=endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="AKIATEST",
            aws_secret_access_key="secret",
            config=ONE_TRY,
        )
        for service in ("ses", "sesv2")
    ]
    return World(*made)


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(moto_url: str) -> Iterator[World]:
    """Emptied, with the sender that both worlds know. moto verifies at once what is asked for in v1."""
    request = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=10).close()
    world = clients(moto_url)
    world.v1.verify_email_identity(EmailAddress="shop@example.com")
    world.v1.verify_domain_identity(Domain="example.net")
    yield world
    world.v1.close()
    world.v2.close()


@pytest.fixture
def ours() -> Iterator[World]:
    """Out of the sandbox and without a rate that a test could meet, as moto is always."""
    verified = ["shop@example.com", "example.net"]
    with Simulator(
        production=True, max_send_rate=1000, max_24_hour_send=200, control_rate=None, verified=verified
    ) as simulator:
        world = clients(simulator.endpoint_url)
        yield world
        world.v1.close()
        world.v2.close()


def outcome(call: Callable[[World], Any], world: World) -> Outcome:
    try:
        return "answer", call(world)
    except ClientError as error:
        return "error", error.response["Error"]["Code"]


def simple(to: list[str], sender: str = "shop@example.com", **more: Any) -> dict[str, Any]:
    content = {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}}
    return {"FromEmailAddress": sender, "Destination": {"ToAddresses": to}, "Content": content, **more}


def raw(*headers: str, **more: Any) -> dict[str, Any]:
    return {"Content": {"Raw": {"Data": ("\r\n".join(headers) + "\r\n\r\nHello").encode()}}, **more}


def send(**arguments: Any) -> Callable[[World], Any]:
    return lambda world: bool(world.v2.send_email(**arguments)["MessageId"])


def send_v1(to: list[str], sender: str = "shop@example.com") -> Callable[[World], Any]:
    message = {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}
    return lambda world: bool(
        world.v1.send_email(Source=sender, Destination={"ToAddresses": to}, Message=message)["MessageId"]
    )


def identities(world: World) -> list[str]:
    return sorted(each["IdentityName"] for each in world.v2.list_email_identities()["EmailIdentities"])


def create_and_get_set(world: World) -> str:
    world.v2.create_configuration_set(ConfigurationSetName="news")
    return str(world.v2.get_configuration_set(ConfigurationSetName="news")["ConfigurationSetName"])


def twice(call: Callable[[World], Any]) -> Callable[[World], Any]:
    return lambda world: (call(world), call(world))[1]


def sent_is_counted(world: World) -> float:
    world.v1.send_email(
        Source="shop@example.com",
        Destination={"ToAddresses": ["ada@example.org", "bob@example.org"]},
        Message={"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}},
    )
    return float(world.v1.get_send_quota()["SentLast24Hours"])


FROM, TO = "From: shop@example.com", "To: ada@example.org"

ALIKE: dict[str, Callable[[World], Any]] = {
    "a simple message goes": send(**simple(["ada@example.org"])),
    "a message from an address at a verified domain goes": send(
        **simple(["ada@example.org"], "x@example.net")
    ),
    "a raw message goes": send(**raw(FROM, TO, FromEmailAddress="shop@example.com")),
    "an unknown sender is rejected": send(**simple(["ada@example.org"], "me@other.org")),
    "a v1 message goes": send_v1(["ada@example.org"]),
    "an unknown v1 sender is rejected": send_v1(["ada@example.org"], "me@other.org"),
    "identities are listed": identities,
    "an unknown identity is not found": lambda world: world.v2.get_email_identity(
        EmailIdentity="no@where.org"
    ),
    "a configuration set can be made and read": create_and_get_set,
    "an unknown configuration set is not found": lambda world: world.v2.get_configuration_set(
        ConfigurationSetName="none"
    ),
    "recipients are what is counted": sent_is_counted,
    "configuration sets are listed": lambda world: world.v2.list_configuration_sets()["ConfigurationSets"],
}


@pytest.mark.parametrize("name", ALIKE)
def test_alike(ours: World, moto: World, name: str) -> None:
    assert outcome(ALIKE[name], ours) == outcome(ALIKE[name], moto)


@dataclass
class Difference:
    """What a call comes to here and at moto, and why we do not follow moto."""

    call: Callable[[World], Any]
    ours: Outcome
    moto: Outcome
    reason: str


def send_without_recipient(world: World) -> bool:
    return bool(world.v2.send_email(**simple([]))["MessageId"])


def exceed_the_day(world: World) -> bool:
    return [send(**simple([f"u{number}@example.org" for number in range(50)]))(world) for _ in range(5)][-1]


def non_utf8(world: World) -> bool:
    data = b"From: shop@example.com\r\nTo: ada@example.org\r\n\r\n\xff\xfe"
    return bool(
        world.v2.send_email(FromEmailAddress="shop@example.com", Content={"Raw": {"Data": data}})["MessageId"]
    )


DIFFERENT: dict[str, Difference] = {
    "quota can be read": Difference(
        lambda world: world.v2.get_account()["ProductionAccessEnabled"],
        ("answer", True),
        ("error", "404"),
        "moto has no GetAccount",
    ),
    "a sub-domain of a verified domain": Difference(
        send(**simple(["ada@example.org"], "x@mail.example.net")),
        ("answer", True),
        ("error", "MessageRejected"),
        "SES covers every sub-domain of a verified domain",
    ),
    "a domain in capitals": Difference(
        send(**simple(["ada@example.org"], "x@EXAMPLE.net")),
        ("answer", True),
        ("error", "MessageRejected"),
        "domain names know no case",
    ),
    "a sender with a label": Difference(
        send(**simple(["ada@example.org"], "shop+news@example.com")),
        ("answer", True),
        ("error", "MessageRejected"),
        "SES lets a verified address send with a label",
    ),
    "no recipient": Difference(
        send_without_recipient,
        ("error", "BadRequestException"),
        ("answer", True),
        "SES needs a recipient",
    ),
    "too many recipients": Difference(
        send(**simple([f"u{number}@example.org" for number in range(51)])),
        ("error", "BadRequestException"),
        ("error", "MessageRejected"),
        "SES says 'Recipient count exceeds 50.' as an invalid parameter, which v2 spells BadRequestException",
    ),
    "an unknown configuration set": Difference(
        send(**simple(["ada@example.org"], ConfigurationSetName="none")),
        ("error", "NotFoundException"),
        ("answer", True),
        "SES looks the set up",
    ),
    "the same identity twice": Difference(
        twice(lambda world: world.v2.create_email_identity(EmailIdentity="bob@x.org")["IdentityType"]),
        ("error", "AlreadyExistsException"),
        ("answer", "EMAIL_ADDRESS"),
        "the model has AlreadyExistsException for it",
    ),
    "an unverified sender of one's own": Difference(
        lambda world: (
            world.v2.create_email_identity(EmailIdentity="bob@x.org"),
            send(**simple(["ada@example.org"], "bob@x.org"))(world),
        )[1],
        ("error", "MessageRejected"),
        ("answer", True),
        "an identity that is pending may not send",
    ),
    "raw bytes that are no UTF-8": Difference(non_utf8, ("answer", True), ("error", "500"), "mail is bytes"),
    "the suppression list": Difference(
        lambda world: world.v2.list_suppressed_destinations()["SuppressedDestinationSummaries"],
        ("answer", []),
        ("error", "404"),
        "moto has no suppression list",
    ),
    "more than the daily quota": Difference(
        exceed_the_day,
        ("error", "TooManyRequestsException"),
        ("answer", True),
        "moto tells a quota of 200 and stops nobody",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(ours: World, moto: World, name: str) -> None:
    difference = DIFFERENT[name]
    assert outcome(difference.call, ours) == difference.ours, difference.reason
    assert outcome(difference.call, moto) == difference.moto, f"moto has changed: {difference.reason}"
