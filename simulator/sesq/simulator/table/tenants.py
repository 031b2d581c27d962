"""Tenants in SESv2."""

from __future__ import annotations

from sesq.simulator.table.common import PAGE, REASONS, RESOURCE_TAGS, SOME_TEXT, named
from sesq.simulator.table.member import Object, checked, honoured, needed
from sesq.simulator.table.shapes import Text, Words

FILTERS = ("TENANT_NAME_CONTAINS", "SENDING_STATUS")
_SUPPRESSION = {
    "SuppressedReasons": honoured(REASONS),
    "SuppressionScope": honoured(Text(choices=("ACCOUNT", "TENANT"))),
}
_ASSOCIATION = Object({"TenantName": needed(SOME_TEXT), "ResourceArn": needed(SOME_TEXT)})

TENANTS = {
    "CreateTenant": Object(
        {
            "TenantName": needed(SOME_TEXT),
            "Tags": checked(RESOURCE_TAGS),
            "SuppressionAttributes": honoured(Object(_SUPPRESSION)),
        }
    ),
    "GetTenant": named("TenantName", SOME_TEXT),
    "ListTenants": Object({"Filter": honoured(Words(FILTERS)), **PAGE}),
    "DeleteTenant": named("TenantName", SOME_TEXT),
    "PutTenantSuppressionAttributes": Object({"TenantName": needed(SOME_TEXT), **_SUPPRESSION}),
    "CreateTenantResourceAssociation": _ASSOCIATION,
    "DeleteTenantResourceAssociation": _ASSOCIATION,
    "ListTenantResources": Object(
        {"TenantName": needed(SOME_TEXT), "Filter": honoured(Words(("RESOURCE_TYPE",))), **PAGE}
    ),
    "ListResourceTenants": Object({"ResourceArn": needed(SOME_TEXT), **PAGE}),
}
