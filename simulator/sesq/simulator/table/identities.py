"""Identities in SESv2."""

from __future__ import annotations

from sesq.simulator.table.common import PAGE, RESOURCE_TAGS, SOME_TEXT, TEXT, named
from sesq.simulator.table.member import Object, checked, honoured, needed, refused
from sesq.simulator.table.shapes import Text, Words

FILTERS = {
    "IDENTITY_NAME_CONTAINS": (),
    "IDENTITY_TYPE": ("EMAIL_ADDRESS", "DOMAIN", "MANAGED_DOMAIN"),
    "VERIFICATION_STATUS": ("PENDING", "SUCCESS", "FAILED", "TEMPORARY_FAILURE", "NOT_STARTED"),
}
_SELECTOR = r"^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]))$"

DKIM = Object(
    {
        "DomainSigningSelector": checked(Text(1, 63, _SELECTOR)),
        "DomainSigningPrivateKey": checked(Text(1, 20_480, r"^[a-zA-Z0-9+\/]+={0,2}$")),
        "NextSigningKeyLength": checked(Text(choices=("RSA_1024_BIT", "RSA_2048_BIT"))),
        "DomainSigningAttributesOrigin": refused("signing keys of another region"),
    }
)

IDENTITIES = {
    "CreateEmailIdentity": Object(
        {
            "EmailIdentity": needed(SOME_TEXT),
            "Tags": checked(RESOURCE_TAGS),
            "DkimSigningAttributes": checked(DKIM),
            "ConfigurationSetName": honoured(TEXT),
        }
    ),
    "GetEmailIdentity": named("EmailIdentity", SOME_TEXT),
    "DeleteEmailIdentity": named("EmailIdentity", SOME_TEXT),
    "ListEmailIdentities": Object({"Filter": honoured(Words(FILTERS)), **PAGE}),
}
