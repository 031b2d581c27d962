"""Lists what an answer can mean, in words for people, with the cause and the cure.

A reason may use {region}, {tenant}, {sender}, {recipients}, {configuration_set}, {code} and {text}; a hold {tenant},
{sender}, {recipient} and {configuration_set}. {tenant} is the message's own. {sender}, {configuration_set} and
{recipients} are those that SES named, or the message's own if it named none. {recipient} is the first of {recipients}.
"""

from __future__ import annotations

from dataclasses import dataclass

from sesq.worker.verdicts.model import Kind

SENDER = "sender:{sender}"
RECIPIENT = "recipient:{recipient}"
CONFIGURATION_SET = "configuration_set:{configuration_set}"
TENANT = "tenant:{tenant}"
TENANT_SENDER = "tenant:{tenant}/{sender}"
"""The hold of a tenant's mail from one sender. Its other mail may go."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds a meaning, its sentence, and whose mail it holds."""

    kind: Kind
    reason: str
    hold: str | None = None


RATE = Outcome(Kind.RATE, "SES's sending rate in {region} is used up; it goes as soon as the rate allows.")
DAY = Outcome(
    Kind.DAY_SPENT, "The 24-hour quota in {region} is used up; it goes when the next recipients free up."
)
THROTTLED = Outcome(
    Kind.THROTTLED, "SES slows sending in {region} down ({code}: {text}); it is tried again later."
)

PAUSED = Outcome(
    Kind.PAUSED,
    "Sending is paused for the account in {region}; it goes on when SES allows it. See the mail AWS sent to the owner.",
    "account",
)
SUSPENDED = Outcome(
    Kind.SUSPENDED,
    "AWS has suspended sending in {region}; only AWS Support can lift that, then resume the queue.",
    "account",
)
SET_PAUSED = Outcome(
    Kind.CONFIGURATION,
    "Sending is paused for the configuration set {configuration_set}; switch it on in SES, then release.",
    CONFIGURATION_SET,
)
DEFAULT_SET_PAUSED = Outcome(
    Kind.CONFIGURATION,
    "Sending is paused for the default configuration set of {sender}; switch it on in SES, then release.",
    SENDER,
)
NO_SET = Outcome(
    Kind.CONFIGURATION,
    "The configuration set {configuration_set} does not exist in {region}; create it there, then release.",
    CONFIGURATION_SET,
)
TENANT_STOPPED = Outcome(
    Kind.CONFIGURATION,
    "SES has stopped the tenant {tenant} in {region}: its sending status is DISABLED. See its reputation findings in "
    "SES, and enable or reinstate it there; its mail then goes by itself.",
    TENANT,
)
NO_TENANT = Outcome(
    Kind.CONFIGURATION,
    "There is no tenant {tenant} in {region}; create it there, with what its mail uses. Its mail then goes by itself.",
    TENANT,
)
NOT_TENANTS_SENDER = Outcome(
    Kind.CONFIGURATION,
    "The sender {sender} is not associated with the tenant {tenant} in {region}; associate its identity there. The "
    "mail then goes by itself.",
    TENANT_SENDER,
)
NOT_TENANTS = Outcome(
    Kind.CONFIGURATION,
    "The tenant {tenant} in {region} lacks something that its mail from {sender} uses ({text}); associate it there. "
    "The mail then goes by itself.",
    TENANT_SENDER,
)
NOT_FOUND = Outcome(
    Kind.CONFIGURATION,
    "SES lacks something in {region} that mail of {sender} names ({text}); create it there, then release.",
    SENDER,
)
MAIL_FROM = Outcome(
    Kind.CONFIGURATION,
    "The custom MAIL FROM domain of {sender} lacks its MX record; repair the DNS, then release.",
    SENDER,
)
UNVERIFIED_SENDER = Outcome(
    Kind.UNVERIFIED_SENDER,
    "The sender {sender} (From, Sender or Return-Path) is not verified in {region}; verify the address or its domain "
    "there.",
    SENDER,
)
UNVERIFIED_RECIPIENT = Outcome(
    Kind.UNVERIFIED_RECIPIENT,
    "The sandbox in {region} sends to verified addresses only, and not verified: {recipients}. "
    "It goes after a verification, or once the account has production access.",
    RECIPIENT,
)

