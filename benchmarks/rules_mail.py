"""The mail of `python -m benchmarks rules`, sent by boto3 with its default settings and retries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import boto3

SENDER = "Shop <shop@example.com>"
SUBJECT, TEXT = "Hello", "x" * 1000


def address(number: int) -> str:
    """Returns the recipient of a mail; no other mail has the same one."""
    return f"person{number}@example.org"


@lru_cache
def client() -> Any:
    """Makes one client for all mails of a process."""
    return boto3.client("sesv2")


def send(number: int) -> None:
    """Sends one mail."""
    client().send_email(
        FromEmailAddress=SENDER,
        Destination={"ToAddresses": [address(number)]},
        Content={"Simple": {"Subject": {"Data": SUBJECT}, "Body": {"Text": {"Data": TEXT}}}},
    )
