"""The account in SESv2: its state, its pause, and the request for production access."""

from __future__ import annotations

from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.members import flag, texts
from sesq.simulator.suppression import check_reasons
from sesq.simulator.v2.router import Operation, Request

MAX_CONTACTS = 4


def get_account(request: Request) -> dict[str, Any]:
    account = request.account
    settings = account.settings
    answer = {
        "DedicatedIpAutoWarmupEnabled": False,
        "EnforcementStatus": settings.enforcement_status,
        "ProductionAccessEnabled": settings.production_access,
        "SendQuota": {
            "Max24HourSend": settings.max_24_hour_send,
            "MaxSendRate": settings.max_send_rate,
            "SentLast24Hours": float(account.sent_last_24_hours()),
        },
        "SendingEnabled": settings.may_send,
        "SuppressionAttributes": {"SuppressedReasons": account.suppression.reasons},
    }
    if account.details:
        review = {"Status": settings.review, "CaseId": account.case_id} if settings.review else {}
        answer["Details"] = {**account.details, "ReviewDetails": review}
    return answer


def put_sending(request: Request) -> dict[str, Any]:
    """Sets or ends the account's own pause. It cannot end a pause by AWS (SHUTDOWN)."""
    request.account.change({"sending_enabled": flag(request.body, "SendingEnabled", missing=False)})
    return {}


def put_details(request: Request) -> dict[str, Any]:
    """Asks for production access: PENDING until somebody decides (`PUT /_sim/account {"review": "GRANTED"}`)."""
    account, body = request.account, request.body
    if len(texts(body, "AdditionalContactEmailAddresses")) > MAX_CONTACTS:
        raise SesError("bad_request", f"There are at most {MAX_CONTACTS} additional contacts.")
    wanted = flag(body, "ProductionAccessEnabled", missing=False)
    account.ask_for_review(
        {name: value for name, value in body.items() if name != "ProductionAccessEnabled"}, wanted
    )
    return {}


def put_suppression(request: Request) -> dict[str, Any]:
    request.account.suppression.reasons = check_reasons(texts(request.body, "SuppressedReasons"))
    return {}


OPERATIONS = (
    Operation("GET", "/v2/email/account", "GetAccount", get_account),
    Operation("PUT", "/v2/email/account/sending", "PutAccountSendingAttributes", put_sending),
    Operation("POST", "/v2/email/account/details", "PutAccountDetails", put_details),
    Operation("PUT", "/v2/email/account/suppression", "PutAccountSuppressionAttributes", put_suppression),
)