DENIED = Outcome(
    Kind.CONFIGURATION,
    "The IAM policy does not allow mail from {sender} ({text}); allow ses:SendEmail for it, then release.",
    SENDER,
)
DENIED_RECIPIENT = Outcome(
    Kind.CONFIGURATION,
    "The IAM policy must allow the recipients' identities too ({recipients}): SES checks them when they are in the "
    'account. Allow ses:SendEmail on the resource "*", then release.',
    RECIPIENT,
)
DENIED_SET = Outcome(
    Kind.CONFIGURATION,
    "The IAM policy does not allow the configuration set {configuration_set}; allow it, then release.",
    CONFIGURATION_SET,
)
DENIED_ACCOUNT = Outcome(
    Kind.CONFIGURATION,
    "The IAM policy does not allow sending in {region} ({text}); allow ses:SendEmail, then release.",
    "account",
)

BAD_KEYS = Outcome(
    Kind.CREDENTIALS,
    "AWS does not accept the credentials ({code}); set valid ones, and see that this machine's clock is right.",
    "credentials",
)
EXPIRED_KEYS = Outcome(
    Kind.CREDENTIALS, "The AWS credentials have expired ({code}); renew them on this machine.", "credentials"
)
NO_KEYS = Outcome(
    Kind.CREDENTIALS,
    "There are no usable AWS credentials, or no region ({code}); set them, then check with `sesq doctor`.",
    "credentials",
)
NO_SIGN_IN = Outcome(
    Kind.CREDENTIALS,
    "AWS hands out no credentials ({code}: {text}); check the profile, the role and its trust policy.",
    "credentials",
)
BAD_SMTP_KEYS = Outcome(
    Kind.CREDENTIALS,
    "SES does not accept the SMTP credentials ({text}); make new ones for {region}.",
    "credentials",
)
NO_SMTP = Outcome(
    Kind.CONFIGURATION,
    "The SMTP server does not let this host in ({text}); check its host, port and tls in sesq.toml, then release.",
    "account",
)
BAD_CERTIFICATE = Outcome(
    Kind.CONFIGURATION,
    "The server's certificate is not trusted ({text}); check host and ca_file, then release.",
    "account",
)
NOT_SES = Outcome(
    Kind.CONFIGURATION,
    "The endpoint does not answer as SES does ({code}); check the endpoint URL and the region.",
    "account",
)

BAD_CLIENT = Outcome(
    Kind.CONFIGURATION,
    "The AWS client cannot make a request ({code}); check the AWS settings with `sesq doctor`, then release.",
    "account",
)

TRANSIENT = Outcome(Kind.TRANSIENT, "SES could not take it for a moment ({code} {text}); nothing was sent.")
NO_CONNECTION = Outcome(Kind.TRANSIENT, "There is no connection to SES ({text}); nothing was sent.")
REFUSED = Outcome(Kind.REFUSED, "SES refuses this message ({code}): {text}")
TOO_BIG = Outcome(
    Kind.REFUSED, "The message is too big for SES ({code}); send less, or link to the attachments."
)
INVALID = Outcome(Kind.REFUSED, "The message does not fit into a request to SES ({code}).")
NO_REPLY = Outcome(
    Kind.UNKNOWN, "It may have been sent: SES's reply was lost ({text}). Make sure before it is sent again."
)
FAILED_LATE = Outcome(
    Kind.UNKNOWN,
    "It may have been sent: SES failed while it took it ({code}). Make sure before it is sent again.",
)
UNRECOGNIZED = Outcome(
    Kind.UNRECOGNIZED,
    "SES refuses it in words sesq does not know ({code}: {text}); release or cancel it.",
    "person",
)

DEFAULT = Outcome(
    Kind.UNKNOWN,
    "It may have been sent: the answer says nothing sesq knows ({code}). Make sure before it is sent again.",
)
"""For answers without a row. The message may have been accepted, so a person sees it, and it is not sent twice."""
