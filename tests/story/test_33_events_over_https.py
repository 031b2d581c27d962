"""`sesq events endpoint` as a process: TLS on the outside, and no belief in what SNS has not signed."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import datetime, timedelta, timezone
from http.client import HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sesq.config.states import State
from system import System, eventually

TOPIC = "arn:aws:sns:us-east-1:123456789012:sesq-events"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "tls.pem", folder / "tls.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, private


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
