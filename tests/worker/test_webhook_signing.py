"""Signatures of webhooks: the convention's published vector, and its reference library as the judge."""

from __future__ import annotations

import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sesq.worker.webhooks.signing import Signer

ONE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"


def test_the_published_vector() -> None:
    headers = Signer([ONE]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, '{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_receiver_with_either_of_two_secrets_believes_it_and_no_other_does() -> None:
    body = '{"reason": "caf\u00e9"}'
    headers = Signer([ONE, OTHER]).headers("1-0", time.time(), body)
    for secret in (ONE, OTHER):
        assert Webhook(secret).verify(body.encode(), headers) == {"reason": "caf\u00e9"}
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + ONE[:5:-1]).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(ONE).verify(body + " ", headers)
