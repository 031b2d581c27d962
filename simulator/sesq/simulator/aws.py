"""The ASGI application that answers as AWS does. It is plain ASGI, since every send of a benchmark goes through it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from sesq.simulator.account import Account
from sesq.simulator.cloud import Cloud
from sesq.simulator.cut import reset_connection
from sesq.simulator.errors import SesError
from sesq.simulator.events import sqs
from sesq.simulator.faults import ReplyLost
from sesq.simulator.http import V1_PATH, Call, Reply
from sesq.simulator.signature import check_signature, signed_region
from sesq.simulator.v1 import router as v1
from sesq.simulator.v2.operations import OPERATIONS
from sesq.simulator.v2.router import Router, error_reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# A 40 MB message in base64, in JSON.
MAX_BODY = 60 * 1024 * 1024
# Sent if the request was not read to its end: the connection cannot be used again.
_CLOSE = (b"connection", b"close")


class AwsApi:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._v2 = Router(OPERATIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read(receive, scope["headers"])
        except ClientDisconnect:
            return  # a request that breaks off asks for nothing, so it is not in the record either
        if body is None:
            too_large = SesError("body_too_large", "The request is too large.")
            await _write(send, _refusal(scope["path"], too_large), _CLOSE)
            return
        call = Call(
            scope["method"], scope["path"], scope["raw_path"], scope["query_string"], scope["headers"], body
        )
        try:
            reply = await self._answer(call)
        except ReplyLost:
            scope["transport"].close()
            await receive()  # until the connection is gone: uvicorn would complain of a missing reply
        except SesError:
            reset_connection(scope["transport"])
            await receive()
        else:
            await _write(send, reply)

    async def _answer(self, call: Call) -> Reply:
        """Returns the reply, after the latency that is set. Raises ReplyLost or SesError(reset) if a fault says so."""
        try:
            account = self._account(call)
        except SesError as error:
            return _refusal(call.path, error)
        if call.header(b"x-amz-target").startswith(sqs.TARGET):
            return await sqs.answer(account.events, self._cloud.clock, call)
        answer = v1.answer if call.path == V1_PATH else self._v2.answer
        if account.faults.slow is None or not call.sends:
            return answer(account, call)
        await asyncio.sleep(account.faults.latency("before"))
        after = account.faults.latency("after")
        try:
            return answer(account, call)
        finally:
            await asyncio.sleep(after)

    def _account(self, call: Call) -> Account:
        if self._cloud.keys:
            check_signature(call, self._cloud.keys)
        try:
            return self._cloud.account(signed_region(call.header(b"authorization")))
        except ValueError as error:
            raise SesError("bad_signature", str(error)) from error


def _refusal(path: str, error: SesError) -> Reply:
    return v1.refuse(error) if path == V1_PATH else error_reply(error)


async def _read(receive: Receive, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Reads the request's body; None as soon as it is too large. Raises ClientDisconnect if it breaks off."""
    announced = next((value for name, value in headers if name == b"content-length"), b"0")
    if int(announced) > MAX_BODY:
        return None
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


async def _write(send: Send, reply: Reply, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
        *more,
    ]
    if reply.error_code is not None:
        headers.append((b"x-amzn-errortype", reply.error_code.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
