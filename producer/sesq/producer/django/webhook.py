"""A view for sesq's webhooks: it checks the signature, and sends the signal `message_changed`.

SESQ_WEBHOOK_SECRET = "whsec_…"                                 # settings.py; a list while secrets change
path("sesq/webhook", sesq.producer.django.webhook.webhook)      # urls.py
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from sesq.config.errors import InvalidMessage
from sesq.producer.django.signals import tell
from sesq.producer.webhook import read_webhook

SETTING = "SESQ_WEBHOOK_SECRET"
log = logging.getLogger("sesq.django")


@csrf_exempt  # the signature says who sends it
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Answers 204; 400 to a request that sesq has not signed; 503 if a receiver failed, so that it is sent again."""
    secrets = getattr(settings, SETTING, None)
    if not secrets:
        raise ImproperlyConfigured(
            f"sesq: {SETTING} is not set: set it, or nobody can tell who sent a webhook"
        )
    try:
        event = read_webhook(request.body, request.headers, secrets)
    except (InvalidMessage, RequestDataTooBig) as error:
        log.warning("a webhook is refused: %s", error)
        return HttpResponse(status=400)
    return HttpResponse(status=503 if tell(event) else 204)
