"""Writes messages as SNS sends them: the envelope, the signature, and the certificate by which a receiver checks it.

The source is SNS's guide: `Verifying the signatures of Amazon SNS messages`. Version 1 signs with SHA1, version 2 with
SHA256. A process has one key pair, which is made when the first message is signed.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import threading
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from sesq.simulator.events.details import iso
from sesq.simulator.parts import part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
SUBJECT = "Amazon SES Email Event Notification"
AGENT = "Amazon Simple Notification Service Agent"
_making = threading.Lock()
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")


class Identity(NamedTuple):
    """The key that signs, and its certificate as PEM."""

    key: RSAPrivateKey
    pem: bytes

    @property
    def file_name(self) -> str:
        return f"SimpleNotificationService-{hashlib.sha256(self.pem).hexdigest()[:32]}.pem"


class Notification(NamedTuple):
    """One message of a topic, for one `subscription`. `at`: epoch seconds."""

    topic_arn: str
    message: str
    subject: str | None
    at: float
    id: str
    subscription: str

    @property
    def subscription_arn(self) -> str:
        return f"{self.topic_arn}:{self.subscription}"

    def body(self, sns_url: str, version: str) -> str:
        """Writes the signed envelope. `sns_url`: where the certificate and the link to unsubscribe are."""
        subject = {"Subject": self.subject} if self.subject else {}
        envelope = {
            "Type": "Notification",
            "MessageId": self.id,
            "TopicArn": self.topic_arn,
            **subject,
            "Message": self.message,
            "Timestamp": iso(self.at),
            "SignatureVersion": version,
        }
        envelope["Signature"] = _signature(envelope, version)
        envelope["SigningCertURL"] = f"{sns_url}/{signer().file_name}"
        envelope["UnsubscribeURL"] = f"{sns_url}/?Action=Unsubscribe&SubscriptionArn={self.subscription_arn}"
        return json.dumps(envelope)

    def http_headers(self, raw: bool) -> dict[str, str]:
        """Returns the headers of a delivery by HTTP. A raw delivery has no envelope, only these."""
        headers = {
            "content-type": "text/plain; charset=UTF-8",
            "user-agent": AGENT,
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": self.id,
            "x-amz-sns-topic-arn": self.topic_arn,
            "x-amz-sns-subscription-arn": self.subscription_arn,
        }
        return headers | ({"x-amz-sns-rawdelivery": "true"} if raw else {})


def notification(topic_arn: str, message: str, at: float, subject: str | None = SUBJECT) -> Notification:
    subscription = str(uuid.uuid5(uuid.NAMESPACE_URL, topic_arn))
    return Notification(topic_arn, message, subject, at, str(uuid.uuid4()), subscription)


def _signature(envelope: dict[str, str], version: str) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    text = "".join(f"{name}\n{envelope[name]}\n" for name in _SIGNED if name in envelope)
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303  (SNS's, not ours)
    return base64.b64encode(signer().key.sign(text.encode(), PKCS1v15(), algorithm)).decode()


def signer() -> Identity:
    """Returns the signer of this process. It is safe in any thread."""
    with _making:
        return _make_signer()


@functools.cache
def _make_signer() -> Identity:
    # here, so that a process that publishes nothing does not wait for these imports and a key pair
    with part():
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.sesq-simulator.invalid")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return Identity(key, certificate.public_bytes(serialization.Encoding.PEM))
