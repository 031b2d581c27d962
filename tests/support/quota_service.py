"""A server that takes requests for larger quotas, as AWS Service Quotas does. moto has the quotas but no requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TARGET = "ServiceQuotasV20190624.RequestServiceQuotaIncrease"
TAKEN = (200, "", "")
HANG_UP = (0, "", "")
"""In place of an answer: the server closes the connection."""


@dataclass
class QuotaService:
    """The service. `asked`: the requests. `answers`: (status, code, message) of the next; without one it accepts."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = "/us-east-1/servicequotas/aws4_request" in self.headers.get("Authorization", "")
        if not signed or self.headers.get("X-Amz-Target") != TARGET:
            self._answer(400, {"__type": "UnknownOperationException", "message": "not what AWS would read"})
            return
        wanted = json.loads(body)
        service.asked.append(wanted)
        status, code, message = service.answers.pop(0) if service.answers else TAKEN
        if status == 200:
            taken = {"Id": f"r-{len(service.asked)}", "CaseId": "c-1", "Status": "PENDING", **wanted}
            self._answer(200, {"RequestedQuota": taken})
        elif status:
            self._answer(status, {"__type": code, "Message": message})
        self.close_connection = not status

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    service: QuotaService


@contextmanager
def quota_service() -> Iterator[QuotaService]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.service = QuotaService(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.service
        finally:
            server.shutdown()
            thread.join()
