"""Identities in SESv2. The API cannot verify one: at SES a link or a DNS record does, here `/_sim/` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sesq.simulator.dkim import check_signing
from sesq.simulator.identities import SUCCESS, Identity
from sesq.simulator.members import items, mapping, name_in, text
from sesq.simulator.v2.router import Operation, Request, asked_page


def create(request: Request) -> dict[str, Any]:
    account = request.account
    configuration_set = name_in(request.body, "ConfigurationSetName")
    if configuration_set:
        account.configuration_sets.get(configuration_set)
    signing = mapping(request.body, "DkimSigningAttributes")
    check_signing(signing, text(request.body, "EmailIdentity"))
    identity = account.identities.create(text(request.body, "EmailIdentity"), account.clock.now())
    identity.configuration_set = configuration_set
    identity.tags = items(request.body, "Tags")
    identity.dkim = signing
    return {
        "IdentityType": _type(identity),
        "VerifiedForSendingStatus": False,
        "DkimAttributes": _dkim(identity, "NOT_STARTED"),
    }


def get(request: Request) -> dict[str, Any]:
    account = request.account
    identity = account.identities.get(request.body["EmailIdentity"])
    status = identity.status(account.clock.now())
    answer = {
        "IdentityType": _type(identity),
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": identity.verified,
        "VerificationStatus": status,
        "DkimAttributes": _dkim(identity, status if identity.is_domain else "NOT_STARTED"),
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
        "Policies": {},
        "Tags": identity.tags,
    }
    if identity.configuration_set:
        answer["ConfigurationSetName"] = identity.configuration_set
    return answer


def delete(request: Request) -> dict[str, Any]:
    account = request.account
    identity = account.identities.get(request.body["EmailIdentity"])
    account.tenants.keep(f"identity/{identity.name}")
    account.identities.delete(identity.name)
    return {}


def list_all(request: Request) -> dict[str, Any]:
    now = request.account.clock.now()
    by_name = {identity.name: identity for identity in request.account.identities}
    wanted = mapping(request.body, "Filter")
    names, more = asked_page(request, [name for name in by_name if _fits(_item(by_name[name], now), wanted)])
    return {"EmailIdentities": [_item(by_name[name], now) for name in names], **more}


def _fits(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return (
        wanted.get("IDENTITY_NAME_CONTAINS", "") in item["IdentityName"]
        and wanted.get("IDENTITY_TYPE", item["IdentityType"]) == item["IdentityType"]
        and wanted.get("VERIFICATION_STATUS", item["VerificationStatus"]) == item["VerificationStatus"]
    )


def _item(identity: Identity, now: float) -> dict[str, Any]:
    return {
        "IdentityType": _type(identity),
        "IdentityName": identity.name,
        "SendingEnabled": identity.verified,
        "VerificationStatus": identity.status(now),
    }


def _type(identity: Identity) -> str:
    return "DOMAIN" if identity.is_domain else "EMAIL_ADDRESS"


def _dkim(identity: Identity, status: str) -> dict[str, Any]:
    """Writes DkimAttributes. With a key of the owner's, the owner's selector is the only token."""
    selector = identity.dkim.get("DomainSigningSelector")
    tokens = [selector] if selector else [f"{identity.name.replace('.', '-')}-{n}" for n in (1, 2, 3)]
    length = identity.dkim.get("NextSigningKeyLength")
    lengths = {"NextSigningKeyLength": length, "CurrentSigningKeyLength": length} if length else {}
    return {
        "SigningEnabled": identity.is_domain and status == SUCCESS,
        "Status": status if status != "NOT_STARTED" or not identity.is_domain else "PENDING",
        "SigningAttributesOrigin": "EXTERNAL" if selector else "AWS_SES",
        "Tokens": tokens if identity.is_domain else [],
        **lengths,
    }


OPERATIONS = (
    Operation("POST", "/v2/email/identities", "CreateEmailIdentity", create),
    Operation("GET", "/v2/email/identities", "ListEmailIdentities", list_all),
    # botocore moved the list from the path above to this one in 1.43.105.
    Operation("POST", "/v2/email/list-identities", "ListEmailIdentities", list_all),
    Operation("GET", "/v2/email/identities/{EmailIdentity}", "GetEmailIdentity", get),
    Operation("DELETE", "/v2/email/identities/{EmailIdentity}", "DeleteEmailIdentity", delete),
)
