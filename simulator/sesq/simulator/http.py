"""Calls and replies between the network and the APIs."""

from __future__ import annotations

import re
from typing import NamedTuple

ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class Where:
    """At which address the simulator is reached; known once it listens."""

    url = "http://localhost"


class Call(NamedTuple):
    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str:
        """The first header of that (lower-case) name, or nothing."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


class Reply(NamedTuple):
    status: int
    body: bytes
    content_type: str
    error_code: str | None = None


def valid_region(name: str) -> bool:
    return _REGION.fullmatch(name) is not None
