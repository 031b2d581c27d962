"""Answers of the real SES from public recordings, each with its source.

`LocalStack` are the recorded runs in its public test-suite (snapshots of 2023 to 2025, v1 API), `floci` what its
developers say that they tried on SES (2026, v2 API); the rest are public threads that quote an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PREFIX = "arn:aws:ses:us-east-1:000000000000:"
HEAD = "From: shop@example.com\r\nTo: ada@example.org\r\n"
PART = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n{}\r\n\r\nx\r\n--b--\r\n"
BODY = {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}
SIMPLE = {
    "FromEmailAddress": "shop@example.com",
    "Destination": {"ToAddresses": ["ada@example.org"]},
    "Content": {"Simple": BODY},
}
SIMPLE_V1 = {
    "Source": "shop@example.com",
    "Destination": {"ToAddresses": ["ada@example.org"]},
    "Message": BODY,
}

IN_BLOCKS = {"Subject": "Hello world!", "Text": "{{#if var}}{{var}}{{/if}}"}


@dataclass(frozen=True)
class Refusal:
    """An error. `operation` as boto3 spells it: `ses.send_email` is v1's, `sesv2.send_email` v2's."""

    where: str
    operation: str
    given: dict[str, Any]
    code: str
    text: str | None

    def __str__(self) -> str:
        return f"{self.operation}: {self.text}"


@dataclass(frozen=True)
class EventFact:
    """A field of the event of a mail that `operation` sent: its path, and its value; None if it is not there."""

    where: str
    operation: str
    event: str
    field: str
    value: Any


def _tagged(name: str, value: str) -> dict[str, Any]:
    return SIMPLE_V1 | {"Tags": [{"Name": name, "Value": value}]}


def _raw(data: str) -> dict[str, Any]:
    return {"RawMessage": {"Data": data.encode()}}


def _attached(name: str) -> dict[str, Any]:
    content = {"Simple": BODY | {"Attachments": [{"RawContent": b"x", "FileName": name}]}}
    return SIMPLE | {"Content": content}


_TAG_NAME = "Invalid tag name <{}>: only alphanumeric ASCII characters, '_',  '-' are allowed."
_TAG_VALUE = "Invalid tag value <{}>: only alphanumeric ASCII characters, '_',  '-' , '.', '@' are allowed."
TAGS = {
    ("", ""): "The tag name must be specified.",
    ("", "test"): "The tag name must be specified.",
    ("test", ""): "The tag value must be specified.",
    ("name:123", "test"): _TAG_NAME.format("name:123"),
    ("name@123", "value:123"): _TAG_NAME.format("name@123"),
    ("test", "value:123"): _TAG_VALUE.format("value:123"),
    ("n" * 256, "test"): "Tag name cannot exceed 255 characters.",
    ("test", "v" * 256): "Tag value cannot exceed 255 characters.",
}
TAKEN_TAGS = (
    ("n" * 255, "v" * 255),
    ("a_-9", "a.b@c"),
    ("ses:feedback-id-a", "x"),
    ("ses:feedback-id-b", "x"),
)

RAW_MAIL = {
    HEAD + ":\r\nX-A: b\r\n\r\nHi": (
        "aws/aws-sdk-js#4121, galtzo-floss/sanitize_email#14",
        "Empty header names are illegal.",
    ),
    HEAD + ": b\r\n\r\nHi": ("aws/aws-sdk-php#1459", "Empty header names are illegal."),
    HEAD + "<!DOCTYPE html http://x.org\r\n\r\nHi": (
        "jmhobbs/Swiftmailer-Transport--AWS-SES#13",
        "Illegal header '<!DOCTYPE html http'.",
    ),
    'From: shop@example.com\r\nTo: "Ada <ada@example.org>\r\n\r\nHi': (
        "mageplaza/magento-2-smtp#265",
        "Missing '\"'",
    ),
    "From: shop@example.com\r\nTo: \r\nCc: ada@example.org\r\n\r\nHi": (
        "public threads",
        "Empty required header 'To'.",
    ),
    HEAD + PART.format("Content-Disposition: attachment; filename=my report.txt"): (
        "public threads",
        "Expected ';', got \"report.txt\"",
    ),
    HEAD + "Content-Type: text/plain; charset=utf 8\r\n\r\nHi": ("public threads", "Expected ';', got \"8\""),
    "To: ada@example.org\r\n\r\nHi": ("loopingz/aws-smtp-relay#6", "Missing required header 'From'."),
    HEAD + "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nHi": (
        "xreef/EMailSender#49",
        "Duplicate header 'Content-Type'.",
    ),
}

_TAG_SIGNS = (
    "Tags can only contain letters, numbers, spaces, and the following special characters: _ . : / = + - @"
)
_TOO_LONG = "Value at 'tags.1.member.{}' failed to satisfy constraint: Member must have length less than or equal to {}"
# In the order in which SES checks: it reports the first fault.
RESOURCE_TAGS: list[tuple[list[tuple[str, str | None]], str | None]] = [
    (
        [("a", "1"), ("a", "2"), *((f"k{number}", "v") for number in range(49))],
        "Maximum of 50 user tags are allowed per resource, consider reducing the number of tags in the request",
    ),
    ([("k" * 129, "bad!")], _TAG_SIGNS),
    ([("aws:a", "bad!")], _TAG_SIGNS),
    ([("a!", "v")], _TAG_SIGNS),
    ([("a", None)], _TAG_SIGNS),
    ([("AWS:a", "v")], "Caller is an end user and not allowed to mutate system tags"),
    ([("a", "1"), ("a", "2")], "Cannot provide multiple tags with the same key"),
    ([("", "v")], None),
    ([("k" * 129, "v")], f"1 validation error detected: {_TOO_LONG.format('key', 128)}"),
    (
        [("k" * 129, "v" * 257)],
        f"2 validation errors detected: {_TOO_LONG.format('value', 256)}; {_TOO_LONG.format('key', 128)}",
    ),
]
TAKEN_RESOURCE_TAGS: list[list[tuple[str, str]]] = [
    [(f"k{number}", "") for number in range(50)],
    [("\U0001d400" * 128, "_ . : / = + - @ a1"), ("a\u00a0b", "aws:x"), ("aws", "v"), ("A", "v"), ("a", "v")],
]


def resource_tags(pairs: Iterable[tuple[str, str | None]]) -> list[dict[str, str | None]]:
    return [{"Key": key, "Value": value} for key, value in pairs]


REFUSALS = [
    *(
        Refusal(
            "floci, 2026-08-23",
            "sesv2.create_configuration_set",
            {"ConfigurationSetName": "tagged", "Tags": resource_tags(pairs)},
            "BadRequestException",
            text,
        )
        for pairs, text in RESOURCE_TAGS
    ),
    *(
        Refusal("LocalStack, 2024-07-30", "ses.send_email", _tagged(*tag), "InvalidParameterValue", text)
        for tag, text in TAGS.items()
    ),
    *(
        Refusal(where, "ses.send_raw_email", _raw(data), "InvalidParameterValue", text)
        for data, (where, text) in RAW_MAIL.items()
    ),
    Refusal(
        "floci, 2026",
        "sesv2.create_email_identity",
        {"EmailIdentity": "x.org", "ConfigurationSetName": "none"},
        "NotFoundException",
        "Configuration set <none> does not exist.",
    ),
    Refusal(
        "floci, 2026-08-30",
        "sesv2.send_email",
        SIMPLE | {"TenantName": "ghost"},
        "NotFoundException",
        "Tenant ghost for AwsAccountId 000000000000 not found.",
    ),
    Refusal(
        "floci, 2026-08-30; PostHog/posthog#75863",
        "sesv2.send_email",
        SIMPLE | {"TenantName": "shop", "ConfigurationSetName": "news"},
        "AccessDeniedException",
        f"Tenant not associated with resources [{PREFIX}identity/example.com, {PREFIX}configuration-set/news].",
    ),
    Refusal(
        "aws/aws-sdk-js-v3#6657, 2024-11-13",
        "sesv2.send_bulk_email",
        {
            "FromEmailAddress": "shop@example.com",
            "DefaultContent": {"Template": {"TemplateContent": IN_BLOCKS, "TemplateData": "{}"}},
            "BulkEmailEntries": [{"Destination": {"ToAddresses": ["ada@example.org"]}}],
        },
        "BadRequestException",
        "Template contains unsupported operations.",
    ),
    Refusal(
        "floci, 2026-08-22",
        "sesv2.get_tenant",
        {"TenantName": "ghost"},
        "NotFoundException",
        "The requested tenant <ghost> does not exist.",
    ),
    Refusal(
        "floci, 2026-08-22",
        "sesv2.create_tenant",
        {"TenantName": "a b"},
        "BadRequestException",
        "Invalid tenant name <a b>: only alphanumeric ASCII characters, '_', and '-' are allowed.",
    ),
    *(
        Refusal("floci, 2026-08-30", operation, given, "BadRequestException", "TenantName cannot be empty")
        for operation in ("sesv2.get_tenant", "sesv2.delete_tenant", "sesv2.list_tenant_resources")
        for given in ({}, {"TenantName": ""})
    ),
    Refusal(
        "floci, 2026-08-30",
        "sesv2.create_tenant",
        {"TenantName": ""},
        "BadRequestException",
        "1 validation error detected: Value at 'tenantName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ),
    Refusal(
        "floci, 2026-08-28",
        "sesv2.create_tenant_resource_association",
        {"TenantName": "shop", "ResourceArn": f"{PREFIX}tenant/a"},
        "BadRequestException",
        "Unsupported resource type: tenant",
    ),
    Refusal(
        "floci, 2026-08-30",
        "sesv2.put_tenant_suppression_attributes",
        {"TenantName": "shop", "SuppressedReasons": ["SPAM"], "SuppressionScope": "TENANT"},
        "BadRequestException",
        "1 validation error detected: Value at 'suppressedReasons.1.member' failed to satisfy constraint: "
        "Member must satisfy enum value set: [BOUNCE, COMPLAINT]",
    ),
]

# govuk-forms/forms-runner#1594: BadRequestException for each of these signs; and AWS's list of extensions.
REFUSED_FILES = [f"a{sign}b.txt" for sign in '/\\:*?"<>|'] + ["a.exe", "a.JS", "a.tar.vbs", "a.msi ", ".bat"]
TAKEN_FILES = ["a.txt", "a.exe.txt", "Übersicht (1).pdf", "a b.pdf"]
ATTACHED = {name: _attached(name) for name in REFUSED_FILES + TAKEN_FILES}

_SENT, _TEMPLATED, _EMPTY = (
    f"LocalStack, {day}" for day in ("2023-08-25, send_email", "2023-08-26, templated", "2023-08-26, raw")
)
_UNRENDERED = [
    {"name": "From", "value": "shop@example.com"},
    {"name": "To", "value": "ada@example.org"},
    {"name": "MIME-Version", "value": "1.0"},
]
EVENTS = [
    EventFact(_SENT, "ses.send_email", "Send", "mail.commonHeaders.from", ["shop@example.com"]),
    EventFact(_SENT, "ses.send_email", "Send", "mail.commonHeaders.to", ["ada@example.org"]),
    EventFact(_SENT, "ses.send_email", "Send", "mail.commonHeaders.subject", "Hi"),
    EventFact(_SENT, "ses.send_email", "Send", "mail.commonHeaders.date", None),
    EventFact(_SENT, "ses.send_email", "Send", "mail.destination", ["ada@example.org"]),
    EventFact(_SENT, "ses.send_email", "Send", "mail.headersTruncated", False),
    EventFact(_SENT, "ses.send_email", "Send", "mail.tags.ses:operation", ["SendEmail"]),
    EventFact(_SENT, "ses.send_email", "Send", "mail.tags.ses:configuration-set", ["news"]),
    EventFact(_SENT, "ses.send_email", "Send", "mail.tags.ses:from-domain", ["example.com"]),
    EventFact(_SENT, "ses.send_email", "Send", "mail.tags.ses:outgoing-ip", None),
    EventFact(_SENT, "ses.send_email", "Delivery", "delivery.recipients", ["ada@example.org"]),
    EventFact(_TEMPLATED, "sesv2.send_email", "Send", "mail.commonHeaders.subject", None),
    EventFact(_TEMPLATED, "sesv2.send_email", "Send", "mail.headers", _UNRENDERED),
    EventFact(_TEMPLATED, "sesv2.send_email", "Send", "mail.commonHeaders.date", None),
    EventFact(_TEMPLATED, "sesv2.send_email", "Delivery", "mail.commonHeaders.subject", "s"),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.headers", []),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.source", "shop@example.com"),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.commonHeaders.from", None),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.commonHeaders.to", None),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.destination", ["ada@example.org"]),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.tags.ses:operation", ["SendRawEmail"]),
    EventFact(_EMPTY, "ses.send_raw_email", "Send", "mail.tags.ses:from-domain", None),
]
EVENT_MAILS: dict[str, dict[str, Any]] = {
    "ses.send_email": SIMPLE_V1,
    "sesv2.send_email": SIMPLE | {"Content": {"Template": {"TemplateName": "hello", "TemplateData": "{}"}}},
    "ses.send_raw_email": {
        "Source": "shop@example.com",
        "Destinations": ["ada@example.org"],
        "RawMessage": {"Data": b""},
    },
}
GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
