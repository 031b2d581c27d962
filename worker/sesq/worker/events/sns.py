"""Checks that a message over HTTP is really from SNS, from our topic, and not too old.

Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages". The message has the address of its
certificate, so it must be SNS's own in the topic's region. Anybody can have a topic, so the topic must be the
configured one.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import urllib3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

from sesq.config.errors import InputError, SesqError

SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
HASHES: Mapping[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}
MAX_AGE_SECONDS = 3600
"""SNS tries to deliver over HTTP for at most an hour (developer guide, "Amazon SNS message delivery retries"). All
attempts have the timestamp of the first.
"""
MAX_AHEAD_SECONDS = 300
TOO_MANY = 429
FETCH_SECONDS = 5.0
FETCH_BYTES = 64 * 1024
FAILURE_SECONDS = 15
"""How long a certificate is not asked for again after a failure. SNS tries again after 20 s, only a few times."""
MAX_FAILURES = 20
"""Failures in that time. So nobody can make us ask SNS more often by inventing names of certificates."""

_topic_arn = re.compile(r"arn:aws[\w-]*:sns:([\w-]+):\d{12}:[\w-]{1,256}").fullmatch
_certificate_path = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem").fullmatch
_subscribe_path = re.compile(r"/\?Action=ConfirmSubscription&[\w&=%:.~-]+", re.ASCII).fullmatch

Fetch = Callable[[str], bytes]


class Forged(SesqError):
    """The message is not really from SNS. The text says why, and quotes nothing of it."""


class SnsAway(SesqError):
    """SNS could not be asked for its certificate: the message has to come again."""


def fetch(url: str) -> bytes:
    """Reads an address of SNS, up to FETCH_BYTES, and follows no redirection. Raises Forged or SnsAway."""
    with urllib3.PoolManager(timeout=FETCH_SECONDS, retries=False) as pool:  # and no redirection
        try:
            answer = pool.request("GET", url, preload_content=False)
            body = answer.read(FETCH_BYTES)
        except urllib3.exceptions.HTTPError as error:
            raise SnsAway("SNS cannot be reached") from error
        if answer.status >= 500 or answer.status == TOO_MANY:
            raise SnsAway(f"SNS answers {answer.status}")
        if answer.status != 200:
            raise Forged(f"SNS answered {answer.status} for it")
        return bytes(body)


class SnsGuard:
    """Checks the messages of one topic. It fetches a certificate once, and waits for a while after a failure.

    Raises InputError if `topic_arn` is no topic.
    """

    def __init__(
        self, topic_arn: str, *, fetch: Fetch = fetch, clock: Callable[[], float] = time.time
    ) -> None:
        found = _topic_arn(topic_arn)
        if not found:
            raise InputError(
                f"topic_arn: {topic_arn!r} is no topic of SNS's: give arn:aws:sns:REGION:ACCOUNT:NAME"
            )
        self.topic_arn = topic_arn
        china = ".cn" if found[1].startswith("cn-") else ""
        self._sns = f"https://sns.{found[1]}.amazonaws.com{china}"
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, RSAPublicKey] = {}
        self._failures: dict[str, tuple[float, Forged | SnsAway]] = {}

    def check(self, message: Mapping[str, Any]) -> None:
        """Raises Forged unless SNS has signed it for our topic, not too long ago; SnsAway if that is not known now."""
        names = SIGNED.get(str(message.get("Type")))
        if (
            names is None
            or "MessageId" not in message
            or "Message" not in message
            or not all(_is_text(name, message.get(name, "")) for name in names)
        ):
            raise Forged("it is of no form of SNS's")
        if message.get("TopicArn") != self.topic_arn:
            raise Forged("it is of another topic")
        self._check_time(str(message.get("Timestamp", "")))
        self._check_signature(message, names)

    def confirm(self, message: Mapping[str, Any]) -> None:
        """Confirms a subscription, after `check`. Raises Forged or SnsAway."""
        url = str(message.get("SubscribeURL", ""))
        if not self._is_of_sns(url, _subscribe_path):
            raise Forged("its SubscribeURL is not SNS's in the topic's region")
        self._fetch(url)

    def _check_time(self, timestamp: str) -> None:
        try:
            at = (
                datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()
            )
        except ValueError as error:
            raise Forged("its time cannot be read") from error
        if not -MAX_AHEAD_SECONDS <= self._clock() - at <= MAX_AGE_SECONDS:
            raise Forged("it is too old, or from the future")

    def _check_signature(self, message: Mapping[str, Any], names: tuple[str, ...]) -> None:
        algorithm = HASHES.get(str(message.get("SignatureVersion")))
        if algorithm is None:
            raise Forged("its SignatureVersion is unknown")
        key = self._key(str(message.get("SigningCertURL", "")))
        signed = "".join(f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
        try:
            signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
            key.verify(signature, signed.encode(), PKCS1v15(), algorithm())
        except (InvalidSignature, ValueError) as error:
            raise Forged("its signature is wrong") from error

    def _is_of_sns(self, url: str, path: Callable[[str], object]) -> bool:
        """Whether an address is at SNS's host in the topic's region."""
        return url.startswith(self._sns) and path(url[len(self._sns) :]) is not None

    def _key(self, url: str) -> RSAPublicKey:
        if not self._is_of_sns(url, _certificate_path):
            raise Forged("its certificate is not SNS's in the topic's region")
        if url not in self._keys:
            self._check_failures(url)
            try:
                self._keys[url] = self._read_key(self._fetch(url))
            except (Forged, SnsAway) as error:
                self._failures[url] = (self._clock() + FAILURE_SECONDS, error)
                raise
        return self._keys[url]

    def _check_failures(self, url: str) -> None:
        """Raises the error of a recent failure to fetch it; SnsAway after too many failures."""
        now = self._clock()
        self._failures = {each: failed for each, failed in self._failures.items() if failed[0] > now}
        if url in self._failures:
            error = self._failures[url][1]
            raise type(error)(str(error))
        if len(self._failures) >= MAX_FAILURES:
            raise SnsAway("too many certificates could not be fetched")

    def _read_key(self, pem: bytes) -> RSAPublicKey:
        try:
            certificate = load_pem_x509_certificate(pem)
        except ValueError as error:
            raise Forged("its certificate is none") from error
        now = datetime.fromtimestamp(self._clock(), timezone.utc)
        key = certificate.public_key()
        in_time = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        if not in_time or not isinstance(key, RSAPublicKey):
            raise Forged("its certificate is out of date, or of another kind")
        return key


def _is_text(name: str, value: object) -> bool:
    """Whether a value can be signed as a text.

    Half of a surrogate pair cannot. Line ends divide the parts of the signed text, so only the message itself may have
    any: else the text could be divided in two ways.
    """
    if not isinstance(value, str) or ("\n" in value and name != "Message"):
        return False
    return value == value.encode(errors="replace").decode()
