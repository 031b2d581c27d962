"""SES on localhost, for tests and for the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sesq.simulator.clock import Clock
from sesq.simulator.cloud import Cloud
from sesq.simulator.http import DEFAULT_REGION
from sesq.simulator.parts import part
from sesq.simulator.server import Server
from sesq.simulator.settings import AccountSettings

if TYPE_CHECKING:
    from sesq.simulator.smtp.listener import SmtpListener


class Simulator:
    """`with Simulator() as ses: boto3.client("sesv2", endpoint_url=ses.endpoint_url, …)`

    Every region starts with these settings: `max_send_rate` in recipients a second, `max_24_hour_send` in recipients
    (-1 is unlimited), `burst` in recipients (None: one second's worth, at least 1), `control_rate` in calls a second of
    each operation (None: no limit). `verified`: identities that every region has from the start. `keys` (access key ->
    secret): if given, signatures are checked. `allowed_hosts`: host names for which the page is served too.
    `smtp_port` is for STARTTLS, `smtp_tls_port` for TLS from the first byte (0 takes a free one; None: no SMTP).
    `smtp_options`: see SmtpOptions. `settings`: see AccountSettings.

    The methods do what `/_sim/` does. They are safe from any thread. Raises ValueError and SesError.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        production: bool = False,
        max_send_rate: float | None = None,
        max_24_hour_send: float | None = None,
        burst: float | None = None,
        control_rate: float | None = 1.0,
        verified: tuple[str, ...] | list[str] = (),
        clock: Clock | None = None,
        keep_content: int = 64 * 1024 * 1024,
        keep_entries: int = 500_000,
        keys: Mapping[str, str] | None = None,
        allowed_hosts: tuple[str, ...] | list[str] = (),
        smtp_port: int | None = None,
        smtp_tls_port: int | None = None,
        smtp_options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        quota = {"max_send_rate": max_send_rate, "max_24_hour_send": max_24_hour_send}
        settings |= {name: value for name, value in quota.items() if value is not None}
        account = AccountSettings(
            production_access=production, burst=burst, control_rate=control_rate, **settings
        )
        self.cloud = Cloud(account, tuple(verified), clock, keep_content, keep_entries, keys)
        self._where = host, port
        self._allowed_hosts = tuple(allowed_hosts)
        self._smtp_ports = {False: smtp_port, True: smtp_tls_port}
        self._smtp_options = dict(smtp_options or {})
        self._smtp_listeners: dict[bool, SmtpListener] = {}
        self._certificate = ""
        self._server: Server | None = None

    def __enter__(self) -> Simulator:  # noqa: PYI034  (Self is not in Python 3.10)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listens. When this returns, requests are answered. Raises OSError if a port is taken."""
        self._server = self._listen()
        self._server.start()

    def stop(self) -> None:
        """Ends all connections. The record stays readable."""
        if self._server is not None:
            self._server.stop()

    def run(self, on_ready: Callable[[Simulator], None] | None = None) -> None:
        """Serves in the foreground until SIGINT or SIGTERM; only from the main thread."""
        self._server = self._listen((lambda: on_ready(self)) if on_ready else None, foreground=True)
        self._server.run()

    def _listen(self, on_ready: Callable[[], None] | None = None, foreground: bool = False) -> Server:
        try:
            listeners = self._open_smtp()
            return Server(
                self.cloud,
                *self._where,
                self._allowed_hosts,
                listeners=listeners,
                on_ready=on_ready,
                foreground=foreground,
            )
        except OSError:
            for listener in self._smtp_listeners.values():
                listener.close()
            raise

    def _open_smtp(self) -> list[SmtpListener]:
        ports = {wrapped: port for wrapped, port in self._smtp_ports.items() if port is not None}
        if not ports:
            return []
        # here, so that a simulator without SMTP does not wait for these imports and a key pair
        with part():
            from sesq.simulator.smtp.certificate import Certificate
            from sesq.simulator.smtp.listener import SmtpListener, SmtpOptions

        host = self._where[0]
        certificate = Certificate(host)
        self._certificate = certificate.pem
        tls, options = certificate.server_context(), SmtpOptions(**self._smtp_options)
        for wrapped, port in ports.items():
            self._smtp_listeners[wrapped] = SmtpListener(self.cloud, host, port, tls, wrapped, options)
        return list(self._smtp_listeners.values())

    @property
    def port(self) -> int:
        return self._running.port

    @property
    def endpoint_url(self) -> str:
        return self._running.url

    @property
    def smtp_port(self) -> int:
        """The port with STARTTLS. Raises KeyError if there is none."""
        return self._smtp_listeners[False].port

    @property
    def smtp_tls_port(self) -> int:
        """The port with TLS from the first byte. Raises KeyError if there is none."""
        return self._smtp_listeners[True].port

    @property
    def listening(self) -> list[str]:
        """What to print: a line for each port."""
        kinds = {False: "SMTP with STARTTLS", True: "SMTP over TLS"}
        listeners = [
            f"{kinds[wrapped]} on {self._where[0]}:{listener.port}"
            for wrapped, listener in self._smtp_listeners.items()
        ]
        return [f"listening on {self.endpoint_url}", *listeners]

    @property
    def certificate(self) -> str:
        """The certificate that an SMTP client has to trust, as PEM: `ssl.create_default_context(cadata=…)`."""
        return self._certificate

    def verify(self, *identities: str, region: str = DEFAULT_REGION) -> None:
        """Makes addresses or domains verified, as a click on the link does."""

        def verify() -> None:
            account = self.cloud.account(region)
            for name in identities:
                account.identities.verify(name, self.cloud.clock.now())

        self._do(verify)

    def set_account(self, *, region: str = DEFAULT_REGION, **changes: Any) -> dict[str, Any]:
        """Changes some AccountSettings from now on. Returns the account's settings and state."""

        def change() -> dict[str, Any]:
            account = self.cloud.account(region)
            account.change(changes)
            return account.state()

        return self._do(change)  # type: ignore[no-any-return]

    def account(self, region: str = DEFAULT_REGION) -> dict[str, Any]:
        return self._do(lambda: self.cloud.account(region).state())  # type: ignore[no-any-return]

    def set_faults(
        self, plan: Mapping[str, Any] | None = None, *, region: str = DEFAULT_REGION, **faults: Any
    ) -> None:
        """Replaces all faults: `set_faults(lose_reply=0.03, throttle={"count": 3})`; `set_faults()` ends them."""
        self._do(lambda: self.cloud.set_faults({**(plan or {}), **faults}, region))

    def set_events(self, *, region: str = DEFAULT_REGION, **settings: Any) -> dict[str, Any]:
        """Replaces the EventSettings: `set_events(queue="ses-events", wrapped=False, fates={"a@b.org": "bounce"})`."""

        def change() -> dict[str, Any]:
            events = self.cloud.account(region).events
            events.change(settings)
            return events.state()

        return self._do(change)  # type: ignore[no-any-return]

    def add_tenant(self, name: str, *, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """Adds a tenant that may use every identity, configuration set and template."""
        return self._do(lambda: self.cloud.add_tenant(name, region))  # type: ignore[no-any-return]

    def set_tenant(self, name: str, *, sending_status: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """Sets a tenant to ENABLED, REINSTATED or DISABLED from now on."""
        return self._do(lambda: self.cloud.set_tenant(name, sending_status, region))  # type: ignore[no-any-return]

    def tell(self, message: str, fate: str, *, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """Publishes one more event of an accepted message: `tell(message_id, "open")`. Returns the event's document."""
        return self._do(lambda: self.cloud.tell(message, fate, region))  # type: ignore[no-any-return]

    def advance(self, seconds: float) -> float:
        """Moves the clock of all regions forward. Returns its time (epoch seconds)."""
        return self._do(lambda: self.cloud.move_clock(seconds))["now"]  # type: ignore[no-any-return]

    def freeze(self, frozen: bool = True) -> float:
        """Stops the clock of all regions, or lets it run again. Returns its time (epoch seconds)."""
        return self._do(lambda: self.cloud.move_clock(freeze=frozen))["now"]  # type: ignore[no-any-return]

    def reset(self, region: str = DEFAULT_REGION) -> None:
        self._do(lambda: self.cloud.reset(region))

    def messages(
        self,
        region: str = DEFAULT_REGION,
        since: float = 0.0,
        limit: int | None = None,
        content: bool = False,
    ) -> list[dict[str, Any]]:
        return self._do(lambda: self.cloud.messages(region, since, limit, content))  # type: ignore[no-any-return]

    def report(self, region: str = DEFAULT_REGION) -> dict[str, Any]:
        return self._do(lambda: self.cloud.account(region).record.report())  # type: ignore[no-any-return]

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError("the simulator is not started")
        return self._server

    def _do(self, function: Callable[[], Any]) -> Any:
        return function() if self._server is None else self._server.call(function)


def serve(
    host: str = "127.0.0.1",
    port: int = 9797,
    *,
    on_ready: Callable[[Simulator], None] | None = None,
    **options: Any,
) -> None:
    """Runs Simulator(host, port, **options) in the foreground until SIGINT or SIGTERM."""
    Simulator(host, port, **options).run(on_ready)


def read_account_file(path: Path) -> dict[str, Any]:
    """Reads options of Simulator from a JSON file: {"production": true, "max_send_rate": 14, "verified": ["x.org"]}.

    Raises ValueError if it is not a JSON object.
    """
    options = json.loads(path.read_text("utf-8"))
    if not isinstance(options, dict):
        raise ValueError(f"{path} does not hold a JSON object")
    return options
