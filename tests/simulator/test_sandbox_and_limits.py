"""The sandbox, the rate and the day, through the real botocore."""

from __future__ import annotations

import re

import pytest

from sesq.simulator import Simulator


def test_rate_is_one_recipient_a_second(ses, sesv2, mail):
    # Given a message that took the only token
    sesv2.send_email(**mail())
    # When another follows at once, and one a second later
    with pytest.raises(sesv2.exceptions.TooManyRequestsException) as refused:
        sesv2.send_email(**mail())
    ses.advance(1)
    sesv2.send_email(**mail())
    # Then only the hasty one was refused, in SES's words
    assert refused.value.response["Error"]["Message"] == "Maximum sending rate exceeded."
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert ses.report() == {
        "accepted": 2,
        "recipients": 2,
        "refused": {"throttle": 1},
        "throttles": 1,
        "max_recipients_in_1s": 1,
        "max_recipients_in_24h": 2,
        "duplicates": 0,
    }


DAY = 24 * 3600


@pytest.mark.parametrize(("short_of_a_day", "counted"), [(0.001, 1.0), (0, 0.0), (-0.001, 0.0)])
def test_a_message_counts_until_it_is_a_day_old_and_not_longer(ses, sesv2, mail, short_of_a_day, counted):
    # Given a day of one recipient that is spent
    ses.set_account(max_24_hour_send=1)
    sesv2.send_email(**mail())
    # When it is almost, just, or more than a day old
    ses.advance(DAY - short_of_a_day)
    # Then it counts or does not: for the account, for the next message, and in the record
    assert sesv2.get_account()["SendQuota"]["SentLast24Hours"] == counted
    if counted:
        with pytest.raises(sesv2.exceptions.TooManyRequestsException):
            sesv2.send_email(**mail())
    ses.set_account(max_24_hour_send=2)
    sesv2.send_email(**mail())
    assert ses.report()["max_recipients_in_24h"] == 1 + counted


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ("From: bad@x.org", {}),
        ("From: shop@example.com, bad@x.org", {}),
        ("From: shop@example.com\r\nSender: bad@x.org", {}),
        ("From: shop@example.com\r\nReturn-Path: <bad@x.org>", {}),
        ("From: shop@example.com", {"FromEmailAddress": "bad@x.org"}),
        ("From: shop@example.com", {"FeedbackForwardingEmailAddress": "bad@x.org"}),
    ],
)
def test_every_sender_that_a_raw_mail_names_has_to_be_verified(ses, sesv2, headers, parameters):
    raw = f"{headers}\r\nTo: ada@example.org\r\n\r\nHi".encode()
    with pytest.raises(sesv2.exceptions.MessageRejected, match=r"in region US-EAST-1: bad@x\.org$"):
        sesv2.send_email(Content={"Raw": {"Data": raw}}, **parameters)
    # And once it is, the mail goes
    ses.verify("x.org")
    sesv2.send_email(Content={"Raw": {"Data": raw}}, **parameters)


def test_many_recipients_leave_a_debt(ses, sesv2, mail):
    ses.verify("example.org")
    # Given ten recipients taken with one token
    sesv2.send_email(**mail(*(f"r{number}@example.org" for number in range(10))))
    # When nine seconds pass, Then nothing goes; When the tenth has passed, Then one goes
    ses.advance(9)
    with pytest.raises(sesv2.exceptions.TooManyRequestsException):
        sesv2.send_email(**mail())
    ses.advance(1)
    sesv2.send_email(**mail())


def test_day_is_rolling_and_exact_to_the_second(ses, sesv2, mail):
    # Given a quota of two, used an hour apart
    ses.set_account(max_24_hour_send=2)
    sesv2.send_email(**mail())
    ses.advance(3600)
    sesv2.send_email(**mail())
    # When the first is a second short of a day old, Then a third is refused by the day's text
    ses.advance(23 * 3600 - 1)
    with pytest.raises(sesv2.exceptions.TooManyRequestsException) as refused:
        sesv2.send_email(**mail())
    assert refused.value.response["Error"]["Message"] == "Daily message quota exceeded."
    # When that second has passed, Then it goes, and the record never saw three in a day
    ses.advance(1)
    sesv2.send_email(**mail())
    assert ses.report()["max_recipients_in_24h"] == 2


