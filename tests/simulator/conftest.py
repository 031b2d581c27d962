"""A simulator on a frozen clock of its own, and real botocore clients against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sesq.simulator import Simulator

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
Client = Any


@pytest.fixture
def ses() -> Iterator[Simulator]:
    """A sandbox whose time stands still until moved; example.com and ada@example.org are verified."""
    with Simulator(control_rate=None, verified=["example.com", "ada@example.org"]) as simulator:
        simulator.freeze()
        yield simulator


@pytest.fixture
def client_for(ses: Simulator) -> Callable[..., Client]:
    def client(service: str = "sesv2", region: str = "us-east-1", **options: Any) -> Client:
        keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"} | options
        return boto3.client(
            service, endpoint_url=ses.endpoint_url, region_name=region, config=ONE_TRY, **keys
        )

    return client


@pytest.fixture
def sesv2(client_for: Callable[..., Client]) -> Iterator[Client]:
    client = client_for()
    yield client
    client.close()


@pytest.fixture
def mail() -> Callable[..., dict[str, Any]]:
    """Arguments of send_email: `mail("a@x.org", "b@x.org", sender=…, tags={…})`."""

    def arguments(
        *to: str, sender: str = "shop@example.com", tags: dict[str, str] | None = None
    ) -> dict[str, Any]:
        return {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": list(to or ("ada@example.org",))},
            "Content": {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}},
            "EmailTags": [{"Name": name, "Value": value} for name, value in (tags or {}).items()],
        }

    return arguments
