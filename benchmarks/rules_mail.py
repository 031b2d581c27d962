"""The mail of `python -m benchmarks rules`, sent by boto3 as it comes, with its own retries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import boto3

SENDER = "Shop <shop@example.com>"
SUBJECT, TEXT = "Hello", "x" * 1000


def address(number: int) -> str:
    """The recipient of a mail, whom no other mail has."""
    return f"person{number}@example.org"


@lru_cache
def client() -> Any:
    """One for all mails of a process."""
    return boto3.client("sesv2")


def send(number: int) -> None:
    """Sends one mail."""
    client().send_email(
        FromEmailAddress=SENDER,
        Destination={"ToAddresses": [address(number)]},
        Content={"Simple": {"Subject": {"Data": SUBJECT}, "Body": {"Text": {"Data": TEXT}}}},
    )
