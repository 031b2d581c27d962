"""Tenants and what belongs to them in SESv2."""

from __future__ import annotations

from typing import Any

from sesq.simulator.account import Account
from sesq.simulator.arns import Resource, read_arn
from sesq.simulator.errors import SesError
from sesq.simulator.identities import identity_key
from sesq.simulator.members import items, mapping, text
from sesq.simulator.tenants import Tenant
from sesq.simulator.v2.router import Operation, Request, asked_page


def create(request: Request) -> dict[str, Any]:
    account, body = request.account, request.body
    tenant = account.tenants.create(text(body, "TenantName"), account.clock.now())
    tenant.tags = items(body, "Tags")
    try:
        _set_suppression(tenant, mapping(body, "SuppressionAttributes"))
    except SesError:
        account.tenants.delete(tenant.name)
        raise
    return _whole(tenant)


def get(request: Request) -> dict[str, Any]:
    return {"Tenant": _whole(_tenant(request))}


def list_all(request: Request) -> dict[str, Any]:
    wanted = mapping(request.body, "Filter")
    found = {
        each.name: each
        for each in request.account.tenants
        if wanted.get("TENANT_NAME_CONTAINS", "") in each.name
        and wanted.get("SENDING_STATUS", each.sending_status) == each.sending_status
    }
    names, more = asked_page(request, list(found))
    return {"Tenants": [_short(found[name]) for name in names], **more}


def delete(request: Request) -> dict[str, Any]:
    request.account.tenants.delete(text(request.body, "TenantName"))
    return {}


def put_suppression(request: Request) -> dict[str, Any]:
    _set_suppression(_tenant(request), request.body)
    return {}


def associate(request: Request) -> dict[str, Any]:
    tenant, arn = _tenant(request), _asked_arn(request)
    _require(request.account, *_asked(request))
    if arn in tenant.resources:
        raise SesError(
            "already_exists", f"Resources {arn} has already been associated with tenant {tenant.name}"
        )
    tenant.resources[arn] = request.account.clock.now()
    return {}


def dissociate(request: Request) -> dict[str, Any]:
    """Removes an association. It is not an error if there is none."""
    _tenant(request).resources.pop(_asked_arn(request), None)
    return {}


def list_resources(request: Request) -> dict[str, Any]:
    wanted = mapping(request.body, "Filter").get("RESOURCE_TYPE")
    found = [arn for arn in sorted(_tenant(request).resources) if wanted in (None, _type(arn))]
    arns, more = asked_page(request, found)
    return {"TenantResources": [{"ResourceType": _type(arn), "ResourceArn": arn} for arn in arns], **more}


def list_tenants(request: Request) -> dict[str, Any]:
    arn = _asked_arn(request)
    found = {each.name: each for each in request.account.tenants if arn in each.resources}
    names, more = asked_page(request, list(found))
    return {"ResourceTenants": [_association(found[name], arn) for name in names], **more}


def _tenant(request: Request) -> Tenant:
    return request.account.tenants.get(text(request.body, "TenantName"))


def _set_suppression(tenant: Tenant, given: Any) -> None:
    tenant.set_suppression(given.get("SuppressedReasons"), given.get("SuppressionScope"))


def _asked(request: Request) -> Resource:
    """Returns the resource that a request names, as this account calls it. Raises SesError(bad_request)."""
    kind, name = read_arn(text(request.body, "ResourceArn"), request.account.region)
    return Resource(kind, identity_key(name) if kind == "identity" else name)


def _asked_arn(request: Request) -> str:
    return request.account.tenants.arn("/".join(_asked(request)))


def _require(account: Account, kind: str, name: str) -> None:
    """Raises SesError(configuration_set, not_found, template) if there is no such resource."""
    if kind == "configuration-set":
        account.configuration_sets.get(name)
    elif kind == "template":
        account.templates.get(name)
    elif account.identities.find(name) is None:
        raise SesError("not_found", f"Identity <{name}> does not exist")


def _type(arn: str) -> str:
    """Returns the type as SES answers it: the word of the ARN, and not the model's EMAIL_IDENTITY."""
    return arn.split(":", 5)[5].partition("/")[0]


def _short(tenant: Tenant) -> dict[str, Any]:
    return {
        "TenantName": tenant.name,
        "TenantId": tenant.id,
        "TenantArn": tenant.arn,
        "CreatedTimestamp": tenant.created_at,
        "SendingStatus": tenant.sending_status,
    }


def _whole(tenant: Tenant) -> dict[str, Any]:
    attributes = tenant.suppression_attributes
    return {
        **_short(tenant),
        "Tags": tenant.tags,
        **({"SuppressionAttributes": attributes} if attributes else {}),
    }


def _association(tenant: Tenant, arn: str) -> dict[str, Any]:
    return {
        "TenantName": tenant.name,
        "TenantId": tenant.id,
        "ResourceArn": arn,
        "AssociatedTimestamp": tenant.resources[arn],
    }


_ALL = "/v2/email/tenants"

OPERATIONS = (
    Operation("POST", _ALL, "CreateTenant", create),
    Operation("POST", f"{_ALL}/get", "GetTenant", get),
    Operation("POST", f"{_ALL}/list", "ListTenants", list_all),
    Operation("POST", f"{_ALL}/delete", "DeleteTenant", delete),
    Operation("POST", "/v2/email/tenant/suppression", "PutTenantSuppressionAttributes", put_suppression),
    Operation("POST", f"{_ALL}/resources", "CreateTenantResourceAssociation", associate),
    Operation("POST", f"{_ALL}/resources/delete", "DeleteTenantResourceAssociation", dissociate),
    Operation("POST", f"{_ALL}/resources/list", "ListTenantResources", list_resources),
    Operation("POST", "/v2/email/resources/tenants/list", "ListResourceTenants", list_tenants),
)
