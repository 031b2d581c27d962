"""Sends through the SESv2 API, with exactly one request for one message, so that the gate counts each."""

from __future__ import annotations

import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError

from sesq.queue.envelope import Envelope
from sesq.worker.transports.base import NotCleared, OfAccount, Outgoing, SendFailed
from sesq.worker.transports.client import AwsClient
from sesq.worker.transports.request import NOTHING_MORE, request_for
from sesq.worker.verdicts import Answer, Channel, judge, weigh

SOON_SECONDS = 15.0
"""A message that must leave so soon gets an open connection first; else botocore would open one after `clear`."""

NO_MESSAGE_ID = Answer(Channel.LOST, ("NoMessageId",))
"""SES's answer is a success without an id: SES may have taken the message."""


class SesTransport:
    """Sends through SESv2's SendEmail, with a client that all threads share."""

    def __init__(self, client: AwsClient, of_account: OfAccount = NOTHING_MORE) -> None:
        self.client = client
        self.of_account = of_account

    def send(self, outgoing: Outgoing) -> str:
        """Sends one message, and returns SES's MessageId. Raises SendFailed and NotCleared."""
        request = request_for(outgoing, self.of_account)
        try:
            if outgoing.leave_by - time.monotonic() < SOON_SECONDS:
                self.client.connect()
            message_id = self.client.send_email(request, outgoing.clear)
        except NotCleared:
            raise
        except Exception as error:  # a client may raise anything, and the table has a row for unknown errors
            raise SendFailed(judge(error, envelope=outgoing.envelope, region=self.region)) from error
        if not message_id:
            raise SendFailed(weigh(NO_MESSAGE_ID, envelope=outgoing.envelope, region=self.region))
        return message_id

    def check(self) -> None:
        """Finds the credentials. Connects to nothing at SES, and makes no client. Raises SendFailed."""
        self._try(self.client.find_credentials)

    def warm_up(self) -> None:
        """Fetches the credentials, and opens one connection. Raises SendFailed."""
        self._try(self.client.connect)

    def close(self) -> None:
        """Closes the connections. The next `send` opens new ones."""
        self.client.close()

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # as above
            raise SendFailed(judge(error, envelope=Envelope(sender=""), region=self.region)) from error

    @property
    def region(self) -> str:
        """The region in use, for texts; "the region" if it is not known."""
        try:
            return self.client.region
        except (BotoCoreError, ValueError):  # the call that needs the region reports the error
            return self.client.settings.region or "the region"
