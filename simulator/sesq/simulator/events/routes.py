"""Serves the certificate by which a receiver checks SNS's signatures, at the same path as SNS."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sesq.simulator.events.sns import signer

PREFIX = "/SimpleNotificationService-"


async def _certificate(request: Request) -> Response:
    if not request.url.path.endswith(signer().file_name):
        raise HTTPException(404)
    return Response(signer().pem, media_type="application/x-pem-file")


ROUTES = [Route(PREFIX + "{name}", _certificate)]
