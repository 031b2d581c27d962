"""Calls SESv2's SendEmail with about 60 % of the CPU time that boto3 needs for it.

For each call, boto3 computes again what is the same for all calls: the endpoint, the headers, the hooks. This module
asks boto3 for these once. Then it writes the parameters of each mail as JSON, signs them with botocore's signer, and
sends them over the client's own connections. It gives any answer but a success to boto3, as the answer to a call of
boto3's own. So boto3 reads all refusals, and calls again after credentials were renewed.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from sesq.worker.transports.one_write import POOLS

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import SendEmailRequestTypeDef

ANY_MAIL: SendEmailRequestTypeDef = {"Content": {"Raw": {"Data": b""}}}


class _Call(threading.local):
    """Holds what one thread gives to the hooks while it calls boto3."""

    answer: AWSResponse | None = None
    """boto3 gets this as the answer to the next request, and does not send that request."""
    clear: Callable[[], None] = staticmethod(lambda: None)
    """It is called before the next request is sent."""


@dataclass(frozen=True, slots=True)
class _Written:
    """Holds what is the same in each request."""

    url: str
    headers: dict[str, str]
    service: str
    region: str
    signature: str


class _Seen(Exception):
    """Stops a call of boto3 once the request is known."""

    def __init__(self, written: _Written) -> None:
        self.written = written


class SendEmail:
    """Calls SendEmail for a client, from several threads at once. It tries once: boto3's retries must be off."""

    def __init__(self, api: SESV2Client, credentials: Credentials) -> None:
        self._api = api
        self._credentials = credentials
        self._written = _ask(api)
        self._session = http_session(api)
        self._session._pool_classes_by_scheme.update(POOLS)  # type: ignore[attr-defined]  # noqa: SLF001
        self._call = _Call()
        api.meta.events.register_first("choose-signer.sesv2.SendEmail", self._choose_signer)
        api.meta.events.register("before-send.sesv2.SendEmail", self._before_send)  # type: ignore[arg-type]

    def __call__(self, parameters: SendEmailRequestTypeDef, clear: Callable[[], None]) -> str | None:
        """Sends one mail. Returns its MessageId, or None if SES's answer has none. Raises boto3's errors.

        It calls `clear` when the request is signed, because it may take long to write a large mail, or to fetch new
        credentials. `clear` may raise an error to stop it.
        """
        if self._written.signature != "v4" or "EndpointId" in parameters:
            return self._by_boto3(parameters, None, clear)  # SigV4a, and an endpoint of its own
        request = self._signed(parameters)
        clear()
        answer = self._session.send(request)
        return _message_id(answer) or self._by_boto3(parameters, answer, clear)

    def _signed(self, parameters: SendEmailRequestTypeDef) -> AWSPreparedRequest:
        written = self._written
        request = AWSRequest("POST", written.url, written.headers, _encode(parameters))
        who = self._credentials.get_frozen_credentials()
        SigV4Auth(who, written.service, written.region).add_auth(request)
        return request.prepare()

    def _by_boto3(
        self, parameters: SendEmailRequestTypeDef, answer: AWSResponse | None, clear: Callable[[], None]
    ) -> str | None:
        self._call.answer, self._call.clear = answer, clear
        return self._api.send_email(**parameters).get("MessageId")

    def _choose_signer(self, **_: object) -> Any:
        """Skips the signature of a request that has its answer already, because fetching credentials may take long."""
        return UNSIGNED if self._call.answer is not None else None

    def _before_send(self, **_: object) -> AWSResponse | None:
        answer, self._call.answer = self._call.answer, None
        if answer is None:
            self._call.clear()
        return answer


def http_session(api: SESV2Client) -> URLLib3Session:
    """Returns the connections of a client, with its TLS, proxies and timeouts.

    boto3 has no public name for it, nor for its `_pool_classes_by_scheme`, which `SendEmail` changes.
    """
    return api._endpoint.http_session  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def _ask(api: SESV2Client) -> _Written:
    """Reads what boto3 writes for any mail. Stops the call before boto3 looks for credentials."""

    def look(
        request: AWSRequest, signing_name: str, region_name: str, signature_version: str, **_: object
    ) -> None:
        url, headers = str(request.url), dict(request.headers.items())
        raise _Seen(_Written(url, headers, signing_name, region_name, signature_version))

    api.meta.events.register("before-sign.sesv2.SendEmail", look)
    try:
        api.send_email(**ANY_MAIL)
    except _Seen as seen:
        return seen.written
    finally:
        api.meta.events.unregister("before-sign.sesv2.SendEmail", look)
    raise AssertionError("botocore signed a request and called no hook before it")


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


_json = json.JSONEncoder(default=_base64)


def _encode(parameters: SendEmailRequestTypeDef) -> bytes:
    """Writes parameters as JSON, as boto3 does: with the same names, and bytes as base64."""
    return _json.encode(parameters).encode("utf-8")


def _message_id(answer: AWSResponse) -> str | None:
    """Reads the MessageId of a success; None for any other answer."""
    if answer.status_code != 200:
        return None
    try:
        id = json.loads(answer.content)["MessageId"]
    except (ValueError, TypeError, LookupError):
        return None
    return id if isinstance(id, str) else None
