"""Makes connections of botocore that write the head and the body of a request in one call.

urllib3 writes the head first and then the body: two system calls, two packets, two TLS records. botocore's connections
join the two if they get them together, as Python's own `http.client` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

LARGEST_BYTES = 65_536
"""A larger body is not joined to its head: that would copy it, and it takes many packets anyway."""


class _OneWrite:
    """Changes a connection so that it writes the body of a request with its head."""

    _body: bytes | None = None
    """The body of the request whose head is being written."""

    def request(
        self, method: str, url: str, body: Any, headers: Mapping[str, Any], *args: Any, **options: Any
    ) -> None:
        small = isinstance(body, bytes) and len(body) <= LARGEST_BYTES and "Content-Length" in headers
        self._body, rest = (body, None) if small else (None, body)
        super().request(method, url, rest, headers, *args, **options)  # type: ignore[misc]

    def endheaders(self, message_body: Any = None, **options: Any) -> None:
        super().endheaders(self._body or message_body, **options)  # type: ignore[misc]


class _Connection(_OneWrite, AWSHTTPConnection):  # type: ignore[misc]  # botocore's own do not fit urllib3's types
    pass


class _TlsConnection(_OneWrite, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""Scheme of the URL -> the class of its pool, also behind a proxy."""
