"""`sesq events endpoint` as a process: TLS on the outside, and no belief in what SNS has not signed."""

from __future__ import annotations

import json
import socket
import ssl
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from sesq.queue.states import State
from system import System, eventually
from tls import make_certificate

TOPIC = "arn:aws:sns:us-east-1:123456789012:sesq-events"


def test_a_forged_event_changes_nothing(system: Any, tmp_path: Path) -> None:
    s: System
    pem, private = make_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with system(max_send_rate=50, max_24_hour_send=1000) as s:
        # Given a sent message and an endpoint
        (id,) = s.send(1)
        s.start_workers(1)
        s.wait_for(State.SENT, 1)
        s.start(
            *(
                "sesq.console",
                "events",
                "endpoint",
                "--port",
                str(port),
                "--cert",
                str(pem),
                "--key",
                str(private),
            ),
            SESQ_ACCOUNTS__DEFAULT__EVENTS__TOPIC_ARN=TOPIC,
        )

        def post(message: dict[str, Any]) -> int | None:
            trust = ssl.create_default_context(cafile=str(pem))
            connection = HTTPSConnection("127.0.0.1", port, context=trust, timeout=20)
            try:
                connection.request("POST", "/", json.dumps(message))
                return connection.getresponse().status
            except ConnectionRefusedError:
                return None
            finally:
                connection.close()

        # When somebody tells it that the mail has bounced, and it is not SNS
        mail = {"messageId": "m", "destination": ["person0@example.org"], "tags": {"sesq-id": [id]}}
        bounce = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "person0@example.org"}]}
        told = json.dumps({"eventType": "Bounce", "mail": mail, "bounce": bounce})
        forged = {"Type": "Notification", "MessageId": "1", "TopicArn": TOPIC, "Message": told}
        # Then it is refused, and nothing has changed
        assert eventually(lambda: post(forged), "the endpoint answers") == 403
        assert s.outbox.status(id).state is State.SENT
        assert s.redis.hlen(s.keys.suppression) == 0
        assert "person0@example.org" not in s.log()
