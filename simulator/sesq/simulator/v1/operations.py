"""The actions of SES v1. A send is put into SESv2's shape, and read by the same code with v1's size limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sesq.simulator.account import Account
from sesq.simulator.errors import SesError
from sesq.simulator.identities import FAILED, Identity
from sesq.simulator.mail import Mail
from sesq.simulator.members import flag, texts
from sesq.simulator.paging import page
from sesq.simulator.reading import V1_MAX_BYTES, read_send_email
from sesq.simulator.v1.xml import entries

Form = dict[str, Any]
MAX_ATTRIBUTES = 100
MAX_PAGE = 1000
_STATUS = {"SUCCESS": "Success", "PENDING": "Pending", "FAILED": "Failed"}


class Action(NamedTuple):
    run: Callable[[Account, Form], dict[str, Any]]
    throttled: bool = True


def send_email(account: Account, form: Form) -> dict[str, Any]:
    return _send(
        account,
        "SendEmail",
        form,
        {
            "Destination": form.get("Destination"),
            "ReplyToAddresses": form.get("ReplyToAddresses"),
            "Content": {"Simple": form.get("Message")},
        },
    )


def send_raw_email(account: Account, form: Form) -> dict[str, Any]:
    destinations = form.get("Destinations")
    given = {"Destination": {"ToAddresses": destinations}} if destinations else {}
    return _send(account, "SendRawEmail", form, {"Content": {"Raw": form.get("RawMessage")}, **given})


def _send(account: Account, action: str, form: Form, rest: dict[str, Any]) -> dict[str, Any]:
    request = {
        "FromEmailAddress": form.get("Source"),
        "FeedbackForwardingEmailAddress": form.get("ReturnPath"),
        "EmailTags": form.get("Tags"),
        "ConfigurationSetName": form.get("ConfigurationSetName"),
        **rest,
    }
    source = json.dumps(request).encode()

    def read() -> Mail:
        mail = read_send_email(request, source, account.templates, V1_MAX_BYTES)
        mail.api, mail.operation = "v1", action
        return mail

    return {"MessageId": account.send(read, "v1")}


def get_send_quota(account: Account, _form: Form) -> dict[str, Any]:
    return {
        "Max24HourSend": account.settings.max_24_hour_send,
        "MaxSendRate": account.settings.max_send_rate,
        "SentLast24Hours": float(account.sent_last_24_hours()),
    }


def get_send_statistics(account: Account, _form: Form) -> dict[str, Any]:
    points = account.record.quarters(account.clock.now())
    return {"SendDataPoints": [{"Timestamp": _iso(start), **counts} for start, counts in points]}


def get_sending_enabled(account: Account, _form: Form) -> dict[str, Any]:
    return {"Enabled": account.settings.may_send}


def update_sending_enabled(account: Account, form: Form) -> dict[str, Any]:
    account.change({"sending_enabled": flag(form, "Enabled", missing=False)})
    return {}


def list_identities(account: Account, form: Form) -> dict[str, Any]:
    kind = form.get("IdentityType")
    size = form.get("MaxItems", MAX_PAGE)
    if not 1 <= size <= MAX_PAGE:
        raise SesError("bad_request", f"MaxItems is not between 1 and {MAX_PAGE}.")
    wanted = [
        each.name for each in account.identities if kind is None or each.is_domain == (kind == "Domain")
    ]
    names, more = page(wanted, size, form.get("NextToken", ""))
    return {"Identities": names, **more}


def get_verification(account: Account, form: Form) -> dict[str, Any]:
    names = texts(form, "Identities")
    if len(names) > MAX_ATTRIBUTES:
        raise SesError("bad_request", f"At most {MAX_ATTRIBUTES} identities a call.")
    known = {name: identity for name in names if (identity := account.identities.find(name)) is not None}
    now = account.clock.now()
    return {
        "VerificationAttributes": entries({name: _verification(each, now) for name, each in known.items()})
    }


def _verification(identity: Identity, now: float) -> dict[str, str]:
    token = {"VerificationToken": f"token-of-{identity.name}"} if identity.is_domain else {}
    return {"VerificationStatus": _STATUS[identity.status(now)], **token}


def verify_email(account: Account, form: Form) -> dict[str, Any]:
    _ask(account, form.get("EmailAddress", ""), address=True)
    return {}


def verify_domain(account: Account, form: Form) -> dict[str, Any]:
    name = form.get("Domain", "")
    _ask(account, name, address=False)
    return {"VerificationToken": f"token-of-{name.lower()}"}


def _ask(account: Account, name: str, address: bool) -> None:
    """Asks for a verification. In v1, unlike SESv2, the time of a pending identity then begins again."""
    if ("@" in name) != address:
        raise SesError("bad_request", f"Invalid {'email address' if address else 'domain name'} {name}.")
    now = account.clock.now()
    known = account.identities.find(name)
    if known is None or known.status(now) == FAILED:
        account.identities.create(name, now)
    elif not known.verified:
        known.created_at = now


def delete_identity(account: Account, form: Form) -> dict[str, Any]:
    """Deletes an identity. In v1, it is not an error if it does not exist."""
    identity = account.identities.find(form["Identity"])
    if identity is not None:
        account.tenants.keep(f"identity/{identity.name}")
        account.identities.delete(identity.name)
    return {}


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


ACTIONS = {
    "SendEmail": Action(send_email, throttled=False),
    "SendRawEmail": Action(send_raw_email, throttled=False),
    "GetSendQuota": Action(get_send_quota),
    "GetSendStatistics": Action(get_send_statistics),
    "GetAccountSendingEnabled": Action(get_sending_enabled),
    "UpdateAccountSendingEnabled": Action(update_sending_enabled),
    "ListIdentities": Action(list_identities),
    "GetIdentityVerificationAttributes": Action(get_verification),
    "VerifyEmailIdentity": Action(verify_email),
    "VerifyDomainIdentity": Action(verify_domain),
    "DeleteIdentity": Action(delete_identity),
}
