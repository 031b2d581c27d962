"""SendEmail and SendBulkEmail of SESv2."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sesq.simulator.account import Account
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.members import items, mapping, name_in, text
from sesq.simulator.reading import read_send_email
from sesq.simulator.record import Entry
from sesq.simulator.tags import given_tags
from sesq.simulator.templates import inline, read_data
from sesq.simulator.v2.router import Operation, Request

MAX_ENTRIES = 50
_STATUS = {
    "throttle": "ACCOUNT_THROTTLED",
    "daily": "ACCOUNT_DAILY_QUOTA_EXCEEDED",
    "unverified": "MESSAGE_REJECTED",
    "rejected": "MESSAGE_REJECTED",
    "paused": "ACCOUNT_SENDING_PAUSED",
    "suspended": "ACCOUNT_SUSPENDED",
    "configuration_set_paused": "CONFIGURATION_SET_SENDING_PAUSED",
    "configuration_set": "CONFIGURATION_SET_NOT_FOUND",
    "mail_from": "MAIL_FROM_DOMAIN_NOT_VERIFIED",
    "template": "TEMPLATE_NOT_FOUND",
    "bad_request": "INVALID_PARAMETER",
    "not_imitated": "INVALID_PARAMETER",
    "too_long": "INVALID_PARAMETER",
    "unreadable": "INVALID_PARAMETER",
}


def send_email(request: Request) -> dict[str, Any]:
    account = request.account
    return {
        "MessageId": account.send(lambda: read_send_email(request.body, request.source, account.templates))
    }


def send_bulk_email(request: Request) -> dict[str, Any]:
    """Judges each entry as a message of its own. Returns a status for each, in order."""
    account, body = request.account, request.body
    if not text(body, "FromEmailAddress"):
        raise SesError("bad_request", "Missing required header 'From'.")
    entries = items(body, "BulkEmailEntries")
    if not 1 <= len(entries) <= MAX_ENTRIES:
        raise SesError("bad_request", f"A bulk call has 1 to {MAX_ENTRIES} entries.")
    if not mapping(mapping(body, "DefaultContent"), "Template"):
        raise SesError("bad_request", "DefaultContent.Template is missing.")
    account.check_call(_of_call(request))
    results = [_send_entry(account, body, entry) for entry in entries]
    account.lose_reply(*(result for result in results if isinstance(result, Entry)))
    return {"BulkEmailEntryResults": [_outcome(result) for result in results]}


def _of_call(request: Request) -> Mail:
    """Reads what all entries of a bulk call share. Raises SesError for a wrong template."""
    body = request.body
    template = mapping(mapping(body, "DefaultContent"), "Template")
    name = request.account.templates.name_in(template)
    if name is None:
        inline(mapping(template, "TemplateContent"))
    return Mail(
        text(body, "FromEmailAddress"),
        configuration_set=name_in(body, "ConfigurationSetName"),
        tenant=text(body, "TenantName") or None,
        template=name,
        operation="SendBulkEmail",
    )


def _send_entry(account: Account, body: Mapping[str, Any], entry: Any) -> Entry | SesError:
    def read() -> Mail:
        single = _as_single(body, entry)
        mail = read_send_email(single, json.dumps(single).encode(), account.templates)
        mail.operation = "SendBulkEmail"
        return mail

    try:
        return account.judge(read)
    except SesError as error:
        return error


def _as_single(body: Mapping[str, Any], entry: Any) -> dict[str, Any]:
    """Makes the SendEmail request that an entry of a bulk call stands for."""
    template = mapping(mapping(body, "DefaultContent"), "Template")
    replacement = mapping(mapping(entry, "ReplacementEmailContent"), "ReplacementTemplate")
    data = read_data(text(template, "TemplateData")) | read_data(text(replacement, "ReplacementTemplateData"))
    tags = given_tags(items(body, "DefaultEmailTags")) | given_tags(items(entry, "ReplacementTags"))
    headers = _replaced(items(template, "Headers"), items(entry, "ReplacementHeaders"))
    return {
        **{name: value for name, value in body.items() if name not in ("DefaultContent", "BulkEmailEntries")},
        "Destination": mapping(entry, "Destination"),
        "EmailTags": [{"Name": name, "Value": value} for name, value in tags.items()],
        "Content": {"Template": {**template, "TemplateData": json.dumps(data), "Headers": headers}},
    }


def _replaced(headers: list[Any], replacements: list[Any]) -> list[Any]:
    """Replaces headers of the call by headers of the entry with the same name."""
    names = {text(header, "Name").lower() for header in replacements}
    return [header for header in headers if text(header, "Name").lower() not in names] + replacements


def _outcome(result: Entry | SesError) -> dict[str, Any]:
    if isinstance(result, Entry):
        return {"Status": "SUCCESS", "MessageId": result.id}
    return {"Status": _STATUS.get(result.kind, "FAILED"), "Error": result.message}


OPERATIONS = (
    Operation("POST", "/v2/email/outbound-emails", "SendEmail", send_email, throttled=False),
    # AWS's guide says "all actions except SendEmail, SendRawEmail, SendTemplatedEmail", so this one is throttled.
    Operation("POST", "/v2/email/outbound-bulk-emails", "SendBulkEmail", send_bulk_email),
)
