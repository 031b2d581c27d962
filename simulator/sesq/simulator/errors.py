"""All refusals of SES: each kind once, with its form in each of SES's three interfaces.

SesError
    kind      the name used in the record, in faults and in the table below
    message   the text, in SES's words; None if SES sends none
"""

from __future__ import annotations

from typing import NamedTuple


class Wire(NamedTuple):
    """How a kind looks in SESv2 (code and HTTP status), in the v1 query API, and over SMTP."""

    v2_code: str
    v2_status: int
    v1_code: str
    v1_status: int
    smtp: str


_BAD = "554 Transaction failed: {}"
_REJECTED = "554 Message rejected: {}"
_DENIED = "554 Access denied: {}"

WIRE: dict[str, Wire] = {
    # The rate and the day have the same code in each interface; only the text differs.
    "throttle": Wire("TooManyRequestsException", 429, "Throttling", 400, "454 Throttling failure: {}"),
    "daily": Wire("TooManyRequestsException", 429, "Throttling", 400, "454 Throttling failure: {}"),
    "control_throttle": Wire(
        "TooManyRequestsException", 429, "Throttling", 400, "454 Throttling failure: {}"
    ),
    "unverified": Wire("MessageRejected", 400, "MessageRejected", 400, _REJECTED),
    "rejected": Wire("MessageRejected", 400, "MessageRejected", 400, _REJECTED),
    "paused": Wire("SendingPausedException", 400, "MessageRejected", 400, _REJECTED),
    "suspended": Wire("AccountSuspendedException", 400, "MessageRejected", 400, _REJECTED),
    "configuration_set_paused": Wire(
        "SendingPausedException", 400, "ConfigurationSetSendingPausedException", 400, _REJECTED
    ),
    "mail_from": Wire(
        "MailFromDomainNotVerifiedException", 400, "MailFromDomainNotVerifiedException", 400, _REJECTED
    ),
    "configuration_set": Wire("NotFoundException", 404, "ConfigurationSetDoesNotExist", 400, _BAD),
    "template": Wire("NotFoundException", 404, "TemplateDoesNotExist", 400, _BAD),
    "tenant": Wire("NotFoundException", 404, "NotFound", 400, _BAD),
    "tenant_resources": Wire("AccessDeniedException", 403, "AccessDenied", 403, _DENIED),
    "tenant_disabled": Wire("SendingPausedException", 400, "MessageRejected", 400, _REJECTED),
    "bad_request": Wire("BadRequestException", 400, "InvalidParameterValue", 400, _BAD),
    "validation": Wire("BadRequestException", 400, "ValidationError", 400, _BAD),
    # Ours: SES may do what we do not imitate, so we must not accept it.
    "not_imitated": Wire("BadRequestException", 400, "InvalidParameterValue", 400, _BAD),
    "too_long": Wire("BadRequestException", 400, "InvalidParameterValue", 400, "552 Message is too long."),
    "body_too_large": Wire(
        "RequestEntityTooLargeException", 413, "RequestEntityTooLarge", 413, "552 Message is too long."
    ),
    "unreadable": Wire("SerializationException", 400, "MalformedInput", 400, _BAD),
    "unknown_operation": Wire("UnknownOperationException", 404, "InvalidAction", 400, _BAD),
    "not_found": Wire("NotFoundException", 404, "NotFound", 400, _BAD),
    "already_exists": Wire("AlreadyExistsException", 400, "AlreadyExists", 400, _BAD),
    "limit": Wire("LimitExceededException", 400, "LimitExceeded", 400, _BAD),
    "conflict": Wire("ConflictException", 409, "Conflict", 409, _BAD),
    "next_token": Wire("InvalidNextTokenException", 400, "InvalidParameterValue", 400, _BAD),
    "access_denied": Wire("AccessDeniedException", 403, "AccessDenied", 403, _DENIED),
    "unknown_key": Wire("UnrecognizedClientException", 403, "InvalidClientTokenId", 403, _DENIED),
    "bad_signature": Wire("SignatureDoesNotMatch", 403, "SignatureDoesNotMatch", 403, _DENIED),
    "no_signature": Wire(
        "MissingAuthenticationTokenException", 403, "MissingAuthenticationToken", 403, _DENIED
    ),
    "expired_token": Wire("ExpiredTokenException", 403, "ExpiredToken", 403, _DENIED),
    "timeout": Wire("RequestTimeoutException", 408, "RequestTimeout", 408, "451 Temporary service failure"),
    "internal_error": Wire("InternalFailure", 500, "InternalFailure", 500, "451 Temporary service failure"),
    "unavailable": Wire(
        "ServiceUnavailable", 503, "ServiceUnavailable", 503, "451 Temporary service failure"
    ),
    # Not an answer of SES: the connection is reset before the message is judged.
    "reset": Wire("", 0, "", 0, ""),
}

RATE_EXCEEDED = "Maximum sending rate exceeded."
DAY_EXCEEDED = "Daily message quota exceeded."
CONTROL_EXCEEDED = "Rate exceeded"
PAUSED = (
    "Sending paused for this account. For more information, please check the inbox of the email address "
    "associated with your AWS account."
)
SUSPENDED = PAUSED.replace("paused", "suspended")

# The texts of the kinds that always have the same.
TEXT: dict[str, str] = {
    "throttle": RATE_EXCEEDED,
    "daily": DAY_EXCEEDED,
    "control_throttle": CONTROL_EXCEEDED,
    "paused": PAUSED,
    "suspended": SUSPENDED,
    "configuration_set_paused": "Sending paused for this configuration set.",
    "tenant_disabled": "Sending paused for this tenant.",
    "rejected": "Message rejected.",
    "access_denied": "User is not authorized to perform ses:SendEmail",
    "expired_token": "The security token included in the request is expired",
    "timeout": "The request timed out.",
    "internal_error": "Internal failure.",
    "unavailable": "Service unavailable.",
    "reset": "The connection was reset before the message was accepted.",
}


class SesError(Exception):
    """A refusal by SES. `kind` is a key of WIRE. Without a message it has the kind's usual text.

    `recorded`: whether it is in the account's record.
    """

    recorded = False

    def __init__(self, kind: str, message: str | None = None) -> None:
        self.kind = kind
        self.message = TEXT.get(kind) if message is None else message
        super().__init__(self.message)
