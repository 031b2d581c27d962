"""Lists and adds an account's identities: addresses and domains that may send, and in the sandbox may receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sesq.worker.control.calls import ControlRefused, SesControl

DKIM_ZONE = "dkim.amazonses.com"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """Holds a DNS record that a domain needs. `value` has no dot at its end."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Describes an identity. `status`: PENDING, SUCCESS, FAILED, TEMPORARY_FAILURE or NOT_STARTED; `error`: why."""

    name: str
    kind: str
    status: str
    verified: bool
    records: tuple[DnsRecord, ...] = ()
    error: str = ""


class IdentityBook:
    """Reads and adds identities. Every method raises ControlRefused or ControlUnavailable."""

    def __init__(self, control: SesControl) -> None:
        self._control = control

    def list(self) -> list[Identity]:
        """Returns all identities, without their DNS records."""
        items = self._control.pages("list_email_identities", "EmailIdentities")
        return [_identity(item["IdentityName"], item) for item in items]

    def get(self, name: str) -> Identity:
        """Returns one identity, with the DNS records of a domain."""
        return _identity(name, self._control.call("get_email_identity", EmailIdentity=name))

    def verify(self, name: str) -> Identity:
        """Starts the verification; SES sends a mail with a link to an address. Only reads an identity that exists."""
        try:
            self._control.call("create_email_identity", EmailIdentity=name)
        except ControlRefused as error:
            if error.code != "AlreadyExistsException":
                raise
        return self.get(name)


def _identity(name: str, told: dict[str, Any]) -> Identity:
    kind = "address" if told.get("IdentityType") == "EMAIL_ADDRESS" else "domain"
    verified = bool(told.get("VerifiedForSendingStatus", told.get("SendingEnabled", False)))
    status = told.get("VerificationStatus") or ("SUCCESS" if verified else "PENDING")
    error = told.get("VerificationInfo", {}).get("ErrorType", "")
    return Identity(name, kind, status, verified, _records(name, told.get("DkimAttributes", {})), error)


def _records(domain: str, dkim: dict[str, Any]) -> tuple[DnsRecord, ...]:
    """Returns the three records of Easy DKIM, which prove the domain and sign its mail; none if it has its own key."""
    if dkim.get("SigningAttributesOrigin", "AWS_SES") == "EXTERNAL":
        return ()
    zone = dkim.get("SigningHostedZone") or DKIM_ZONE
    return tuple(
        DnsRecord(f"{token}._domainkey.{domain}", "CNAME", f"{token}.{zone}")
        for token in dkim.get("Tokens", ())
    )
