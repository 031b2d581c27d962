"""SendEmail and SendBulkEmail of SESv2."""

from __future__ import annotations

from sesq.simulator.table.common import AUTHORIZATION, SOME_TEXT, TENANT, TEXT, TEXTS
from sesq.simulator.table.member import Object, checked, honoured, needed, refused
from sesq.simulator.table.shapes import Many, Text

DESTINATION = Object(
    {"ToAddresses": honoured(TEXTS), "CcAddresses": honoured(TEXTS), "BccAddresses": honoured(TEXTS)}
)
# `Charset` says how SES encodes a text in the mail. Here texts are always Unicode.
CONTENT = Object({"Data": needed(TEXT), "Charset": checked(TEXT)})
BODY = Object({"Text": honoured(CONTENT), "Html": honoured(CONTENT)})
TAGS = Many(Object({"Name": needed(TEXT), "Value": needed(TEXT)}))

HEADERS = Many(
    Object({"Name": needed(Text(1, 126, "^[!-9;-@A-~]+$")), "Value": needed(Text(1, 995, "[ -~]*"))}),
    longest=15,
)
ATTACHMENTS = Many(
    Object(
        {
            "RawContent": needed(TEXT),  # base64
            "FileName": needed(Text(longest=255)),
            "ContentDisposition": checked(Text(choices=("ATTACHMENT", "INLINE"))),
            "ContentDescription": checked(Text(longest=1000)),
            "ContentId": checked(Text(1, 78)),
            "ContentTransferEncoding": checked(Text(choices=("BASE64", "QUOTED_PRINTABLE", "SEVEN_BIT"))),
            "ContentType": honoured(Text(1, 78)),
        }
    )
)
PARTS = {"Headers": honoured(HEADERS), "Attachments": honoured(ATTACHMENTS)}
TEMPLATE_CONTENT = Object({"Subject": honoured(TEXT), "Text": honoured(TEXT), "Html": honoured(TEXT)})
TEMPLATE = Object(
    {
        "TemplateName": honoured(SOME_TEXT),
        "TemplateArn": honoured(SOME_TEXT),
        "TemplateContent": honoured(TEMPLATE_CONTENT),
        "TemplateData": honoured(Text(longest=262_144)),
        **PARTS,
    }
)
EMAIL_CONTENT = Object(
    {
        "Simple": honoured(Object({"Subject": needed(CONTENT), "Body": needed(BODY), **PARTS})),
        "Raw": honoured(Object({"Data": needed(TEXT)})),  # base64
        "Template": honoured(TEMPLATE),
    }
)

BOTH = {
    "FromEmailAddress": honoured(TEXT),
    "FromEmailAddressIdentityArn": AUTHORIZATION,
    "ReplyToAddresses": honoured(TEXTS),
    "FeedbackForwardingEmailAddress": honoured(TEXT),
    "FeedbackForwardingEmailAddressIdentityArn": AUTHORIZATION,
    "ConfigurationSetName": honoured(TEXT),
    "EndpointId": refused("global endpoints"),
    "TenantName": TENANT,
    "ConfigurationOverrides": refused("overrides of a configuration set"),
}

STATUS = Text(choices=("ENABLED", "DISABLED"))
TRACKING = Object({"OpenTrackingEnabled": checked(STATUS), "ClickTrackingEnabled": checked(STATUS)})

SEND_EMAIL = Object(
    {
        **BOTH,
        "FromEmailAddressIdentityArn": honoured(SOME_TEXT),
        "FeedbackForwardingEmailAddressIdentityArn": honoured(SOME_TEXT),
        "EndpointId": checked(TEXT),
        "ConfigurationOverrides": checked(Object({"Tracking": checked(TRACKING)})),
        "Destination": honoured(DESTINATION),
        "Content": needed(EMAIL_CONTENT),
        "EmailTags": honoured(TAGS),
        "ListManagementOptions": checked(
            Object({"ContactListName": checked(TEXT, True), "TopicName": checked(TEXT)})
        ),
    }
)

REPLACEMENT = Object({"ReplacementTemplateData": honoured(Text(longest=262_144))})
BULK_ENTRY = Object(
    {
        "Destination": needed(DESTINATION),
        "ReplacementTags": honoured(TAGS),
        "ReplacementEmailContent": honoured(Object({"ReplacementTemplate": honoured(REPLACEMENT)})),
        "ReplacementHeaders": honoured(HEADERS),
    }
)
SEND_BULK_EMAIL = Object(
    {
        **BOTH,
        "DefaultContent": needed(Object({"Template": honoured(TEMPLATE)})),
        "DefaultEmailTags": honoured(TAGS),
        "BulkEmailEntries": needed(Many(BULK_ENTRY)),
    }
)

SENDING = {"SendEmail": SEND_EMAIL, "SendBulkEmail": SEND_BULK_EMAIL}
