"""The actions of SES v1."""

from __future__ import annotations

from sesq.simulator.table.common import AUTHORIZATION, TEXT, TEXTS, named
from sesq.simulator.table.member import Object, honoured, needed
from sesq.simulator.table.sending import BODY, CONTENT, DESTINATION, TAGS
from sesq.simulator.table.shapes import Flag, Number, Text

_BOTH = {
    "SourceArn": AUTHORIZATION,
    "ReturnPathArn": AUTHORIZATION,
    "Tags": honoured(TAGS),
    "ConfigurationSetName": honoured(TEXT),
}

V1 = {
    "SendEmail": Object(
        {
            **_BOTH,
            "Source": needed(TEXT),
            "Destination": needed(DESTINATION),
            "Message": needed(Object({"Subject": needed(CONTENT), "Body": needed(BODY)})),
            "ReplyToAddresses": honoured(TEXTS),
            "ReturnPath": honoured(TEXT),
        }
    ),
    "SendRawEmail": Object(
        {
            **_BOTH,
            "Source": honoured(TEXT),
            "Destinations": honoured(TEXTS),
            "RawMessage": needed(Object({"Data": needed(TEXT)})),  # base64
            "FromArn": AUTHORIZATION,
        }
    ),
    "GetSendQuota": Object({}),
    "GetSendStatistics": Object({}),
    "GetAccountSendingEnabled": Object({}),
    "UpdateAccountSendingEnabled": Object({"Enabled": honoured(Flag())}),
    "ListIdentities": Object(
        {
            "IdentityType": honoured(Text(choices=("EmailAddress", "Domain"))),
            "NextToken": honoured(TEXT),
            "MaxItems": honoured(Number()),
        }
    ),
    "GetIdentityVerificationAttributes": Object({"Identities": needed(TEXTS)}),
    "VerifyEmailIdentity": named("EmailAddress"),
    "VerifyDomainIdentity": named("Domain"),
    "DeleteIdentity": named("Identity"),
}
