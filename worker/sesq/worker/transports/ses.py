"""The SESv2 API through boto3: one request for one message, and never a second one behind the limiter's back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from sesq.config.envelope import Envelope
from sesq.worker.transports.base import NotCleared, Outgoing, SendFailed
from sesq.worker.transports.client import AwsClient, ClientSettings
from sesq.worker.transports.request import request_for
from sesq.worker.verdicts import Answer, Door, judge, weigh

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import SendEmailRequestTypeDef, SendEmailResponseTypeDef

EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException"})
SOON_SECONDS = 15.0
"""What must leave so soon gets an open connection first; botocore would open one after the last look."""

NO_MESSAGE_ID = Answer(Door.LOST, ("NoMessageId",))
"""SES said yes, and no more: it may have taken the message, and nobody can say under which id."""


class _OnItsWay(threading.local):
    """What this thread is handing over."""

    clear: Callable[[], None]


class SesTransport:
    """Sends through SESv2's SendEmail. The client is made at the first use, then shared by all threads."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._client: AwsClient | None = None
        self._lock = threading.Lock()
        self._on_its_way = _OnItsWay()

    @classmethod
    def create(
        cls,
        *,
        region: str | None = None,
        profile: str | None = None,
        role_arn: str | None = None,
        endpoint_url: str | None = None,
        concurrency: int = 10,
    ) -> SesTransport:
        """A transport for one account; what is left out comes from the usual AWS places. Connects to nothing yet."""
        return cls(ClientSettings(region, profile, role_arn, endpoint_url, concurrency))

    def send(self, outgoing: Outgoing) -> str:
        """Send one message and return SES's MessageId. Raises SendFailed, and NotCleared."""
        self._on_its_way.clear = outgoing.clear
        request = request_for(outgoing)
        try:
            if outgoing.leave_by - time.monotonic() < SOON_SECONDS:
                self._connected().connect()
            response = self._call(request)
        except NotCleared:
            raise
        except (
            Exception
        ) as error:  # all that a client raises is foreign, and the table has a word for the unknown
            raise SendFailed(judge(error, envelope=outgoing.envelope, region=self.region)) from error
        message_id = response.get("MessageId")
        if not message_id:
            raise SendFailed(weigh(NO_MESSAGE_ID, envelope=outgoing.envelope, region=self.region))
        return message_id

    def warm_up(self) -> None:
        """Fetch the credentials and open one connection. Raises SendFailed."""
        try:
            self._connected().connect()
        except Exception as error:  # as above
            raise SendFailed(judge(error, envelope=Envelope(sender=""), region=self.region)) from error

    def close(self) -> None:
        """Close the connections; the next `send` makes a new client."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def region(self) -> str:
        """The region in use, as far as it is known."""
        client = self._client
        return client.region if client else self._settings.region or "the region"

    @property
    def client(self) -> SESV2Client:
        """The SESv2 client, for what is not a mail: the account, its identities."""
        return self._connected().api

    def _call(self, request: SendEmailRequestTypeDef) -> SendEmailResponseTypeDef:
        """One call; a second one only when SES would not look at the first, since its token had expired."""
        client = self._connected()
        try:
            return client.api.send_email(**request)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in EXPIRED_CODES:
                raise
        return self._renewed(client).api.send_email(**request)

    def _connected(self) -> AwsClient:
        client = self._client
        return client if client is not None else self._renewed(None)

    def _renewed(self, stale: AwsClient | None) -> AwsClient:
        """A client in place of that one: made once, however many threads ask."""
        with self._lock:
            if self._client is stale or self._client is None:
                self._client = AwsClient(self._settings)
                self._client.api.meta.events.register("before-send.sesv2.SendEmail", self._clear)
                if stale is not None:
                    stale.close()
            return self._client

    def _clear(self, **_: object) -> None:
        """When the request is written and signed: of a large mail that takes its time, as do new credentials."""
        self._on_its_way.clear()
