"""The settings of one webhook: its address, which events it gets, and how its requests are signed."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from sesq.config.errors import SettingsError
from sesq.config.places import expand

SECRET_PREFIX = "whsec_"  # noqa: S105  (what a secret begins with)
SHORTEST_SECRET_BYTES, LONGEST_SECRET_BYTES = 24, 64
"""What the Standard Webhooks convention allows."""
SECRET_HELP = f'a secret is "{SECRET_PREFIX}" and 24 to 64 random bytes as base64: openssl rand -base64 32'

EventName = Literal[
    "scheduled", "queued", "sending", "retrying", "held", "unknown", "sent", "delivered", "bounced",
    "complained", "refused", "suppressed", "failed", "expired", "cancelled",
    "delayed", "noted", "opened", "clicked", "subscription",
]  # fmt: skip
"""The states in `sesq.queue.states`, and the events in `sesq.queue.events` that change no state."""


def is_loopback(host: str) -> bool:
    """Whether a host is written as this machine: `localhost`, or an address of the loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isascii():
        raise ValueError("allowed: https://host/path, in ASCII")
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("allowed: no spaces")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("allowed: no user, no password and no fragment; the signature says who sends it")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http:// is for this machine (127.0.0.1, ::1 or localhost); use https://")
    if parts.port == 0:  # a port that is no number raises ValueError
        raise ValueError("allowed: a port from 1 to 65535")
    return value


WebhookUrl = Annotated[str, AfterValidator(_url)]


class WebhookSettings(BaseModel):
    """Describes one endpoint that gets events about an account's messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: WebhookUrl = Field(repr=False)
    """Not in the repr: it may hold a token."""
    secret: SecretStr | None = None
    """One secret, or several with spaces between them. Each signs every request, while receivers change the secret."""
    secret_file: Path | None = None
    events: tuple[EventName, ...] | None = Field(default=None, min_length=1)
    """The states and other events that it gets; None: all. It always gets events of type `gap`."""
    recipients: bool = False
    """Whether it gets the addresses of the recipients."""
    allow_private: bool = False
    """Whether it may be at a private or link-local address."""
    ca_file: Path | None = None
    """Certificates to trust in place of the system's, as PEM."""
    timeout_seconds: float = Field(default=10.0, ge=1, le=30)
    """How long one delivery may take, from the connection to the end of the answer."""

    @field_validator("secret")
    @classmethod
    def _plain(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _split(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _one_secret(self) -> WebhookSettings:
        if self.secret and self.secret.get_secret_value() and self.secret_file:
            raise ValueError("secret and secret_file: give one of them")
        return self

    def secrets(self) -> tuple[str, ...]:
        """Returns its secrets, from its file if one is set. Raises SettingsError if there is none."""
        try:
            if self.secret_file is not None:
                text = expand(self.secret_file).read_text("utf-8")
            else:
                text = self.secret.get_secret_value() if self.secret else ""
            found = _split(text)
        except (OSError, ValueError) as error:
            raise SettingsError(f"secret_file: {self.secret_file} cannot be used: {error}") from error
        if not found:
            raise SettingsError(f"secret is not set; {SECRET_HELP}")
        return found


def _split(text: str) -> tuple[str, ...]:
    """Splits a text into secrets. Raises ValueError, which quotes nothing of it."""
    secrets = tuple(text.split())
    for each in secrets:
        try:
            key = base64.b64decode(each.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not each.startswith(SECRET_PREFIX) or not (
            SHORTEST_SECRET_BYTES <= len(key) <= LONGEST_SECRET_BYTES
        ):
            raise ValueError(SECRET_HELP) from None
    return secrets
