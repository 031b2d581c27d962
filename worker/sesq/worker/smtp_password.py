"""Derives the password for SES's SMTP interface from a secret access key and a region, as AWS does.

Source: SES developer guide, "Obtaining SMTP credentials by converting existing AWS credentials", version 4.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

VERSION = b"\x04"
STEPS = ("11111111", "{region}", "ses", "aws4_request", "SendRawEmail")
"""The date is always this one, so that the password does not change from day to day."""


def smtp_password(secret_key: str, region: str) -> str:
    """Returns the password for one region; the user name is the access key's id."""
    key = f"AWS4{secret_key}".encode()
    for step in STEPS:
        key = hmac.new(key, step.format(region=region).encode(), hashlib.sha256).digest()
    return base64.b64encode(VERSION + key).decode()
