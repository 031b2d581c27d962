"""What a finished mail tells SES in headers (X-SES-…): options here become options, and what lends it the name of
others is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.raw import RawMail
from sesq.queue.addresses import shown

SET, TAGS = OPTIONS = ("x-ses-configuration-set", "x-ses-message-tags")
OF_OTHER_ACCOUNTS = ("x-ses-source-arn", "x-ses-from-arn", "x-ses-return-path-arn")
"""SES's sending authorization. Whoever may write these may send as every identity that other accounts lend to this one,
whatever senders they are allowed; and sesq knows of no identities but the account's own.
"""

TENANT = "x-ses-tenant"
"""Whoever may write it sends on another's reputation: a mail may do so by a rule alone."""
NOT_YET = ("x-ses-list-management-options",)
"""What SES would obey, and nothing here knows of: a list that people leave."""

ANY = "*"
NOT_ITS_OWN = "is not for the mail itself to choose"


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """What a mail's own headers may choose. `tenants`: whose mail it may be, or `*`. `cure` is told with a no."""

    tenants: tuple[str, ...] = ()
    cure: str = "remove the header"

    def check(self, chosen: Mapping[str, Any]) -> None:
        """Raises InvalidMessage for options that the mail may not choose itself."""
        tenant = chosen.get("tenant")
        if tenant is not None and tenant not in self.tenants and ANY not in self.tenants:
            raise InvalidMessage("tenant", f"{shown(tenant)} {NOT_ITS_OWN}: {self.cure}")


def take_ses_options(mail: RawMail) -> tuple[RawMail, dict[str, Any]]:
    """The mail without these headers, and the options of a message that they stand for. Raises InvalidMessage."""
    options: dict[str, Any] = {}
    sets, tags = mail.values(SET), mail.values(TAGS)
    if sets:
        options["configuration_set"] = _single(SET, sets)
    if tags:
        options["tags"] = read_tags(", ".join(tags), TAGS)
    return mail.without(*OPTIONS), options


def take_ruled_options(mail: RawMail) -> tuple[RawMail, dict[str, Any]]:
    """The same of the headers that a mail may use by a HeaderRule alone."""
    tenants = mail.values(TENANT)
    return (mail.without(TENANT), {"tenant": _single(TENANT, tenants)}) if tenants else (mail, {})


def check_ses_headers(mail: RawMail) -> None:
    """InvalidMessage for a mail that still has options, or borrows an identity."""
    other = next((name for name in OF_OTHER_ACCOUNTS if mail.values(name)), None)
    if other:
        raise InvalidMessage(other, "sends by leave of another account, which is not done here: remove it")
    unknown = next((name for name in NOT_YET if mail.values(name)), None)
    if unknown:
        raise InvalidMessage(unknown, "is an option of SES's that sesq does not know: remove it")
    if mail.values(TENANT):
        raise InvalidMessage(TENANT, f"{NOT_ITS_OWN}: remove it, and give tenant=")
    if mail.values(SET) or mail.values(TAGS):
        raise InvalidMessage("raw", "has X-SES- headers that are options here: use Message.from_bytes")


def read_tags(value: str, name: str) -> dict[str, str]:
    """The tags of one header, `name=value, name=value`; InvalidMessage(name)."""
    tags: dict[str, str] = {}
    for pair in filter(str.strip, value.split(",")):
        key, equals, text = map(str.strip, pair.partition("="))
        if not equals or key in tags:
            raise InvalidMessage(name, f"{shown(value)}: write name=value, name=value, each name once")
        tags[key] = text
    return tags


def _single(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise InvalidMessage(name, "is given twice: keep one")
    return values[0]
