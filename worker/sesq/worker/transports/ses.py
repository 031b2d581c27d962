"""The SESv2 API: one request for one message, and never a second one behind the limiter's back."""

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
"""What must leave so soon gets an open connection first; botocore would open one after the last look."""

NO_MESSAGE_ID = Answer(Channel.LOST, ("NoMessageId",))
"""SES said yes, and no more: it may have taken the message, but its id is not known."""


class SesTransport:
    """Sends through SESv2's SendEmail, with a client that all threads share."""

    def __init__(self, client: AwsClient, of_account: OfAccount = NOTHING_MORE) -> None:
        self.client = client
        self.of_account = of_account

    def send(self, outgoing: Outgoing) -> str:
        """Send one message and return SES's MessageId. Raises SendFailed, and NotCleared."""
        request = request_for(outgoing, self.of_account)
        try:
            if outgoing.leave_by - time.monotonic() < SOON_SECONDS:
                self.client.connect()
            message_id = self.client.send_email(request, outgoing.clear)
        except NotCleared:
            raise
        except (
            Exception
        ) as error:  # all that a client raises is foreign, and the table has a word for the unknown
            raise SendFailed(judge(error, envelope=outgoing.envelope, region=self.region)) from error
        if not message_id:
            raise SendFailed(weigh(NO_MESSAGE_ID, envelope=outgoing.envelope, region=self.region))
        return message_id

    def check(self) -> None:
        """Find the credentials; connects to nothing at SES, and makes no client. Raises SendFailed."""
        self._try(self.client.find_credentials)

    def warm_up(self) -> None:
        """Fetch the credentials and open one connection. Raises SendFailed."""
        self._try(self.client.connect)

    def close(self) -> None:
        """Close the connections; the next `send` opens others."""
        self.client.close()

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # as above
            raise SendFailed(judge(error, envelope=Envelope(sender=""), region=self.region)) from error

    @property
    def region(self) -> str:
        """The region in use, as far as it is known."""
        try:
            return self.client.region
        except (BotoCoreError, ValueError):  # what is missing is told by whatever needs it
            return self.client.settings.region or "the region"
