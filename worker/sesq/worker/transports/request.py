"""Makes the parameters of SESv2's SendEmail for one message.

For a raw message, Destination counts instead of its To, Cc and Bcc headers, so a blind copy needs no header. Its From
header is the sender: FromEmailAddress is left out, because SES would replace that header by it. Reply-To is in the mail
itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sesq.queue.envelope import Envelope, SimpleContent
from sesq.worker.transports.base import OfAccount, Outgoing

if TYPE_CHECKING:
    from mypy_boto3_sesv2.literals import FeatureStatusType
    from mypy_boto3_sesv2.type_defs import (
        ConfigurationOverridesTypeDef,
        ContentTypeDef,
        DestinationTypeDef,
        EmailContentTypeDef,
        ListManagementOptionsTypeDef,
        MessageTypeDef,
        SendEmailRequestTypeDef,
    )

ID_TAG = "sesq-id"
"""The SES message tag with the message's id. SES's events have it, too."""


NOTHING_MORE = OfAccount()


def request_for(outgoing: Outgoing, of_account: OfAccount = NOTHING_MORE) -> SendEmailRequestTypeDef:
    """Returns the parameters of SendEmail."""
    envelope, content = outgoing.envelope, outgoing.content
    request: SendEmailRequestTypeDef = {
        "Destination": _destination(envelope),
        "Content": _content(content),
        "EmailTags": [{"Name": n, "Value": v} for n, v in ((ID_TAG, outgoing.id), *envelope.tags.items())],
    }
    if envelope.configuration_set:
        request["ConfigurationSetName"] = envelope.configuration_set
    if envelope.tenant:
        request["TenantName"] = envelope.tenant
    if envelope.feedback_to:
        request["FeedbackForwardingEmailAddress"] = envelope.feedback_to
    if envelope.contact_list:
        request["ListManagementOptions"] = _list(envelope.contact_list, envelope.topic)
    if envelope.track:
        request["ConfigurationOverrides"] = _tracking("ENABLED" if envelope.track == "on" else "DISABLED")
    if isinstance(content, SimpleContent):
        request["FromEmailAddress"] = envelope.sender
        if envelope.reply_to:
            request["ReplyToAddresses"] = envelope.reply_to
    if of_account is not NOTHING_MORE:
        _add(request, envelope, of_account)
    return request


def _add(request: SendEmailRequestTypeDef, envelope: Envelope, of_account: OfAccount) -> None:
    arn = of_account.borrowed.arn_of(envelope.sender_spec)
    if arn:
        request["FromEmailAddressIdentityArn"] = arn
    arn = of_account.borrowed.arn_of(envelope.feedback_to) if envelope.feedback_to else None
    if arn:
        request["FeedbackForwardingEmailAddressIdentityArn"] = arn
    if of_account.endpoint_id:
        request["EndpointId"] = of_account.endpoint_id


def _list(name: str, topic: str | None) -> ListManagementOptionsTypeDef:
    return {"ContactListName": name, "TopicName": topic} if topic else {"ContactListName": name}


def _tracking(status: FeatureStatusType) -> ConfigurationOverridesTypeDef:
    return {"Tracking": {"OpenTrackingEnabled": status, "ClickTrackingEnabled": status}}


def _destination(envelope: Envelope) -> DestinationTypeDef:
    destination: DestinationTypeDef = {}
    if envelope.to:
        destination["ToAddresses"] = envelope.to
    if envelope.cc:
        destination["CcAddresses"] = envelope.cc
    if envelope.bcc:
        destination["BccAddresses"] = envelope.bcc
    return destination


def _content(content: SimpleContent | bytes) -> EmailContentTypeDef:
    if isinstance(content, bytes):
        return {"Raw": {"Data": content}}
    message: MessageTypeDef = {"Subject": _utf8(content.subject), "Body": {}}
    if content.text is not None:
        message["Body"]["Text"] = _utf8(content.text)
    if content.html is not None:
        message["Body"]["Html"] = _utf8(content.html)
    if content.headers:
        message["Headers"] = [{"Name": name, "Value": value} for name, value in content.headers]
    return {"Simple": message}


def _utf8(text: str) -> ContentTypeDef:
    return {"Data": text, "Charset": "UTF-8"}
