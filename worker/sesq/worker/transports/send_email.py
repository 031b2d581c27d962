"""SESv2's SendEmail, for the price of what differs between two mails.

boto3 works out for each call what is the same for all: the endpoint, the headers, who has hooks into it. That is half
of what a call costs. Here it is asked once. From then on the parameters are written as JSON, signed by botocore's
signer, and sent over the client's own connections. An answer that is no plain yes goes to boto3, as if it had called:
so boto3 reads all refusals, and it calls again where there are other credentials.
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
    """What this thread calls boto3 for."""

    answer: AWSResponse | None = None
    """It is to be taken for the answer to the next request, which is not sent then."""
    clear: Callable[[], None] = staticmethod(lambda: None)
    """To be called before the next request is sent."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What is the same in each request."""

    url: str
    headers: dict[str, str]
    service: str
    region: str
    signature: str


class _Seen(Exception):
    """Stops a call of boto3, of which enough is seen."""

    def __init__(self, written: _Written) -> None:
        self.written = written


class SendEmail:
    """Calls SendEmail for a client, from several threads at once. One try: boto3's retries are to be off."""

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
        """The MessageId; None where SES has said yes without one. Raises boto3's errors.

        When the request is written and signed it calls `clear`, which may raise to stop it. Of a large mail that takes
        its time, as do new credentials.
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
        """A request that is answered already needs no credentials, which might have to be fetched."""
        return UNSIGNED if self._call.answer is not None else None

    def _before_send(self, **_: object) -> AWSResponse | None:
        answer, self._call.answer = self._call.answer, None
        if answer is None:
            self._call.clear()
        return answer


def http_session(api: SESV2Client) -> URLLib3Session:
    """The connections of a client, with its TLS, proxies and timeouts.

    Nothing public of boto3's leads to it, nor to its `_pool_classes_by_scheme`, which `SendEmail` changes.
    """
    return api._endpoint.http_session  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def _ask(api: SESV2Client) -> _Written:
    """What boto3 writes for any mail. It is stopped before it looks for credentials."""

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
    raise AssertionError("botocore signs without a word of it")


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


_json = json.JSONEncoder(default=_base64)


def _encode(parameters: SendEmailRequestTypeDef) -> bytes:
    """As boto3 writes them: SendEmail's members have the same names in JSON, and only bytes have another form."""
    return _json.encode(parameters).encode("utf-8")


def _message_id(answer: AWSResponse) -> str | None:
    """That of a plain yes."""
    if answer.status_code != 200:
        return None
    try:
        id = json.loads(answer.content)["MessageId"]
    except (ValueError, TypeError, LookupError):
        return None
    return id if isinstance(id, str) else None
