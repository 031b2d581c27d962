"""The verdict table, row by row: what SES says, and what that means for the message."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from answers import (
    API_CASES,
    ARN,
    CHECK,
    NOT_ALLOWED,
    OF_TENANT,
    PLAIN,
    RECIPIENT,
    SENDER,
    SET,
    TENANT,
    UNASSOCIATED,
)
from sesq.queue.envelope import Envelope
from sesq.worker.verdicts import Answer, Channel, Kind, judge, weigh
from sesq.worker.verdicts.identities import means, named_identities
from sesq.worker.verdicts.judge import MAX_TEXT
from sesq.worker.verdicts.table import ROWS


class Other(NamedTuple):
    """An answer through another channel."""

    channel: Channel
    code: str
    text: str
    kind: Kind
    hold: str | None = None
    envelope: Envelope = PLAIN


OTHER_CASES = [
    Other(Channel.SMTP, "454", "Throttling failure: Maximum sending rate exceeded.", Kind.RATE),
    Other(Channel.SMTP, "454", "Throttling failure: Daily message quota exceeded.", Kind.DAY_SPENT),
    Other(Channel.SMTP, "454", "Throttling failure: something else", Kind.THROTTLED),
    Other(Channel.SMTP, "454", "Temporary authentication failure", Kind.TRANSIENT),
    Other(Channel.SMTP, "421", "Too many concurrent SMTP connections", Kind.TRANSIENT),
    Other(Channel.SMTP, "451", "4.4.2 Timeout waiting for data from client.", Kind.TRANSIENT),
    Other(Channel.SMTP, "454", "Maximum SigV2 SMTP sending rate exceeded", Kind.CREDENTIALS, "credentials"),
    Other(Channel.SMTP, "530", "Authentication required", Kind.CREDENTIALS, "credentials"),
    Other(Channel.SMTP, "535", "Authentication Credentials Invalid", Kind.CREDENTIALS, "credentials"),
    Other(Channel.SMTP, "552", "Message is too long.", Kind.REFUSED),
    Other(Channel.SMTP, "553", "<x> Invalid email address", Kind.REFUSED),
    Other(Channel.SMTP, "554", "Transaction failed: Recipient count exceeds 50.", Kind.REFUSED),
    Other(
        Channel.SMTP, "554", "Message rejected: Sending suspended for this account. …", Kind.PAUSED, "account"
    ),
    Other(Channel.SMTP, "554", f"Message rejected: {CHECK}bob@x.org", Kind.UNVERIFIED_RECIPIENT, RECIPIENT),
    Other(Channel.SMTP, "554", f"Message rejected: {CHECK}shop@shop.example", Kind.UNVERIFIED_SENDER, SENDER),
    Other(
        Channel.SMTP, "554", f"Access denied: {NOT_ALLOWED}identity/bob@x.org'", Kind.CONFIGURATION, RECIPIENT
    ),
    Other(
        Channel.SMTP, "554", f"Access denied: {NOT_ALLOWED}identity/shop.example'", Kind.CONFIGURATION, SENDER
    ),
    Other(Channel.SMTP, "554", "Access denied: User a is not authorized", Kind.CONFIGURATION, "account"),
    Other(Channel.SMTP, "554", "Configuration set <news> does not exist.", Kind.CONFIGURATION, SET),
    Other(
        Channel.SMTP,
        "554",
        f"Access denied: {UNASSOCIATED} [{ARN}identity/shop.example].",
        Kind.CONFIGURATION,
        f"{TENANT}/shop@shop.example",
        OF_TENANT,
    ),
    Other(
        Channel.SMTP,
        "554",
        f"Access denied: {UNASSOCIATED} [{ARN}configuration-set/news].",
        Kind.CONFIGURATION,
        f"{TENANT}/shop@shop.example",
        OF_TENANT,
    ),
    Other(
        Channel.SMTP,
        "554",
        "Transaction failed: Tenant acme not found.",
        Kind.CONFIGURATION,
        TENANT,
        OF_TENANT,
    ),
    Other(
        Channel.SMTP,
        "554",
        "Message rejected: Sending paused for this tenant.",
        Kind.CONFIGURATION,
        TENANT,
        OF_TENANT,
    ),
    Other(Channel.SMTP, "554", "Transaction failed: Tenant acme not found.", Kind.REFUSED),
    Other(
        Channel.SIGN_IN,
        "AccessDenied",
        "not authorized to perform: sts:AssumeRole",
        Kind.CREDENTIALS,
        "credentials",
    ),
    Other(Channel.SIGN_IN, "Throttling", "Rate exceeded", Kind.TRANSIENT),
    Other(Channel.UNSENT, "ParamValidationError", "", Kind.REFUSED),
    Other(Channel.UNSENT, "NoCredentialsError", "", Kind.CREDENTIALS, "credentials"),
    Other(Channel.UNSENT, "NoRegionError", "", Kind.CREDENTIALS, "credentials"),
    Other(Channel.UNSENT, "ConnectionError", "Connection refused", Kind.TRANSIENT),
    Other(Channel.UNSENT, "SSLCertVerificationError", "self-signed", Kind.CONFIGURATION, "account"),
    Other(Channel.UNSENT, "NotLetIn", "No SMTP service here", Kind.CONFIGURATION, "account"),
    Other(Channel.UNSENT, "UnknownServiceError", "", Kind.CONFIGURATION, "account"),
    Other(Channel.LOST, "HTTPClientError", "", Kind.UNKNOWN),
    Other(Channel.LOST, "ZeroDivisionError", "", Kind.UNKNOWN),
]


def raised_by(client) -> Exception:
    with pytest.raises(Exception) as caught:
        client.api.send_email(Content={"Raw": {"Data": b"x"}})
    return caught.value


@pytest.mark.parametrize("case", API_CASES, ids=lambda case: f"{case.status}-{case.code}-{case.text}"[:70])
def test_an_answer_over_http_has_its_meaning(case, stub, aws_client):
    # Given an endpoint that answers in SES's wire form
    stub.plays.append(stub.error(case.status, case.code, case.text))

    # When the error that boto3 makes of it is judged
    verdict = judge(raised_by(aws_client), envelope=case.envelope, region="eu-west-1")

    # Then it is of that kind, holds those, and keeps SES's own words
    assert (verdict.kind, verdict.hold) == (case.kind, case.hold)
    assert verdict.code == case.code
    assert verdict.text == (case.text or "")
    assert verdict.reason


@pytest.mark.parametrize("case", OTHER_CASES, ids=lambda case: f"{case.channel}-{case.code}-{case.text}"[:70])
def test_an_answer_through_another_door_has_its_meaning(case):
    verdict = weigh(Answer(case.channel, (case.code,), case.text), envelope=case.envelope, region="eu-west-1")

    assert (verdict.kind, verdict.hold) == (case.kind, case.hold)


def test_every_row_of_the_table_is_met_by_a_case(monkeypatch):
    # Given a table that tells which rows decided
    deciding = set()
    fits = type(ROWS[0]).fits

    def noting(row, answer, concern):
        if fits(row, answer, concern):
            deciding.add(row)
            return True
        return False

    monkeypatch.setattr(type(ROWS[0]), "fits", noting)

    # When every case is weighed
    for case in API_CASES:
        answer = Answer(Channel.API, (case.code, str(case.status)), case.text or "")
        weigh(answer, envelope=case.envelope, region="r")
    for case in OTHER_CASES:
        weigh(Answer(case.channel, (case.code,), case.text), envelope=case.envelope, region="r")

    # Then no row was left without one
    assert [row for row in ROWS if row not in deciding] == []


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (Kind.TRANSIENT, "408 503 RequestTimeout RequestTimeoutException ServiceUnavailable"),
        (Kind.TRANSIENT, "ServiceUnavailableException"),
        (Kind.UNKNOWN, "500 502 504 599 InternalFailure InternalServerError InternalServiceErrorException"),
        (Kind.THROTTLED, "429 TooManyRequestsException Throttling ThrottlingException RequestThrottled"),
        (Kind.THROTTLED, "RequestThrottledException RequestLimitExceeded"),
        (Kind.CREDENTIALS, "401 403 UnrecognizedClientException InvalidClientTokenId InvalidAccessKeyId"),
        (
            Kind.CREDENTIALS,
            "SignatureDoesNotMatch InvalidSignatureException IncompleteSignature OptInRequired",
        ),
        (Kind.CREDENTIALS, "NotAuthorized RequestExpired RequestTimeTooSkewed MissingAuthenticationToken"),
        (Kind.CREDENTIALS, "ExpiredToken ExpiredTokenException"),
        (Kind.REFUSED, "413 RequestEntityTooLarge RequestEntityTooLargeException BadRequestException"),
        (Kind.REFUSED, "InvalidParameterValue ValidationException ValidationError MissingParameter"),
        (Kind.REFUSED, "SerializationException MessageRejected"),
        (Kind.CONFIGURATION, "301 404 405 UnknownOperationException InvalidAction"),
        (Kind.UNRECOGNIZED, "400 402 409 410 418 499"),
    ],
)
def test_each_code_of_a_row_has_its_meaning(kind, codes):
    found = {
        code: weigh(Answer(Channel.API, (code,), ""), envelope=PLAIN, region="r").kind
        for code in codes.split()
    }
    assert found == dict.fromkeys(found, kind)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"<html>Internal Server Error</html>", Kind.UNKNOWN),
        (502, b"<html>Bad Gateway</html>", Kind.UNKNOWN),
        (503, b"", Kind.TRANSIENT),
        (413, b"too much", Kind.REFUSED),
        (403, b"<html>Forbidden by the proxy</html>", Kind.CREDENTIALS),
        (400, b'["no", "object"]', Kind.UNKNOWN),
        (400, b"\xff\xfe", Kind.UNKNOWN),
        (200, b"\xff\xfe", Kind.UNKNOWN),
    ],
)
def test_an_answer_without_a_code_is_judged_by_its_status(status, body, kind, stub, aws_client):
    stub.plays.append(stub.reply(status, body))

    assert judge(raised_by(aws_client), envelope=PLAIN, region="eu-west-1").kind is kind


def test_the_code_in_the_body_counts_where_the_header_is_missing(stub, aws_client):
    body = {
        "__type": "com.amazonaws.ses#TooManyRequestsException",
        "Message": "Daily message quota exceeded.",
    }
    stub.plays.append(stub.reply(429, body))

    assert judge(raised_by(aws_client), envelope=PLAIN, region="eu-west-1").kind is Kind.DAY_SPENT


def test_texts_are_read_from_the_response_and_not_from_what_boto3_prints():
    # Given an error that boto3 prints with the operation and a note of its own
    error = ClientError(
        {
            "Error": {"Code": "MessageRejected", "Message": "Illegal content."},
            "ResponseMetadata": {"HTTPStatusCode": 400, "RetryAttempts": 4, "MaxAttemptsReached": True},
        },
        "SendEmail",
    )
    assert "reached max retries" in str(error)

    # When it is judged, then nothing of that note is left
    assert judge(error, envelope=PLAIN, region="eu-west-1").text == "Illegal content."


def test_a_refusal_of_the_role_is_about_credentials_and_not_about_the_sender():
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")

    assert judge(error, envelope=PLAIN, region="eu-west-1").hold == "credentials"


def test_a_reason_names_whom_it_is_about_and_the_region():
    verdict = weigh(
        Answer(Channel.API, ("MessageRejected", "400"), CHECK + "bob@x.org, Ann <ann@y.org>"),
        envelope=PLAIN,
        region="eu-west-1",
    )

    assert "bob@x.org, ann@y.org" in verdict.reason
    assert "eu-west-1" in verdict.reason
    assert verdict.identities == ("bob@x.org", "ann@y.org")


@pytest.mark.parametrize(
    ("named", "hold"),
    [
        ("Bounces <bounces@mailer.example>", "sender:bounces@mailer.example"),
        ("bounces@mailer.example, bob@x.org", "sender:bounces@mailer.example"),
        ("bounces@mailer.example, shop@shop.example", "sender:shop@shop.example"),
        ("nobody@knows.example", "sender:nobody@knows.example"),
        ("bob@x.org", "recipient:bob@x.org"),
    ],
)
def test_whom_ses_names_is_who_is_waited_for(named, hold):
    mail = Envelope(sender="shop@shop.example", to=("bob@x.org",), other_senders=("bounces@mailer.example",))

    verdict = weigh(Answer(Channel.API, ("MessageRejected",), CHECK + named), envelope=mail, region="r")

    assert verdict.hold == hold
    assert hold.partition(":")[2] in verdict.reason


def test_the_set_that_ses_names_is_the_one_that_is_waited_for():
    mail = Envelope(sender="shop@shop.example", to=("bob@x.org",), configuration_set="news")
    text = "Configuration set <other> does not exist."

    verdict = weigh(Answer(Channel.API, ("NotFoundException",), text), envelope=mail, region="r")

    assert verdict.hold == "configuration_set:other"


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        (3, "p1@x.org, p2@x.org, p3@x.org."),
        (4, "p1@x.org, p2@x.org, p3@x.org and 1 more."),
        (5, "p1@x.org, p2@x.org, p3@x.org and 2 more."),
    ],
)
def test_a_reason_lists_few_of_many_recipients_and_only_the_failing_ones(failing, told):
    crowd = Envelope(sender="shop@shop.example", to=tuple(f"p{n}@x.org" for n in range(9)))
    text = CHECK + ", ".join(crowd.to[1 : failing + 1])

    verdict = weigh(Answer(Channel.API, ("MessageRejected",), text), envelope=crowd, region="r")

    assert told in verdict.reason
    assert "p0@x.org" not in verdict.reason


@pytest.mark.parametrize(
    ("listed", "identities"),
    [
        ("a@b.c", ("a@b.c",)),
        ("a@b.c, Name <c@d.e>", ("a@b.c", "c@d.e")),
        ('"Doe, John" <j@x.org>, a@b.c', ("j@x.org", "a@b.c")),
        ("Doe, John <j@x.org>", ("j@x.org",)),
        ('"me@home, at work" <j@x.org>', ("j@x.org",)),
        ('"a \\" quote" <j@x.org>', ("j@x.org",)),
        ("yoyo <yoyo@domain.com>, yoyo@domain.com", ("yoyo@domain.com",)),
        ("Ünïcode Näme <ü@x.org>", ("ü@x.org",)),
        ("=?UTF-8?B?w4Q=?= <a@b.c>", ("a@b.c",)),
        ("a@b.c, d@e.f, ...", ("a@b.c", "d@e.f")),
        ("a@b.c, d@e.f...", ("a@b.c", "d@e.f")),
        ("a@b.c, Some Na...", ("a@b.c",)),
        ('a@b.c, "Some Na...', ("a@b.c",)),
        ("a@b.c,d@e.f", ("a@b.c", "d@e.f")),
        ("", ()),
    ],
)
def test_the_identities_of_a_failed_check_are_read_whatever_their_form(listed, identities):
    assert named_identities(CHECK + listed) == identities


def test_as_much_of_a_text_as_is_kept_stays_whole_and_a_longer_one_says_that_it_goes_on():
    def kept(text):
        return weigh(Answer(Channel.API, ("MessageRejected",), text), envelope=PLAIN, region="r").text

    assert kept("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert kept("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - 1) + "…"


@pytest.mark.parametrize(
    ("identity", "address", "meant"),
    [
        ("bob@x.org", "bob@x.org", True),
        ("BOB@X.org", "bob@x.org", True),
        ("bob@x.org", "bob+news@x.org", True),
        ("bob+news@x.org", "bob@x.org", False),
        ("x.org", "bob@mail.x.org", True),
        ("x.org", "bob@box.org", False),
        ("mail.x.org", "bob@x.org", False),
    ],
)
def test_whom_an_identity_means(identity, address, meant):
    assert means(identity, address) is meant


@given(
    channel=st.sampled_from(Channel),
    codes=st.lists(st.text(max_size=30), min_size=1, max_size=3).map(tuple),
    text=st.text() | st.text().map(lambda tail: CHECK + tail) | st.just("{curly} {0}"),
)
def test_whatever_is_said_there_is_a_verdict(channel, codes, text):
    verdict = weigh(Answer(channel, codes, text), envelope=PLAIN, region="r")

    assert verdict.reason
    assert len(verdict.text) <= MAX_TEXT
    assert "\n" not in verdict.text


@given(
    error=st.sampled_from(
        [ValueError("x"), ConnectionResetError(104, "reset"), RuntimeError(), MemoryError()]
    )
)
def test_an_exception_nobody_expected_is_unknown_and_quotes_nothing(error):
    verdict = judge(error, envelope=PLAIN, region="r")

    assert verdict.kind is Kind.UNKNOWN
    assert "x" not in verdict.text
