"""The submission server: where it listens, which connections it takes, and how it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sesq.config.errors import InputError, SettingsError
from sesq.producer.outbox import Outbox
from sesq.producer.rules import MAX_MESSAGE_BYTES
from sesq.producer.submission.bundle import Bundle
from sesq.producer.submission.passwords import Passwords
from sesq.producer.submission.session import SubmissionSmtp
from sesq.producer.submission.users import Users

log = logging.getLogger("sesq.submission")


HOSTS = 4
"""So many hosts at least can be connected at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Ports: 0 takes a free one; with None there is no such port.

    `port` offers STARTTLS if there is a certificate; `tls_port` is TLS from the first byte. A mail may have
    `max_bytes`. A connection may be silent for `idle_seconds`, take `handshake_seconds` for TLS, and `data_seconds` for
    the content of one mail, its answer included. One host may have `max_per_host` of the `max_connections`; None: a
    quarter of them, and all of them on loopback. At worst a server holds `max_connections` mails in memory.
    """

    host: str = "127.0.0.1"
    port: int | None = 2525
    tls_port: int | None = None
    certificate: Path | None = None
    key: Path | None = None
    users: Path | None = None
    hostname: str = "localhost"
    max_connections: int = 100
    max_per_host: int | None = None
    max_bytes: int = MAX_MESSAGE_BYTES
    idle_seconds: float = 60.0
    handshake_seconds: float = 10.0
    data_seconds: float = 600.0


class Listener:
    """One listening port, and what its sessions need."""

    def __init__(self, server: SubmissionServer, listening: socket.socket, wrapped: bool) -> None:
        self.options = server.options
        self.passwords, self.bundle, self.tls = server.passwords, server.bundle, server.tls
        self.loopback, self.wrapped = server.loopback, wrapped
        self.port: int = listening.getsockname()[1]
        self._sessions, self._max_per_host = server.sessions, server.max_per_host
        self._socket = listening
        self._accepting: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._accepting = await loop.create_server(lambda: SubmissionSmtp(self, loop), sock=self._socket)

    def close(self) -> None:
        (self._accepting or self._socket).close()

    def admit(self, session: SubmissionSmtp) -> bool:
        """Adds a connection if there is room for it, over all listeners and from its host. Returns whether it did."""
        from_there = sum(other.host == session.host for other in self._sessions)
        if len(self._sessions) >= self.options.max_connections or from_there >= self._max_per_host:
            return False
        self._sessions.add(session)
        return True

    def leave(self, session: SubmissionSmtp) -> None:
        self._sessions.discard(session)


class SubmissionServer:
    """Takes mail by SMTP and puts it into the outbox. Raises SettingsError for what would not be safe."""

    def __init__(self, outbox: Outbox, options: Options) -> None:
        self.options = options
        self.loopback = _is_loopback(options.host)
        self.passwords = Passwords(Users.read(options.users)) if options.users else None
        self.tls = _tls(options)
        self.bundle = Bundle(outbox)
        self.sessions: set[SubmissionSmtp] = set()
        share = options.max_connections if self.loopback else -(-options.max_connections // HOSTS)
        self.max_per_host = options.max_per_host or share
        self._check()
        wanted = ((options.port, False), (options.tls_port, True))
        self.listeners = [
            Listener(self, _listen(options.host, port), wrapped)
            for port, wrapped in wanted
            if port is not None
        ]

    def _check(self) -> None:
        if self.options.port is None and self.options.tls_port is None:
            raise SettingsError("submission: there is no port to listen on: give one")
        if self.options.tls_port is not None and self.tls is None:
            raise SettingsError("submission: a TLS port needs a certificate and its key")
        if not self.loopback and (self.passwords is None or self.tls is None):
            raise SettingsError(
                f"submission: {self.options.host} can be reached from elsewhere: that needs a users file, or anybody "
                "could send mail; and a certificate with its key, or passwords could be read on the way"
            )

    async def start(self) -> None:
        for listener in self.listeners:
            await listener.open()

    async def stop(self) -> None:
        """Takes no new connections, waits until all answers are sent, and ends the sessions."""
        for listener in self.listeners:
            listener.close()
        await self.bundle.drain()
        await asyncio.sleep(0)  # the answers leave
        for session in tuple(self.sessions):
            session.end("421 4.3.2 the server is going down, try again later")
        if self.passwords is not None:
            self.passwords.close()


def serve(outbox: Outbox, options: Options, on_ready: Callable[[SubmissionServer], None]) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError."""
    # aiosmtpd's own log has every line of every conversation in it.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    loop = _new_loop()
    try:
        loop.run_until_complete(_serve(SubmissionServer(outbox, options), on_ready))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _serve(server: SubmissionServer, on_ready: Callable[[SubmissionServer], None]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await server.start()
    on_ready(server)
    await ended.wait()
    await server.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise InputError(f"submission: {host}:{port}: {error}") from error


def _is_loopback(host: str) -> bool:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise InputError(f"submission: {host}: {error}") from error
    return all(ipaddress.ip_address(address).is_loopback for address in found)


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.certificate is None and options.key is None:
        return None
    if options.certificate is None or options.key is None:
        raise SettingsError("submission: a certificate and its key go together: give both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"submission: {options.certificate} cannot be used: {error}") from error
    return context
