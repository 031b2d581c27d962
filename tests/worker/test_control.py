"""SES's control calls: what is asked, what a refusal becomes, and what an application must say."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sesq.config.errors import InputError
from sesq.worker.control import Access, Application, IdentityBook
from sesq.worker.control.access import ReviewConflict, apply
from sesq.worker.control.calls import ControlRefused, SesControl
from sesq.worker.control.identities import DnsRecord, Identity

GOOD = {"mail_type": "MARKETING", "website": "https://x.example", "use_case": "News"}
LONG_SITE = "https://" + "x" * 992


class Api:
    """In place of boto3's client: gives these answers in turn, and tells what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.api = self
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.asked.append((operation, parameters))
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class Calls:
    made = 0

    def wait(self) -> None:
        self.made += 1


def control(api: Api) -> SesControl:
    return SesControl(api, Calls())  # type: ignore[arg-type]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


@pytest.mark.parametrize(
    ("fits", "one_more", "said"),
    [
        ({"website": LONG_SITE}, {"website": LONG_SITE + "x"}, "website"),
        ({"website": "http://x.example"}, {"website": "ftp://x.example"}, "website"),
        ({"use_case": "x" * 5000}, {"use_case": "x" * 5001}, "use case"),
        ({"use_case": "x"}, {"use_case": " "}, "use case"),
        ({"language": "JA"}, {"language": "FR"}, "language: 'FR'; allowed: EN, JA"),
        ({"mail_type": "TRANSACTIONAL"}, {"mail_type": "marketing"}, "mail type"),
        ({"contacts": ("a@example.org",) * 4}, {"contacts": ("a@example.org",) * 5}, "contacts"),
    ],
)
def test_an_application_says_what_ses_takes_and_no_more(
    fits: dict[str, Any], one_more: dict[str, Any], said: str
) -> None:
    api = Api({})
    apply(control(api), Application(**{**GOOD, **fits}))
    assert api.asked[0][1]["ProductionAccessEnabled"] is True
    with pytest.raises(InputError, match=said):
        Application(**{**GOOD, **one_more})


def test_the_request_says_all_of_it() -> None:
    request = {"MailType": "MARKETING", "WebsiteURL": "https://x.example", "UseCaseDescription": "News"}
    request |= {"ContactLanguage": "EN", "ProductionAccessEnabled": True}
    assert Application(**GOOD).request() == request
    contacts = Application(**GOOD, contacts=("a@example.org",)).request()
    assert contacts == {**request, "AdditionalContactEmailAddresses": ["a@example.org"]}


def test_a_request_while_one_is_under_review_is_told_apart_from_a_refusal() -> None:
    for code, error in (("ConflictException", ReviewConflict), ("BadRequestException", ControlRefused)):
        with pytest.raises(error):
            apply(control(Api(refused(code))), Application(**GOOD))


def test_what_an_account_may_do() -> None:
    quota = {"MaxSendRate": 7.0, "Max24HourSend": 900.0, "SentLast24Hours": 5.0}
    review = {"ReviewDetails": {"Status": "DENIED", "CaseId": "c-1"}, "MailType": "MARKETING"}
    told = {"SendQuota": quota, "Details": review, "EnforcementStatus": "PROBATION", "SendingEnabled": False}
    access = Access.read(control(Api({**told, "ProductionAccessEnabled": True})))
    assert (access.production, access.sending, access.enforcement) == (True, False, "PROBATION")
    assert (access.rate, access.daily, access.sent) == (7.0, 900.0, 5.0)
    assert (access.review.status, access.review.case_id, access.review.settled) == ("DENIED", "c-1", True)
    assert (access.details, access.as_json()["mode"]) == ({"MailType": "MARKETING"}, "production")
    nothing = Access.read(control(Api({})))
    assert (nothing.production, nothing.sending, nothing.rate, nothing.daily) == (False, True, 0.0, 0.0)
    assert (nothing.review.status, nothing.review.settled, nothing.as_json()["mode"]) == (
        "",
        False,
        "sandbox",
    )


@pytest.mark.parametrize(
    ("status", "settled"), [("PENDING", False), ("GRANTED", True), ("DENIED", True), ("FAILED", True)]
)
def test_a_review_is_settled_by_an_answer(status: str, settled: bool) -> None:
    api = Api({"Details": {"ReviewDetails": {"Status": status}}})
    assert Access.read(control(api)).review.settled is settled


def test_all_pages_of_a_list_are_asked_for_each_with_a_call_of_its_own() -> None:
    api = Api(
        {"EmailIdentities": [{"IdentityName": "a.example", "SendingEnabled": True}], "NextToken": "t"},
        {"EmailIdentities": [{"IdentityName": "b@c.example", "IdentityType": "EMAIL_ADDRESS"}]},
    )
    calls = Calls()
    listed = IdentityBook(SesControl(api, calls)).list()  # type: ignore[arg-type]
    assert listed == [
        Identity("a.example", "domain", "SUCCESS", True),
        Identity("b@c.example", "address", "PENDING", False),
    ]
    assert [parameters for _, parameters in api.asked] == [
        {"PageSize": 1000},
        {"PageSize": 1000, "NextToken": "t"},
    ]
    assert calls.made == 2


def test_a_verification_shows_the_records_that_the_domain_needs() -> None:
    told: dict[str, Any] = {
        "VerificationStatus": "FAILED",
        "VerifiedForSendingStatus": False,
        "VerificationInfo": {"ErrorType": "HOST_NOT_FOUND"},
        "DkimAttributes": {"Tokens": ["t1", "t2"]},
    }
    # Whether SES knew it before or not
    for first in ({}, refused("AlreadyExistsException")):
        api = Api(first, told)
        identity = IdentityBook(control(api)).verify("x.example")
        assert [operation for operation, _ in api.asked] == ["create_email_identity", "get_email_identity"]
        assert {parameters["EmailIdentity"] for _, parameters in api.asked} == {"x.example"}
        assert (identity.status, identity.verified, identity.error) == ("FAILED", False, "HOST_NOT_FOUND")
        assert identity.records == tuple(
            DnsRecord(f"{token}._domainkey.x.example", "CNAME", f"{token}.dkim.amazonses.com")
            for token in ("t1", "t2")
        )
    with pytest.raises(ControlRefused):
        IdentityBook(control(Api(refused("LimitExceededException")))).verify("x.example")
    # SES may sign in another zone, and needs no records for a key of the domain's own
    for dkim, values in (
        ({"Tokens": ["t"], "SigningHostedZone": "z.example"}, ["t.z.example"]),
        ({"Tokens": ["t"], "SigningAttributesOrigin": "EXTERNAL"}, []),
    ):
        found = IdentityBook(control(Api({**told, "DkimAttributes": dkim}))).get("x.example")
        assert [record.value for record in found.records] == values
