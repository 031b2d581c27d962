"""Ends connections without a reply."""

from __future__ import annotations

import asyncio
import socket
import struct

_LINGER_NOT = struct.pack("ii", 1, 0)


def reset_connection(transport: asyncio.Transport) -> None:
    """Closes a connection with a TCP reset."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
