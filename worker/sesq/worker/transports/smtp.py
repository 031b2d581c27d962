"""Sends through SES's SMTP interface, or through another mail server, with one transaction for one message.

SMTP gives less information than the API: it has no quotas and no sandbox, and errors are a number and a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from sesq.config.errors import SesqError
from sesq.queue.envelope import Envelope
from sesq.queue.identities import BorrowedIdentities
from sesq.worker.transports.base import NotCleared, Outgoing, SendFailed
from sesq.worker.transports.parcel import NOBODY, Parcel, parcel_for
from sesq.worker.transports.smtp_pool import SmtpPool
from sesq.worker.transports.smtp_session import Session, SmtpServer, Stale
from sesq.worker.verdicts import Answer, Channel, weigh
from sesq.worker.verdicts.smtp import read_smtp

NAMED = (re.compile(r"ok (\S+)", re.IGNORECASE), re.compile(r".*\bqueued as (\S+)", re.IGNORECASE))
"""SES answers `250 Ok <MessageId>`; other servers write `queued as`."""

UNWRITABLE = Answer(Channel.UNSENT, ("ParamValidationError",))
"""The content cannot be written as a mail. The API's client has the same code for parameters that are not valid."""


class SmtpTransport:
    """Sends through SMTP sessions that are opened when needed and shared by all threads."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        region: str | None = None,
        concurrency: int = 10,
        password: Callable[[], str] | None = None,
        borrowed: BorrowedIdentities = NOBODY,
    ) -> None:
        """Takes `password`, which returns the password for each new session; None: the server's password."""
        self.borrowed = borrowed
        self.region = region or server.host
        self.server = server
        self._password = password
        self._pool = SmtpPool(self._open_session, concurrency)

    def send(self, outgoing: Outgoing) -> str:
        """Sends one message. Returns its MessageId, or the reply if that has none.

        Raises SendFailed, and NotCleared.
        """
        try:
            parcel = parcel_for(outgoing, self.borrowed)
        except (SesqError, ValueError) as error:
            raise SendFailed(weigh(UNWRITABLE, envelope=outgoing.envelope, region=self.region)) from error
        try:
            return named_id(self._pass_on(parcel, outgoing.clear))
        except NotCleared:
            raise
        except Exception as error:  # smtplib and the system may raise anything
            raise self._failed(error, outgoing.envelope) from error

    def check(self) -> None:
        """Signs in: SMTP has no other way to learn whether it may. Raises SendFailed."""
        self.warm_up()

    def warm_up(self) -> None:
        """Opens a session and signs in. Raises SendFailed."""
        try:
            with self._pool.lend():
                pass
        except Exception as error:  # as above
            raise self._failed(error, Envelope(sender="")) from error

    def close(self) -> None:
        """Closes the sessions that are not in use; the next `send` opens new ones."""
        self._pool.close()

    def _open_session(self) -> Session:
        if self._password is not None:
            self.server = replace(self.server, password=self._password())
        return Session(self.server)

    def _pass_on(self, parcel: Parcel, clear: Callable[[], None]) -> str:
        """Delivers a parcel. The session calls `clear` when it is open and the server has accepted all recipients."""
        try:
            with self._pool.lend() as session:
                return session.deliver(parcel, clear)
        except Stale:
            with self._pool.lend(fresh=True) as session:
                return session.deliver(parcel, clear)

    def _failed(self, error: Exception, envelope: Envelope) -> SendFailed:
        return SendFailed(weigh(read_smtp(error), envelope=envelope, region=self.region))


def named_id(reply: str) -> str:
    """Returns the id in the reply to a mail: `Ok 0102…-000000`, `2.0.0 Ok: queued as 4F1C…`.

    If there is none, returns the reply without spaces.
    """
    found = next((match for pattern in NAMED if (match := pattern.match(reply))), None)
    return found[1] if found else "_".join(reply.split()) or "accepted"
