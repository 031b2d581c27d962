"""Reads the headers by which a finished mail gives SES options (X-SES-…): some become options of the message, and those
that use the identities of other accounts are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.raw import RawMail
from sesq.producer.rules import feedback_address
from sesq.queue.addresses import shown

SET, TAGS = OPTIONS = ("x-ses-configuration-set", "x-ses-message-tags")
OF_OTHER_ACCOUNTS = ("x-ses-source-arn", "x-ses-from-arn", "x-ses-return-path-arn")
"""SES's sending authorization. With these headers a mail is sent as an identity that another account lends to this one,
whatever senders its user may use. And sesq knows only the account's own identities.
"""

TENANT = "x-ses-tenant"
"""With this header, mail is sent on the reputation of that tenant. So a mail may have it only by a HeaderRule."""
CONTACT_LIST = "x-ses-list-management-options"
"""With this header, an unrelated mail can make people leave a list. So this too needs a HeaderRule."""
BY_RULE = {TENANT: "tenant=", CONTACT_LIST: "contact_list="}

ANY = "*"
NOT_ITS_OWN = "may not be chosen by the mail itself"


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """What a mail's own headers may choose. `tenants` and `contact_lists`: names that they may use, or `*`.
    `may_send_as`: the addresses to which bounces may be sent. `cure`: what the error advises.
    """

    tenants: tuple[str, ...] = ()
    contact_lists: tuple[str, ...] = ()
    may_send_as: Callable[[str], bool] = lambda _: True
    cure: str = "remove the header"

    def check(self, chosen: Mapping[str, Any]) -> None:
        """Raises InvalidMessage for options that the mail may not choose itself."""
        for field, allowed in (("tenant", self.tenants), ("contact_list", self.contact_lists)):
            name = chosen.get(field)
            if name is not None and name not in allowed and ANY not in allowed:
                raise InvalidMessage(field, f"{shown(name)} {NOT_ITS_OWN}: {self.cure}")
        address = chosen.get("feedback_to")
        if address is not None and not self.may_send_as(feedback_address(address)):
            raise InvalidMessage("feedback_to", f"this user may not send as {feedback_address(address)}")


def take_ses_options(mail: RawMail) -> tuple[RawMail, dict[str, Any]]:
    """Takes these headers out of the mail, and returns the options that they stand for. Raises InvalidMessage."""
    options: dict[str, Any] = {}
    sets, tags = mail.values(SET), mail.values(TAGS)
    if sets:
        options["configuration_set"] = _single(SET, sets)
    if tags:
        options["tags"] = read_tags(", ".join(tags), TAGS)
    return mail.without(*OPTIONS), options


def take_ruled_options(mail: RawMail) -> tuple[RawMail, dict[str, Any]]:
    """Does the same for the headers that a mail may use only by a HeaderRule."""
    options: dict[str, Any] = {}
    tenants, lists = mail.values(TENANT), mail.values(CONTACT_LIST)
    if tenants:
        options["tenant"] = _single(TENANT, tenants)
    if lists:
        options |= _read_list(_single(CONTACT_LIST, lists))
    return (mail.without(*BY_RULE), options) if options else (mail, options)


def check_ses_headers(mail: RawMail) -> None:
    """Raises InvalidMessage for a mail that still has such headers, or uses the identity of another account."""
    other = next((name for name in OF_OTHER_ACCOUNTS if mail.values(name)), None)
    if other:
        raise InvalidMessage(
            other, "sends as an identity of another account, which sesq does not do: remove it"
        )
    for name, argument in BY_RULE.items():
        if mail.values(name):
            raise InvalidMessage(name, f"{NOT_ITS_OWN}: remove it, and give {argument}")
    if mail.values(SET) or mail.values(TAGS):
        raise InvalidMessage("raw", "has X-SES- headers that are options here: use Message.from_bytes")


def read_tags(value: str, name: str) -> dict[str, str]:
    """Reads the tags of one header, `name=value, name=value`. Raises InvalidMessage(name)."""
    tags: dict[str, str] = {}
    for pair in filter(str.strip, value.split(",")):
        key, equals, text = map(str.strip, pair.partition("="))
        if not equals or key in tags:
            raise InvalidMessage(name, f"{shown(value)}: write name=value, name=value, each name once")
        tags[key] = text
    return tags


def _read_list(value: str) -> dict[str, str]:
    """Reads SES's own form `news; topic=weekly`, and that of Laravel and Symfony.

    They write `contactListName=news;topicName=weekly`.
    """
    read = _list_options(value)
    if not read:
        raise InvalidMessage(CONTACT_LIST, f"{shown(value)}: write LIST, or LIST; topic=TOPIC")
    return {"contact_list": read["list"]} | ({"topic": read["topic"]} if read["topic"] else {})


_list_options = re.compile(
    r"(?:contactListName\s*=\s*)?(?P<list>[\w-]+)(?:\s*;\s*topic(?:Name)?\s*=\s*(?P<topic>[\w-]+))?",
    re.IGNORECASE | re.ASCII,
).fullmatch


def _single(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise InvalidMessage(name, "is given twice: keep one")
    return values[0]
