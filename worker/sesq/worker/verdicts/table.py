"""Has a row for every known answer of SES. The first row that fits decides.

Codes and texts are regular expressions. One of the answer's codes must match whole; the text anywhere, in any case.
Text matters as much as code: SES has one code for its rate and its daily quota, and one for a missing verification, a
bad content and a paused account.

These choices were made:

* A message is tried again by itself only if it was surely not sent: no connection, 408, 503, and throttling. A 500, 502
  or 504 comes after the message left, so the message is unknown.
* An error below 500 is a refusal: nothing was sent. If its code is unknown, the message is held for a person, because
  it is not known whether SES would take it later.
* SendingPausedException means the account or a configuration set. If its text does not say which, and the message names
  a set, the set counts: account sync finds a paused account by itself. If the message names a tenant, the tenant
  counts: account sync asks SES about it.
* Rows of tenants fit only mail that names a tenant. The texts for an unknown tenant, and for something that is not
  associated with a tenant, were seen. How SES refuses mail of a disabled tenant is not known: these texts are guesses,
  and so are all texts for SMTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from sesq.worker.verdicts import outcomes as o
from sesq.worker.verdicts.model import Answer, Channel


class Concern(str, Enum):
    """Says whom an answer is about, by its text and the envelope, to choose between rows with equal code and text."""

    SENDER = (
        "sender"  # an address that the mail is from, its domain, or an identity that is no recipient either
    )
    RECIPIENT = "recipient"  # recipients, and not the sender
    CONFIGURATION_SET = "configuration_set"  # no identity, and a set is named
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one answer and its meaning. `concern`: None fits all. `of_tenant`: only for mail that names a tenant."""

    channel: Channel
    code: str
    text: str
    outcome: o.Outcome
    concern: Concern | None = None
    of_tenant: bool = False

    def fits(self, answer: Answer, concern: Concern) -> bool:
        """Whether this row fits an answer."""
        return (
            self.channel is answer.channel
            and self.concern in (None, concern)
            and any(re.fullmatch(self.code, code) for code in answer.codes)
            and re.search(self.text, answer.text, re.IGNORECASE | re.DOTALL) is not None
        )


ANY = ""
RATE = r"maximum sending rate exceeded"
DAY = r"daily (message|sending) quota exceeded"
UNVERIFIED = r"address(es)? (is |are )?not verified|failed the check in region"
PAUSED = r"sending (is |has been )?(paused|suspended|disabled) for this account"
NO_SET = r"configuration set\b.*does not exist"
TENANT = r"(?<![\w<-])tenant(?![\w>-])"
STOPPED = (
    rf"{TENANT}.*\b(paused|disabled|suspended|stopped)\b|\b(paused|disabled|suspended|stopped)\b.*{TENANT}"
)
NO_TENANT = rf"{TENANT}.*(not found|does not exist)"
NOT_TENANTS = rf"{TENANT}.*not associated"
OF_NOBODY = r"\A(?!.*(configuration set|\baccount\b))"

THROTTLES = r"TooManyRequestsException|Throttl\w+|RequestThrottled\w*|RequestLimitExceeded|429"
DENIED = r"AccessDenied(Exception)?"
PAUSES = r"SendingPausedException|ConfigurationSetSendingPausedException"
NO_SET_CODES = r"NotFoundException|ConfigurationSetDoesNotExist(Exception)?|BadRequestException"
INVALID = r"BadRequestException|InvalidParameter\w*|Validation(Exception|Error)|MissingParameter|SerializationException"
BAD_KEYS = (
    r"UnrecognizedClientException|InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignature\w*|"
    r"IncompleteSignature\w*|OptInRequired|NotAuthorized|RequestExpired|RequestTimeTooSkewed|MissingAuthenticationToken\w*"
)
NO_KEYS = (
    r"(No|Partial|Unknown)Credential\w*|Credential\w*|NoAuthToken\w*|Token\w*|UnknownTokenProvider\w*|SSO\w*|\w*SSOToken\w*|"
    r"Login\w*|Metadata\w*|RefreshWithMFA\w*|ProfileNotFound|Config(NotFound|ParseError)|InfiniteLoopConfigError|"
    r"InvalidConfigError|MissingDependencyException|NoRegionError|InvalidRegionError|InvalidIMDS\w+|BaseEndpointResolverError"
)


