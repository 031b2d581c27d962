"""Calls and replies between the network and the APIs."""

from __future__ import annotations

import re
from typing import NamedTuple

ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"
V1_PATH = "/"
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class Where:
    """The address of the simulator, which is known when it listens."""

    url = "http://localhost"


class Call(NamedTuple):
    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str:
        """Returns the first header of that name (in lower case), or ""."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")

    @property
    def sends(self) -> bool:
        """Whether the call asks to send, by its path or its action, and so belongs in the record."""
        if self.path == V1_PATH:
            return b"Action=Send" in (self.body or self.query)
        return self.path.startswith("/v2/email/outbound-")


class Reply(NamedTuple):
    status: int
    body: bytes
    content_type: str
    error_code: str | None = None


def valid_region(name: str) -> bool:
    return _REGION.fullmatch(name) is not None
