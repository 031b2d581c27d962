"""The account, its suppression list, and its templates in SESv2."""

from __future__ import annotations

from sesq.simulator.table.common import (
    ADDRESS_VALIDATION,
    PAGE,
    REASONS,
    RESOURCE_TAGS,
    SOME_TEXT,
    TENANT,
    TEXT,
    named,
)
from sesq.simulator.table.member import Object, checked, honoured, needed
from sesq.simulator.table.sending import TEMPLATE_CONTENT
from sesq.simulator.table.shapes import Flag, Many, Text, Time

_URL = r"^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?"

ACCOUNT = {
    "GetAccount": Object({}),
    "PutAccountSendingAttributes": Object({"SendingEnabled": honoured(Flag())}),
    "PutAccountDetails": Object(
        {
            "MailType": needed(Text(choices=("MARKETING", "TRANSACTIONAL"))),
            "WebsiteURL": needed(Text(1, 1000, _URL)),
            "ContactLanguage": honoured(Text(choices=("EN", "JA"))),
            "UseCaseDescription": honoured(Text(longest=5000)),
            "AdditionalContactEmailAddresses": honoured(Many(Text(6, 254, "^(.+)@(.+)$"), 1, 4)),
            "ProductionAccessEnabled": honoured(Flag()),
        }
    ),
    "PutAccountSuppressionAttributes": Object(
        {"SuppressedReasons": honoured(REASONS), "ValidationAttributes": ADDRESS_VALIDATION}
    ),
}

SUPPRESSION = {
    "PutSuppressedDestination": Object(
        {
            "EmailAddress": needed(TEXT),
            "Reason": needed(Text(choices=("BOUNCE", "COMPLAINT"))),
            "TenantName": TENANT,
        }
    ),
    "ListSuppressedDestinations": Object(
        {
            "Reasons": honoured(REASONS),
            "StartDate": honoured(Time()),
            "EndDate": honoured(Time()),
            "TenantName": TENANT,
            **PAGE,
        }
    ),
    "GetSuppressedDestination": Object({"EmailAddress": needed(TEXT), "TenantName": TENANT}),
    "DeleteSuppressedDestination": Object({"EmailAddress": needed(TEXT), "TenantName": TENANT}),
}

TEMPLATES = {
    "CreateEmailTemplate": Object(
        {
            "TemplateName": needed(SOME_TEXT),
            "TemplateContent": needed(TEMPLATE_CONTENT),
            "Tags": checked(RESOURCE_TAGS),
        }
    ),
    "GetEmailTemplate": named("TemplateName", SOME_TEXT),
    "UpdateEmailTemplate": Object(
        {"TemplateName": needed(SOME_TEXT), "TemplateContent": needed(TEMPLATE_CONTENT)}
    ),
    "DeleteEmailTemplate": named("TemplateName", SOME_TEXT),
    "ListEmailTemplates": Object(PAGE),
    "TestRenderEmailTemplate": Object(
        {"TemplateName": needed(SOME_TEXT), "TemplateData": needed(Text(longest=262_144))}
    ),
}