def _of_tenants(channel: Channel, denied: str, unknown: str, stopped: str) -> tuple[Row, ...]:
    """Makes the rows about tenants for one channel, with the codes that it has there."""
    return (
        Row(channel, denied, NOT_TENANTS, o.NOT_TENANTS_SENDER, Concern.SENDER, True),
        Row(channel, denied, NOT_TENANTS, o.NOT_TENANTS, None, True),
        Row(channel, unknown, NO_TENANT, o.NO_TENANT, None, True),
        Row(channel, stopped, STOPPED, o.TENANT_STOPPED, None, True),
    )


TENANTS = (
    *_of_tenants(
        Channel.API,
        DENIED,
        r"NotFound(Exception)?|BadRequestException",
        r"\w*(Paused|Denied|Rejected|Request)\w*",
    ),
    Row(Channel.API, r"SendingPausedException", OF_NOBODY, o.TENANT_STOPPED, None, True),
    *_of_tenants(Channel.SMTP, r"554", r"554", r"554"),
)

API = (
    Row(Channel.API, rf"{THROTTLES}|LimitExceededException", RATE, o.RATE),
    Row(Channel.API, rf"{THROTTLES}|LimitExceededException", DAY, o.DAY),
    Row(Channel.API, r"LimitExceededException", ANY, o.DAY),
    Row(Channel.API, THROTTLES, ANY, o.THROTTLED),
    Row(Channel.API, r"AccountSuspendedException", ANY, o.SUSPENDED),
    Row(Channel.API, r"AccountSendingPausedException", ANY, o.PAUSED),
    Row(Channel.API, PAUSES, r"configuration set", o.SET_PAUSED, Concern.CONFIGURATION_SET),
    Row(Channel.API, PAUSES, r"configuration set", o.DEFAULT_SET_PAUSED),
    Row(Channel.API, PAUSES, r"\baccount\b", o.PAUSED),
    Row(Channel.API, PAUSES, ANY, o.SET_PAUSED, Concern.CONFIGURATION_SET),
    Row(Channel.API, r"ConfigurationSetSendingPausedException", ANY, o.DEFAULT_SET_PAUSED),
    Row(Channel.API, PAUSES, ANY, o.PAUSED),
    Row(Channel.API, r"MessageRejected", PAUSED, o.PAUSED),
    Row(Channel.API, r"MessageRejected", UNVERIFIED, o.UNVERIFIED_RECIPIENT, Concern.RECIPIENT),
    Row(Channel.API, r"MessageRejected", UNVERIFIED, o.UNVERIFIED_SENDER),
    Row(Channel.API, r"MessageRejected", ANY, o.REFUSED),
    Row(Channel.API, r"MailFromDomainNotVerified(Exception)?", ANY, o.MAIL_FROM),
    Row(Channel.API, NO_SET_CODES, NO_SET, o.NO_SET, Concern.CONFIGURATION_SET),
    Row(Channel.API, r"ConfigurationSetDoesNotExist(Exception)?", ANY, o.NO_SET, Concern.CONFIGURATION_SET),
    Row(Channel.API, r"NotFoundException|\w+DoesNotExist(Exception)?", ANY, o.NOT_FOUND),
    Row(Channel.API, DENIED, r":identity/", o.DENIED_RECIPIENT, Concern.RECIPIENT),
    Row(Channel.API, DENIED, r":identity/", o.DENIED),
    Row(Channel.API, DENIED, r":configuration-set/", o.DENIED_SET, Concern.CONFIGURATION_SET),
    Row(Channel.API, DENIED, ANY, o.DENIED_ACCOUNT),
    Row(Channel.API, r"ExpiredToken(Exception)?", ANY, o.EXPIRED_KEYS),
    Row(Channel.API, BAD_KEYS, ANY, o.BAD_KEYS),
    Row(Channel.API, r"RequestEntityTooLarge(Exception)?|413", ANY, o.TOO_BIG),
    Row(Channel.API, INVALID, ANY, o.REFUSED),
    Row(Channel.API, r"RequestTimeout(Exception)?|ServiceUnavailable(Exception)?|408|503", ANY, o.TRANSIENT),
    Row(Channel.API, r"Internal(Failure|ServerError|ServiceError\w*)|5\d\d", ANY, o.FAILED_LATE),
    Row(Channel.API, r"UnknownOperationException|InvalidAction|3\d\d|404|405", ANY, o.NOT_SES),
    Row(Channel.API, r"401|403", ANY, o.BAD_KEYS),
    Row(Channel.API, r"4\d\d", ANY, o.UNRECOGNIZED),
)

