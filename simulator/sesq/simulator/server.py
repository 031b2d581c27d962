"""Listens: uvicorn in a thread of its own (for tests) or in the foreground (for the command)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from sesq.simulator.aws import AwsApi, Receive, Scope, Send
from sesq.simulator.cloud import Cloud
from sesq.simulator.control import Control
from sesq.simulator.events import routes as certificates
from sesq.simulator.listening import listen
from sesq.simulator.page.guard import allowed
from sesq.simulator.page.routes import Page
from sesq.simulator.protocol import LimitedProtocol


class WebApp:
    """Answers all requests. `/` in a browser and `/_sim/` are the simulator's own; all others are AWS's."""

    def __init__(self, cloud: Cloud, hosts: frozenset[str] = frozenset()) -> None:
        self._aws = AwsApi(cloud)
        self._own = Starlette(routes=[*Control(cloud).routes(), *Page(cloud).routes(), *certificates.ROUTES])
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, own = Headers(scope=scope), _is_own(scope)
        if (own or _may_be_of_a_browser(scope, headers)) and not allowed(headers, self._hosts):
            refusal = PlainTextResponse("Ask by localhost, an IP address, or a host that is allowed.", 403)
            await refusal(scope, receive, send)
        else:
            with contextlib.suppress(asyncio.CancelledError):  # by the end of the simulator
                await (self._own if own else self._aws)(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    path = scope["path"]
    if path.startswith(("/_sim/", certificates.PREFIX)):
        return True
    # The v1 API is at the root too; a GET of it names an action.
    return path == "/" and scope["method"] in ("GET", "HEAD") and b"Action=" not in scope["query_string"]


def _may_be_of_a_browser(scope: Scope, headers: Headers) -> bool:
    """Whether a browser may have sent a request.

    An SDK sends neither header, and calls the v1 API by POST. A browser sends one of them, except with some GETs.
    """
    return (
        "origin" in headers
        or "sec-fetch-site" in headers
        or (scope["path"] == "/" and scope["method"] == "GET")
    )


class Listener(Protocol):
    """A further listening socket on the same loop."""

    async def open(self) -> None: ...

    def close(self) -> None: ...


class _Uvicorn(uvicorn.Server):
    """Calls `on_up` when it listens, stops at once when told, and leaves signals to us (uvicorn raises them again)."""

    def __init__(
        self,
        config: uvicorn.Config,
        listeners: Sequence[Listener],
        on_up: Callable[[], None],
        foreground: bool,
    ) -> None:
        super().__init__(config)
        self._listeners = listeners
        self._on_up = on_up
        self._foreground = foreground
        self._stopped = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in self._listeners:
            await listener.open()
        self.loop = asyncio.get_running_loop()
        if self._foreground:
            self._stop_on_signals(self.loop)
        self._on_up()

    async def main_loop(self) -> None:
        await self._stopped.wait()
        for listener in self._listeners:
            listener.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends requests that are being answered, such as a waiting reader of a queue. uvicorn would wait for them, and
        print a traceback.
        """
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, LimitedProtocol) and connection.answering:
                connection.abort()
        await asyncio.sleep(0)  # the ends of those connections are handled here
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Stops the server. It is safe from any thread, and if the server is down already."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._stopped.set)

    def _stop_on_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
                loop.add_signal_handler(each, self._stopped.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """One listening socket and its loop. Port 0 takes a free one, which `port` then names."""

    def __init__(
        self,
        cloud: Cloud,
        host: str,
        port: int,
        allowed_hosts: Sequence[str] = (),
        listeners: Sequence[Listener] = (),
        on_ready: Callable[[], None] | None = None,
        foreground: bool = False,
    ) -> None:
        self._socket = listen("HTTP (--port)", host, port, backlog=2048)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        cloud.where.url = self.url
        self._up = threading.Event()
        self._on_ready = on_ready
        self._thread: threading.Thread | None = None
        self._uvicorn = _Uvicorn(
            _uvicorn_config(WebApp(cloud, frozenset({host, *allowed_hosts}))),
            listeners,
            self._is_up,
            foreground,
        )

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> None:
        """Serves in a background thread. Returns when it answers requests."""
        self._thread = threading.Thread(target=self.run, name="sesq-simulator", daemon=True)
        self._thread.start()
        if not self._up.wait(timeout=30):
            raise RuntimeError("the simulator did not come up within 30 seconds")

    def stop(self) -> None:
        """Closes the socket and the connections, and waits for the thread."""
        self._uvicorn.stop()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def run(self) -> None:
        """Serves until it is stopped, in the foreground also until SIGINT or SIGTERM."""
        self._uvicorn.run(sockets=[self._socket])

    def call(self, function: Callable[[], Any]) -> Any:
        """Runs `function` on the loop, which owns all state, and returns its result."""

        async def on_loop() -> Any:
            return function()

        if self._uvicorn.loop is None or self._thread is None or not self._thread.is_alive():
            return function()
        return asyncio.run_coroutine_threadsafe(on_loop(), self._uvicorn.loop).result(timeout=60)

    def _is_up(self) -> None:
        if self._on_ready is not None:
            self._on_ready()
        self._up.set()


def _uvicorn_config(app: WebApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=int(LimitedProtocol.limits.head_seconds) + 1,
        timeout_graceful_shutdown=1,
    )
