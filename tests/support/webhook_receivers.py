"""A Django process with the webhook views of django-anymail and django-ses. It prints the event that each view reads.

`python webhook_receivers.py PEM_FILE`: the first line on stdout is the port; each further line is [view, event type].
PEM_FILE holds the certificate that AWS's address would have.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import responses
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="x",
    ANYMAIL={"WEBHOOK_SECRET": None},
    LOGGING_CONFIG=None,
)
django.setup()

from anymail.signals import tracking  # noqa: E402  (they read the settings when they are imported)
from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView  # noqa: E402
from django_ses import signals  # noqa: E402
from django_ses.views import SESEventWebhookView  # noqa: E402

urlpatterns = [
    path("anymail", AmazonSESTrackingWebhookView.as_view()),
    path("ses", csrf_exempt(SESEventWebhookView.as_view())),
]


def tell(view: str, event: str) -> None:
    print(json.dumps([view, event]), flush=True)  # noqa: T201  (the test reads it)


def told_by_anymail(event: Any, **_: Any) -> None:
    tell("anymail", event.event_type)


def told_by_django_ses(event: str) -> Any:
    def receive(**_: Any) -> None:
        tell("ses", event)

    return receive


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    tracking.connect(told_by_anymail, weak=False)
    for event in ("send", "delivery", "bounce", "complaint", "open", "click"):
        getattr(signals, f"{event}_received").connect(told_by_django_ses(event), weak=False)
    certificate = Path(sys.argv[1]).read_bytes()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as amazon:
        amazon.get(re.compile(r"https://sns\.us-east-1\.amazonaws\.com/.*\.pem"), body=certificate)
        with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
            print(server.server_port, flush=True)  # noqa: T201
            server.serve_forever()


if __name__ == "__main__":
    main()
