"""Reads exceptions of the AWS client, by their parts: boto3 adds text to `str(error)`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError, SSLError

from sesq.worker.verdicts.model import Answer, Channel

SIGN_IN_OPERATIONS = re.compile(r"Assume\w+|Create\w*Token\w*|Get\w*(Credentials|Token)")
SENDING_PATH = "/v2/email/outbound-"

WIRE_ERRORS = (HTTPClientError, SSLError, IncompleteReadError)
"""botocore's errors that can come after the message left. All its others come before, or while connecting."""


def read(error: Exception) -> Answer:
    """Reads the answer in an exception.

    An error that is no reply of AWS, and may have come after the message left, is LOST.
    """
    if isinstance(error, ClientError):
        return _read_reply(error)
    names = tuple(kind.__name__ for kind in type(error).__mro__)
    return Answer(Channel.UNSENT if _before_it_left(error) else Channel.LOST, names, _system_words(error))


def _read_reply(error: ClientError) -> Answer:
    channel = Channel.SIGN_IN if SIGN_IN_OPERATIONS.fullmatch(error.operation_name) else Channel.API
    return read_parsed(error.response, channel)


def read_parsed(parsed: Mapping[str, Any], channel: Channel) -> Answer:
    """Reads the code, the HTTP status and the message, which AWS sometimes leaves out or sends as null."""
    details = parsed.get("Error", {})
    status = parsed.get("ResponseMetadata", {}).get("HTTPStatusCode")
    codes = tuple(str(code) for code in (details.get("Code"), status) if code)
    return Answer(channel, codes or ("no code",), str(details.get("Message") or ""))


def _before_it_left(error: Exception) -> bool:
    if not isinstance(error, BotoCoreError):
        return False
    return not isinstance(error, WIRE_ERRORS) or _of_another_request(error) or _while_connecting(error)


def _of_another_request(error: BotoCoreError) -> bool:
    """Whether the error is about another request, such as one for credentials: then no message has left."""
    return SENDING_PATH not in error.kwargs.get("endpoint_url", SENDING_PATH)


def _while_connecting(error: BaseException) -> bool:
    """Whether the connection broke in urllib3's `connect`, including the TLS handshake.

    The class does not tell this: a reset in the handshake is a ConnectionClosedError, a slow handshake a
    ReadTimeoutError, and an SSLError may also come instead of the reply. The traceback tells it. If it does not, the
    message counts as sent.
    """
    return any(
        frame.f_code.co_name == "connect" and frame.f_globals.get("__name__") == "urllib3.connection"
        for cause in _causes(error)
        for frame in _frames(cause.__traceback__)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error, and the errors below it in the same call.

    Python also chains an error that a *caller* was handling at that time, such as that of the attempt before. That one
    was caught in a frame which is not in the traceback of this error.
    """
    yield error
    cause = error.__context__
    caught_in = next(_frames(cause.__traceback__), None) if cause is not None else None
    if cause is not None and any(frame is caught_in for frame in _frames(error.__traceback__)):
        yield from _causes(cause)


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _system_words(error: Exception) -> str:
    """Returns the system's own words ("Connection refused"), and no other: those may quote the message."""
    *_, root = _causes(error)
    if not isinstance(root, OSError):
        return ""
    return root.strerror or next((arg for arg in root.args if isinstance(arg, str)), "")