def test_message_that_would_exceed_the_day_is_refused_whole(ses, sesv2, mail):
    ses.set_account(max_24_hour_send=2, burst=3)
    ses.advance(2)
    with pytest.raises(sesv2.exceptions.TooManyRequestsException, match="Daily"):
        sesv2.send_email(**mail("ada@example.org", "ada@example.org", "ada@example.org"))


def test_mailbox_simulator_uses_rate_but_no_day(ses, sesv2, mail):
    ses.set_account(max_24_hour_send=0)
    sesv2.send_email(**mail("success+label@simulator.amazonses.com"))
    with pytest.raises(sesv2.exceptions.TooManyRequestsException, match="sending rate"):
        sesv2.send_email(**mail("bounce@simulator.amazonses.com"))
    # while nobody else gets any mail of a day of nothing
    ses.advance(1)
    with pytest.raises(sesv2.exceptions.TooManyRequestsException, match="Daily"):
        sesv2.send_email(**mail())
    assert ses.report()["max_recipients_in_24h"] == 0


def test_unverified_are_all_named_as_given_with_the_region_in_capitals(ses, sesv2, mail):
    with pytest.raises(sesv2.exceptions.MessageRejected) as refused:
        sesv2.send_email(**mail("Bob <bob@x.org>", "ada@example.org", sender="Me <me@other.org>"))
    assert refused.value.response["Error"]["Message"] == (
        "Email address is not verified. The following identities failed the check in region US-EAST-1: "
        "Me <me@other.org>, Bob <bob@x.org>"
    )


def test_production_checks_the_sender_alone(ses, sesv2, mail):
    ses.set_account(production_access=True)
    sesv2.send_email(**mail("anyone@anywhere.org"))
    ses.advance(1)
    with pytest.raises(sesv2.exceptions.MessageRejected, match=r"US-EAST-1: me@other\.org"):
        sesv2.send_email(**mail("anyone@anywhere.org", sender="me@other.org"))


@pytest.mark.parametrize(
    ("verified", "sender", "goes"),
    [
        ("example.net", "a@example.net", True),
        ("example.net", "a@EXAMPLE.net", True),
        ("example.net", "a@deep.sub.example.net", True),
        ("sub.example.net", "a@example.net", False),
        ("badexample.net", "a@example.net", False),
        ("example.net", "a@badexample.net", False),
        ("a@example.net", "a+label@example.net", True),
        ("a+label@example.net", "a@example.net", False),
        ("a@example.net", "A@example.net", False),
        ("a@EXAMPLE.net", "a@example.net", False),
        ("a@example.net", "b@example.net", False),
    ],
)
def test_what_an_identity_covers(ses, sesv2, mail, verified, sender, goes):
    ses.verify(verified)
    if goes:
        assert sesv2.send_email(**mail(sender=sender))["MessageId"]
    else:
        with pytest.raises(sesv2.exceptions.MessageRejected):
            sesv2.send_email(**mail(sender=sender))


def test_regions_share_nothing_but_the_clock(ses, client_for, sesv2, mail):
    ireland = client_for(region="eu-west-1")
    ses.verify("bob@x.org", region="eu-west-1")
    sesv2.send_email(**mail())
    ireland.send_email(**mail("bob@x.org"))
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("bob@x.org"))
    assert ses.report("eu-west-1")["accepted"] == ses.report()["accepted"] == 1
    ireland.close()


def test_message_id_has_the_form_of_ses(ses, sesv2, mail):
    message_id = sesv2.send_email(**mail())["MessageId"]
    assert re.fullmatch(r"0100[0-9a-f]{12}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-000000", message_id)
    assert int(message_id[4:16], 16) == int(ses.messages()[0]["at"] * 1000)


def test_tokens_stay_when_the_rate_changes(ses, sesv2, mail):
    # Given an empty bucket at 1/s
    sesv2.send_email(**mail())
    # When the rate is raised, Then nothing is given away
    ses.set_account(max_send_rate=10)
    with pytest.raises(sesv2.exceptions.TooManyRequestsException):
        sesv2.send_email(**mail())
    ses.advance(0.1)
    sesv2.send_email(**mail())


