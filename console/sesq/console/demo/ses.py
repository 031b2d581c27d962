"""The simulated SES, steered and asked for its record through its own `/_sim/` API."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT_SECONDS = 5

Json = dict[str, Any]


class SimulatedSes:
    """`url` is where the simulator listens. OSError where it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open = build_opener(ProxyHandler({})).open

    def verify(self, identity: str) -> None:
        """As if the owner had clicked the link in SES's mail."""
        self._ask("POST", f"identities/{quote(identity)}/verify")

    def change_account(self, **settings: float) -> None:
        """As if AWS had granted a request: `max_send_rate` (recipients a second), `max_24_hour_send`."""
        self._ask("PUT", "account", settings)

    def now(self) -> float:
        """Its clock, in seconds since the epoch."""
        return float(self._ask("GET", "clock")["now"])

    def report(self) -> Json:
        """The counts and peaks of its record."""
        report: Json = self._ask("GET", "report")
        return report

    def calls(self) -> list[Json]:
        """Every sending call, accepted or not, oldest first."""
        calls: list[Json] = self._ask("GET", "messages")
        return calls

    def _ask(self, method: str, path: str, body: Json | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/_sim/{path}", data, method=method)  # noqa: S310 - loopback, by our own hand
        with self._open(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
