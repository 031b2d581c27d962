"""Reads what a send asks for besides its content: identities of other accounts, contact lists, overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.identities import covering
from sesq.simulator.mail import Mail
from sesq.simulator.ses_headers import FROM_ARN, LIST, RETURN_PATH_ARN, SOURCE_ARN

ARNS = ("FromEmailAddressIdentityArn", "FeedbackForwardingEmailAddressIdentityArn")
TOLD = (
    *ARNS,
    "FeedbackForwardingEmailAddress",
    "ListManagementOptions",
    "ConfigurationOverrides",
    "EndpointId",
)
OF_HEADERS = {SOURCE_ARN: "SourceArn", FROM_ARN: ARNS[0], RETURN_PATH_ARN: ARNS[1]}
_identity_arn = re.compile(r"arn:aws[a-z-]*:ses:[a-z0-9-]+:[0-9]{12}:identity/(.+)").fullmatch
_is_name = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_list = re.compile(r"([A-Za-z0-9_-]+)(?:; *topic=([A-Za-z0-9_-]+))?").fullmatch


def options_of_call(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in TOLD if body.get(name) is not None}


def options_of_headers(asked: Mapping[str, str]) -> dict[str, Any]:
    """Raises SesError(bad_request)."""
    found: dict[str, Any] = {member: asked[name] for name, member in OF_HEADERS.items() if name in asked}
    if LIST in asked:
        read = _list(asked[LIST])
        if not read:
            raise SesError("bad_request", f"Invalid header {LIST.upper()}.")
        topic = {"TopicName": read[2]} if read[2] else {}
        found["ListManagementOptions"] = {"ContactListName": read[1], **topic}
    return found


def check_options(mail: Mail) -> None:
    """Raises SesError(bad_request)."""
    for name, value in mail.options.items():
        if name.endswith("Arn"):
            identity_of(value)
    names = mail.options.get("ListManagementOptions", {})
    if not all(_is_name(name) for name in names.values()):
        raise SesError("bad_request", "Invalid name of a contact list or of a topic.")
    if names and len(mail.recipients) != 1:
        raise SesError("bad_request", "List management is for messages to one recipient.")


def lends(mail: Mail, address: str) -> bool:
    """Whether the send names another account's identity that covers an address. Here every account allows that."""
    names = {identity_of(arn) for name, arn in mail.options.items() if name.endswith("Arn")}
    return any(name in names for name in covering(address))


def identity_of(arn: str) -> str:
    """Raises SesError(bad_request) if it is not an ARN of an identity."""
    found = _identity_arn(arn)
    if not found:
        raise SesError("bad_request", f"Invalid ARN <{arn[:200]}>.")
    return found[1] if "@" in found[1] else found[1].lower()