SMTP = (
    Row(Channel.SMTP, r"4\d\d", RATE, o.RATE),
    Row(Channel.SMTP, r"4\d\d", DAY, o.DAY),
    Row(Channel.SMTP, r"\d{3}", r"SigV2 SMTP sending rate", o.BAD_SMTP_KEYS),
    Row(Channel.SMTP, r"454", r"throttling", o.THROTTLED),
    Row(Channel.SMTP, r"4\d\d", ANY, o.TRANSIENT),
    Row(Channel.SMTP, r"53[0458]", ANY, o.BAD_SMTP_KEYS),
    Row(Channel.SMTP, r"552", ANY, o.TOO_BIG),
    Row(Channel.SMTP, r"554", PAUSED, o.PAUSED),
    Row(Channel.SMTP, r"554", UNVERIFIED, o.UNVERIFIED_RECIPIENT, Concern.RECIPIENT),
    Row(Channel.SMTP, r"554", UNVERIFIED, o.UNVERIFIED_SENDER),
    Row(Channel.SMTP, r"554", r"access denied.*:identity/", o.DENIED_RECIPIENT, Concern.RECIPIENT),
    Row(Channel.SMTP, r"554", r"access denied.*:identity/", o.DENIED),
    Row(Channel.SMTP, r"554", r"access denied", o.DENIED_ACCOUNT),
    Row(Channel.SMTP, r"554", NO_SET, o.NO_SET, Concern.CONFIGURATION_SET),
    Row(Channel.SMTP, r"5\d\d", ANY, o.REFUSED),
)

SIGN_IN = (
    Row(
        Channel.SIGN_IN,
        rf"{THROTTLES}|RequestTimeout(Exception)?|IDPCommunicationError|408|5\d\d",
        ANY,
        o.TRANSIENT,
    ),
    Row(Channel.SIGN_IN, r".*", ANY, o.NO_SIGN_IN),
)

UNSENT = (
    Row(Channel.UNSENT, r"ParamValidationError", ANY, o.INVALID),
    Row(Channel.UNSENT, NO_KEYS, ANY, o.NO_KEYS),
    Row(Channel.UNSENT, r"SSLCertVerificationError", ANY, o.BAD_CERTIFICATE),
    Row(Channel.UNSENT, r"NotLetIn", ANY, o.NO_SMTP),
    Row(Channel.UNSENT, r"HTTPClientError|ConnectionError|OSError", ANY, o.NO_CONNECTION),
    Row(Channel.UNSENT, r".*", ANY, o.BAD_CLIENT),
)

LOST = (
    Row(Channel.LOST, r"HTTPClientError|ConnectionError|OSError|SMTPServerDisconnected", ANY, o.NO_REPLY),
)

ROWS = TENANTS + API + SMTP + SIGN_IN + UNSENT + LOST
