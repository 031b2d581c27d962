"""The answers of SES over HTTP that the verdict table knows, and what each means."""

from __future__ import annotations

from typing import NamedTuple

from sesq.queue.envelope import Envelope
from sesq.worker.verdicts import Kind

PLAIN = Envelope(sender="Shop <shop@shop.example>", to=("bob@x.org",), cc=("Ann <ann@y.org>",))
WITH_SET = Envelope(sender="shop@shop.example", to=("bob@x.org",), configuration_set="news")
CHECK = "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
ARN = "arn:aws:ses:eu-west-1:123456789012:"
NOT_ALLOWED = f"User `arn:aws:iam::1:user/u' is not authorized to perform `ses:SendEmail' on resource `{ARN}"
OF_TENANT = Envelope(sender="shop@shop.example", to=("bob@x.org",), configuration_set="news", tenant="acme")
SENDER, RECIPIENT, SET = "sender:shop@shop.example", "recipient:bob@x.org", "configuration_set:news"
TENANT = "tenant:acme"
UNASSOCIATED = "Tenant not associated with resources"


class Api(NamedTuple):
    """An answer over HTTP, and what it means."""

    status: int
    code: str
    text: str | None
    kind: Kind
    hold: str | None = None
    envelope: Envelope = PLAIN


API_CASES = [
    # v2 has one exception for the rate and the day; only the text says which
    Api(429, "TooManyRequestsException", "Maximum sending rate exceeded.", Kind.RATE),
    Api(429, "TooManyRequestsException", "Daily message quota exceeded.", Kind.DAY_SPENT),
    Api(429, "TooManyRequestsException", "Rate exceeded", Kind.THROTTLED),
    Api(429, "TooManyRequestsException", None, Kind.THROTTLED),
    Api(429, "SomethingNew", "slow down", Kind.THROTTLED),
    Api(400, "LimitExceededException", "Maximum sending rate exceeded.", Kind.RATE),
    Api(400, "LimitExceededException", "too many instances of the resource", Kind.DAY_SPENT),
    # v1's code for the same answer
    Api(400, "Throttling", "Maximum sending rate exceeded.", Kind.RATE),
    Api(400, "Throttling", "Daily message quota exceeded.", Kind.DAY_SPENT),
    Api(400, "ThrottlingException", "Rate exceeded", Kind.THROTTLED),
    # the account and the configuration set
    Api(400, "AccountSuspendedException", "Your account is suspended.", Kind.SUSPENDED, "account"),
    Api(400, "AccountSendingPausedException", "paused", Kind.PAUSED, "account"),
    Api(
        400,
        "MessageRejected",
        "Sending paused for this account. For more information, …",
        Kind.PAUSED,
        "account",
    ),
    Api(400, "MessageRejected", "Sending suspended for this account. For more …", Kind.PAUSED, "account"),
    Api(
        400, "SendingPausedException", "Sending is paused for your account", Kind.PAUSED, "account", WITH_SET
    ),
    Api(400, "SendingPausedException", "paused", Kind.PAUSED, "account"),
    Api(400, "SendingPausedException", "paused", Kind.CONFIGURATION, SET, WITH_SET),
    Api(400, "SendingPausedException", "Configuration set is paused", Kind.CONFIGURATION, SET, WITH_SET),
    Api(
        400,
        "SendingPausedException",
        "Sending is paused for configuration set <news>",
        Kind.CONFIGURATION,
        SET,
    ),
    Api(400, "SendingPausedException", "The configuration set is paused", Kind.CONFIGURATION, SENDER),
    Api(400, "ConfigurationSetSendingPausedException", None, Kind.CONFIGURATION, SET, WITH_SET),
    Api(400, "ConfigurationSetSendingPausedException", None, Kind.CONFIGURATION, SENDER),
    Api(404, "NotFoundException", "Configuration set <news> does not exist.", Kind.CONFIGURATION, SET),
    Api(
        400,
        "ConfigurationSetDoesNotExist",
        "Configuration set <news> does not exist.",
        Kind.CONFIGURATION,
        SET,
    ),
    Api(400, "ConfigurationSetDoesNotExist", None, Kind.CONFIGURATION, SET, WITH_SET),
    Api(404, "NotFoundException", "Template t does not exist.", Kind.CONFIGURATION, SENDER),
    Api(400, "TemplateDoesNotExist", "Template t does not exist.", Kind.CONFIGURATION, SENDER),
    # a tenant, of mail that names one
    Api(
        404,
        "NotFoundException",
        "Tenant acme for AwsAccountId 1 not found.",
        Kind.CONFIGURATION,
        TENANT,
        OF_TENANT,
    ),
    Api(
        404,
        "NotFoundException",
        "The requested tenant <acme> does not exist.",
        Kind.CONFIGURATION,
        TENANT,
        OF_TENANT,
    ),
    Api(
        404,
        "NotFoundException",
        "Configuration set <tenant> does not exist.",
        Kind.CONFIGURATION,
        "configuration_set:tenant",
        OF_TENANT,
    ),
    Api(404, "NotFoundException", "Tenant acme not found.", Kind.CONFIGURATION, SENDER),
    Api(
        403,
        "AccessDeniedException",
        f"{UNASSOCIATED} [{ARN}identity/shop.example].",
        Kind.CONFIGURATION,
        f"{TENANT}/shop@shop.example",
        OF_TENANT,
    ),
    Api(
        403,
        "AccessDeniedException",
        f"{UNASSOCIATED} [{ARN}configuration-set/news].",
        Kind.CONFIGURATION,
        f"{TENANT}/shop@shop.example",
        OF_TENANT,
    ),
    Api(
        403,
        "AccessDeniedException",
        NOT_ALLOWED + "identity/shop.example'",
        Kind.CONFIGURATION,
        SENDER,
        OF_TENANT,
    ),
    Api(
        400,
        "SendingPausedException",
        "Sending paused for this tenant.",
        Kind.CONFIGURATION,
        TENANT,
        OF_TENANT,
    ),
    Api(400, "MessageRejected", "The tenant is disabled.", Kind.CONFIGURATION, TENANT, OF_TENANT),
    Api(400, "SendingPausedException", "paused", Kind.CONFIGURATION, TENANT, OF_TENANT),
    Api(
        400, "SendingPausedException", "Sending is paused for your account", Kind.PAUSED, "account", OF_TENANT
    ),
    Api(400, "SendingPausedException", "Configuration set is paused", Kind.CONFIGURATION, SET, OF_TENANT),
    Api(400, "MailFromDomainNotVerifiedException", "…", Kind.CONFIGURATION, SENDER),
    # verification
    Api(400, "MessageRejected", CHECK + "bob@x.org", Kind.UNVERIFIED_RECIPIENT, RECIPIENT),
    Api(400, "MessageRejected", CHECK + "Ann <ann@y.org>", Kind.UNVERIFIED_RECIPIENT, "recipient:ann@y.org"),
    Api(
        400, "MessageRejected", CHECK + "Shop <shop@shop.example>, bob@x.org", Kind.UNVERIFIED_SENDER, SENDER
    ),
    Api(
        400,
        "MessageRejected",
        CHECK + "bounces@elsewhere.example",
        Kind.UNVERIFIED_SENDER,
        "sender:bounces@elsewhere.example",
    ),
    Api(400, "MessageRejected", "Email address not verified", Kind.UNVERIFIED_SENDER, SENDER),
    # permissions and credentials
    Api(403, "AccessDeniedException", NOT_ALLOWED + "identity/shop.example'", Kind.CONFIGURATION, SENDER),
    Api(403, "AccessDenied", NOT_ALLOWED + "identity/bob@x.org'", Kind.CONFIGURATION, RECIPIENT),
    Api(403, "AccessDeniedException", NOT_ALLOWED + "configuration-set/news'", Kind.CONFIGURATION, SET),
    Api(403, "AccessDeniedException", None, Kind.CONFIGURATION, "account", WITH_SET),
    Api(403, "UnrecognizedClientException", "The security token is invalid", Kind.CREDENTIALS, "credentials"),
    Api(403, "InvalidClientTokenId", "…", Kind.CREDENTIALS, "credentials"),
    Api(403, "SignatureDoesNotMatch", "…", Kind.CREDENTIALS, "credentials"),
    Api(403, "IncompleteSignature", "…", Kind.CREDENTIALS, "credentials"),
    Api(403, "OptInRequired", "…", Kind.CREDENTIALS, "credentials"),
    Api(403, "ExpiredTokenException", "…", Kind.CREDENTIALS, "credentials"),
    Api(403, "ExpiredToken", "…", Kind.CREDENTIALS, "credentials"),
    Api(403, "Forbidden", None, Kind.CREDENTIALS, "credentials"),
    # this message
    Api(400, "MessageRejected", "Illegal content.", Kind.REFUSED),
    Api(400, "BadRequestException", "Domain contains illegal character", Kind.REFUSED),
    Api(400, "BadRequestException", "Missing required header 'From'.", Kind.REFUSED),
    Api(400, "InvalidParameterValue", "Missing final '@domain'", Kind.REFUSED),
    Api(400, "InvalidParameterValue", "Recipient count exceeds 50.", Kind.REFUSED),
    Api(413, "RequestEntityTooLargeException", None, Kind.REFUSED),
    # the service
    Api(408, "RequestTimeoutException", None, Kind.TRANSIENT),
    Api(503, "ServiceUnavailable", None, Kind.TRANSIENT),
    Api(503, "SomethingNew", None, Kind.TRANSIENT),
    Api(500, "InternalFailure", None, Kind.UNKNOWN),
    Api(502, "SomethingNew", None, Kind.UNKNOWN),
    Api(504, "SomethingNew", None, Kind.UNKNOWN),
    Api(404, "UnknownOperationException", None, Kind.CONFIGURATION, "account"),
    Api(301, "PermanentRedirect", None, Kind.CONFIGURATION, "account"),
    # a refusal in new words
    Api(400, "TenantOnHolidayException", "Come back later", Kind.UNRECOGNIZED, "person"),
    Api(409, "ConflictException", None, Kind.UNRECOGNIZED, "person"),
]
