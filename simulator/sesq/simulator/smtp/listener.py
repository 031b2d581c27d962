"""One listening SMTP port: which connections it takes, and whose credentials are right."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from dataclasses import dataclass

from sesq.simulator.account import Account
from sesq.simulator.cloud import Cloud
from sesq.simulator.http import DEFAULT_REGION
from sesq.simulator.listening import listen
from sesq.simulator.signature import smtp_password
from sesq.simulator.smtp.session import SesSmtp


@dataclass(frozen=True)
class SmtpOptions:
    """`idle`: seconds, about as seen at SES. SES publishes a number neither for that nor for `connections`."""

    region: str = DEFAULT_REGION
    idle: float = 10.0
    connections: int = 100


class SmtpListener:
    """A port with STARTTLS, or if `wrapped` with TLS from the first byte. Port 0 takes a free one."""

    def __init__(
        self, cloud: Cloud, host: str, port: int, tls: ssl.SSLContext, wrapped: bool, options: SmtpOptions
    ) -> None:
        self._socket = listen(f"SMTP ({'--smtp-tls-port' if wrapped else '--smtp-port'})", host, port)
        self.port: int = self._socket.getsockname()[1]
        self.tls = tls
        self.wrapped = wrapped
        self.options = options
        self._cloud = cloud
        self._sessions: set[SesSmtp] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        tls = self.tls if self.wrapped else None
        self._server = await loop.create_server(lambda: SesSmtp(self, loop), sock=self._socket, ssl=tls)

    def close(self) -> None:
        """Stops listening, and ends all sessions."""
        (self._server or self._socket).close()
        for session in tuple(self._sessions):
            session.abort()

    def admit(self, session: SesSmtp) -> bool:
        """Adds a connection. Returns whether there was room for it."""
        self._sessions.add(session)
        return len(self._sessions) <= self.options.connections

    def leave(self, session: SesSmtp) -> None:
        self._sessions.discard(session)

    def account_for(self, user: str, password: str) -> Account | None:
        """Returns the account whose credentials these are. If no keys are configured, all credentials are right.

        Credentials belong to one region: the one whose password this is.
        """
        if not self._cloud.keys:
            return self._cloud.account(self.options.region)
        secret = self._cloud.keys.get(user)
        for region in dict.fromkeys((self.options.region, *self._cloud.regions())):
            if secret and hmac.compare_digest(smtp_password(secret, region).encode(), password.encode()):
                return self._cloud.account(region)
        return None