def test_same_sesq_id_twice_is_a_duplicate(ses, sesv2, mail):
    for _ in range(3):
        sesv2.send_email(**mail(tags={"sesq-id": "m-1"}))
        ses.advance(1)
    sesv2.send_email(**mail(tags={"sesq-id": "m-2"}))
    assert ses.report()["duplicates"] == 2


def test_pause_by_the_account_can_be_lifted_but_not_one_by_aws(ses, sesv2, mail):
    sesv2.put_account_sending_attributes(SendingEnabled=False)
    with pytest.raises(sesv2.exceptions.SendingPausedException):
        sesv2.send_email(**mail())
    sesv2.put_account_sending_attributes(SendingEnabled=True)
    sesv2.send_email(**mail())
    ses.set_account(enforcement_status="SHUTDOWN")
    sesv2.put_account_sending_attributes(SendingEnabled=True)
    assert sesv2.get_account()["SendingEnabled"] is False
    with pytest.raises(sesv2.exceptions.SendingPausedException):
        sesv2.send_email(**mail())


def test_get_account_tells_the_quota_and_may_lag(ses, sesv2, mail):
    sesv2.send_email(**mail())
    quota = {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 1.0}
    answer = sesv2.get_account()
    assert answer["SendQuota"] == quota
    assert answer["ProductionAccessEnabled"] is False
    ses.set_account(sent_lag=60)
    assert sesv2.get_account()["SendQuota"] == quota | {"SentLast24Hours": 0.0}
    ses.advance(60)
    assert sesv2.get_account()["SendQuota"] == quota


def test_failed_calls_use_rate_only_where_set(ses, sesv2, mail):
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("bob@x.org"))
    sesv2.send_email(**mail())
    ses.advance(1)
    ses.set_account(failed_calls_use_rate=True)
    with pytest.raises(sesv2.exceptions.MessageRejected):
        sesv2.send_email(**mail("bob@x.org"))
    with pytest.raises(sesv2.exceptions.TooManyRequestsException):
        sesv2.send_email(**mail())


def test_a_throttled_call_uses_no_rate_even_where_failed_calls_do(ses, sesv2, mail):
    # Given failed calls that use rate, and a spent second in which five more calls are throttled
    ses.set_account(failed_calls_use_rate=True)
    sesv2.send_email(**mail())
    for _ in range(5):
        with pytest.raises(sesv2.exceptions.TooManyRequestsException):
            sesv2.send_email(**mail())
    # When a second has passed, Then the next one goes
    ses.advance(1)
    sesv2.send_email(**mail())


@pytest.mark.parametrize(
    ("options", "rate", "daily"),
    [
        ({}, 1.0, 200.0),
        ({"production": True}, 14.0, 50_000.0),
        ({"production": True, "max_send_rate": 2}, 2.0, 50_000.0),
        ({"production": True, "max_24_hour_send": -1}, 14.0, -1.0),
    ],
)
def test_a_quota_that_is_not_set_is_the_usual_one(options, rate, daily):
    # Given an account in the sandbox or out of it, with a quota that is set, or not
    with Simulator(**options) as ses:
        # Then what is not set is what SES usually allows there
        account = ses.account()
        assert (account["max_send_rate"], account["max_24_hour_send"]) == (rate, daily)


@pytest.mark.parametrize(
    ("options", "rate", "daily"), [({}, 14.0, 50_000.0), ({"max_send_rate": 2}, 2.0, 50_000.0)]
)
def test_an_account_that_leaves_the_sandbox_gets_the_usual_quota_of_production(options, rate, daily):
    with Simulator(**options) as ses:
        # Given an account in the sandbox, of which another setting was changed
        ses.set_account(sent_lag=1)
        # When AWS grants it production access
        ses.set_account(review="GRANTED")
        account = ses.account()
        # Then it has the quota of production, except for what was set
        assert (account["max_send_rate"], account["max_24_hour_send"]) == (rate, daily)
