"""Tenants in SESv2."""

from __future__ import annotations

from sesq.simulator.table.common import PAGE, REASONS, RESOURCE_TAGS, SOME_TEXT
from sesq.simulator.table.member import Object, checked, honoured, needed
from sesq.simulator.table.shapes import Text, Words

FILTERS = {"TENANT_NAME_CONTAINS": (), "SENDING_STATUS": ("ENABLED", "REINSTATED", "DISABLED")}
# SES was seen to use these words, and not the model's EMAIL_IDENTITY.
RESOURCES = {"RESOURCE_TYPE": ("identity", "configuration-set", "template")}
_SUPPRESSION = {
    "SuppressedReasons": honoured(REASONS),
    "SuppressionScope": honoured(Text(choices=("ACCOUNT", "TENANT"))),
}
# The model asks for a name of one character or more. SES was seen to say `TenantName cannot be empty` instead.
_NAME = {"TenantName": honoured(Text())}
_ASSOCIATION = Object({**_NAME, "ResourceArn": needed(SOME_TEXT)})

TENANTS = {
    "CreateTenant": Object(
        {
            "TenantName": needed(SOME_TEXT),
            "Tags": checked(RESOURCE_TAGS),
            "SuppressionAttributes": honoured(Object(_SUPPRESSION)),
        }
    ),
    "GetTenant": Object(_NAME),
    "ListTenants": Object({"Filter": honoured(Words(FILTERS)), **PAGE}),
    "DeleteTenant": Object(_NAME),
    "PutTenantSuppressionAttributes": Object({**_NAME, **_SUPPRESSION}),
    "CreateTenantResourceAssociation": _ASSOCIATION,
    "DeleteTenantResourceAssociation": _ASSOCIATION,
    "ListTenantResources": Object({**_NAME, "Filter": honoured(Words(RESOURCES)), **PAGE}),
    "ListResourceTenants": Object({"ResourceArn": needed(SOME_TEXT), **PAGE}),
}
