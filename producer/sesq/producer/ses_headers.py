"""What a finished mail tells SES in headers (X-SES-…): options here become options, and what lends it the name of
others is refused.
"""

from __future__ import annotations

from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.raw import RawMail
from sesq.queue.addresses import shown

SET, TAGS = OPTIONS = ("x-ses-configuration-set", "x-ses-message-tags")
OF_OTHER_ACCOUNTS = ("x-ses-source-arn", "x-ses-from-arn", "x-ses-return-path-arn")
"""SES's sending authorization. Whoever may write these may send as every identity that other accounts lend to this one,
whatever senders they are allowed; and sesq knows of no identities but the account's own.
"""

NOT_YET = ("x-ses-tenant", "x-ses-list-management-options")
"""What SES would obey, and nothing here knows of: another sender's reputation, and a list that people leave."""


def take_ses_options(mail: RawMail) -> tuple[RawMail, dict[str, Any]]:
    """The mail without these headers, and the options of a message that they stand for. Raises InvalidMessage."""
    options: dict[str, Any] = {}
    sets, tags = mail.values(SET), mail.values(TAGS)
    if len(sets) > 1:
        raise InvalidMessage(SET, "is given twice: keep one")
    if sets:
        options["configuration_set"] = sets[0]
    if tags:
        options["tags"] = read_tags(", ".join(tags), TAGS)
    return mail.without(*OPTIONS), options


def check_ses_headers(mail: RawMail) -> None:
    """InvalidMessage for a mail that still has options, or borrows an identity."""
    other = next((name for name in OF_OTHER_ACCOUNTS if mail.values(name)), None)
    if other:
        raise InvalidMessage(other, "sends by leave of another account, which is not done here: remove it")
    unknown = next((name for name in NOT_YET if mail.values(name)), None)
    if unknown:
        raise InvalidMessage(unknown, "is an option of SES's that sesq does not know: remove it")
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
