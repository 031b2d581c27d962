"""What GetAccount and the identity list say, in one control call a second over all processes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from redis import Redis

from sesq.queue.gate import Gate
from sesq.queue.keys import Keys
from sesq.queue.snapshot import read_snapshot
from sesq.worker.account import AccountUnavailable, AccountUnreadable, ControlCalls, SesAccount
from sesq.worker.sync import AccountSync
from sesq.worker.transports.client import AwsClient

KEYS = Keys("default")
QUOTA = {"MaxSendRate": 14.0, "Max24HourSend": 50_000.0, "SentLast24Hours": 123.0}
ACCOUNT = {
    "SendQuota": QUOTA,
    "ProductionAccessEnabled": True,
    "SendingEnabled": True,
    "EnforcementStatus": "HEALTHY",
}


class Calls:
    """In place of ControlCalls: counts."""

    made = 0

    def wait(self) -> None:
        self.made += 1


@pytest.fixture
def ses(aws_client: AwsClient, stub: Any) -> SesAccount:
    return SesAccount(aws_client, Calls())  # type: ignore[arg-type]


def identity(name: str, **fields: Any) -> dict[str, Any]:
    return {"IdentityName": name, **fields}


def test_an_account_as_ses_describes_it(ses: SesAccount, stub: Any) -> None:
    listed = [
        identity("example.com", VerificationStatus="SUCCESS", SendingEnabled=True),
        identity("bob@example.org", VerificationStatus="PENDING", SendingEnabled=False),
        identity("old.example", SendingEnabled=True),
    ]
    stub.plays.extend([stub.reply(200, ACCOUNT), stub.reply(200, {"EmailIdentities": listed})])
    told = ses.describe()
    assert (told.rate, told.daily, told.sent) == (14.0, 50_000.0, 123.0)
    assert (told.production, told.sending, told.paused_because) == (True, True, "")
    assert told.identities == {"example.com": True, "bob@example.org": False, "old.example": True}
    assert ses.calls.made == 2


def test_all_pages_are_read_each_with_a_call_of_its_own(ses: SesAccount, stub: Any) -> None:
    pages = [{"EmailIdentities": [identity(f"{i}.example")], "NextToken": f"t{i}"} for i in range(2)]
    pages.append({"EmailIdentities": [identity("last.example")]})
    stub.plays.extend([stub.reply(200, ACCOUNT), *(stub.reply(200, page) for page in pages)])
    assert set(ses.describe().identities or ()) == {"0.example", "1.example", "last.example"}
    assert ses.calls.made == 4


@pytest.mark.parametrize(
    ("account", "why"),
    [
        ({"SendingEnabled": False}, "switched off"),
        ({"EnforcementStatus": "SHUTDOWN"}, "SHUTDOWN"),
        ({"EnforcementStatus": "PROBATION"}, ""),
        (
            {"SendQuota": {"MaxSendRate": 0.0, "Max24HourSend": 0.0, "SentLast24Hours": 0.0}},
            "no sending rate",
        ),
    ],
)
def test_why_an_account_does_not_send(ses: SesAccount, stub: Any, account: dict[str, Any], why: str) -> None:
    stub.plays.extend([stub.reply(200, {**ACCOUNT, **account}), stub.reply(200, {"EmailIdentities": []})])
    told = ses.describe()
    assert (told.sending, told.paused_because == "") == (not why, not why)
    assert why in told.paused_because


def test_credentials_that_may_not_list_leave_identities_to_ses(ses: SesAccount, stub: Any) -> None:
    stub.plays.extend([stub.reply(200, ACCOUNT), stub.error(403, "AccessDeniedException", "not authorized")])
    assert ses.describe().identities is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda stub: stub.error(404, "NotFoundException", "no such operation"),
        lambda stub: stub.error(429, "TooManyRequestsException", "Rate exceeded"),
        lambda stub: stub.reply(500, b"<html>oops</html>"),
        lambda stub: stub.reply(503, b""),
        lambda stub: stub.reply(200, b"<html>a proxy's page</html>"),
        lambda stub: stub.reply(200, {}),
        lambda stub: stub.reply(200, {"EmailIdentities": [{}]}),
        lambda stub: stub.reply(200, {"EmailIdentities": [None]}),
        lambda stub: stub.reset,
    ],
)
def test_an_account_that_is_described_sends_though_its_identities_are_not_listed(
    redis: Redis, ses: SesAccount, stub: Any, answer: Any
) -> None:
    stub.plays.extend([stub.reply(200, ACCOUNT), answer(stub)])
    # When the account is synced
    AccountSync(redis, "default", ses, "eu-west-1", 60.0).run()
    # Then its limits count, and SES judges the identities
    usage, snapshot = Gate(redis).usage(), read_snapshot(redis, "default")
    assert (usage.closed, usage.rate, usage.daily) == (None, 14.0, 50_000.0)
    assert (snapshot.readable, snapshot.listed) == (True, False)
    # and whoever looks is told why
    stub.plays.extend([stub.reply(200, ACCOUNT), answer(stub)])
    told = ses.describe()
    assert told.identities is None
    assert "list" in told.unlisted_because


@pytest.mark.parametrize("value", [None, -5, float("nan"), float("inf")])
@pytest.mark.parametrize("name", QUOTA)
def test_what_is_no_limit_is_no_answer(ses: SesAccount, stub: Any, name: str, value: Any) -> None:
    quota = {**QUOTA, name: value}
    body = json.dumps({**ACCOUNT, "SendQuota": quota}).encode()
    stub.plays.append(stub.reply(200, body))
    with pytest.raises(AccountUnavailable, match=name):
        ses.describe()


def test_credentials_that_may_not_read_the_account(ses: SesAccount, stub: Any) -> None:
    stub.plays.append(stub.error(403, "AccessDeniedException", "not authorized to perform ses:GetAccount"))
    with pytest.raises(AccountUnreadable, match="ses:GetAccount"):
        ses.describe()


@pytest.mark.parametrize(
    "answer",
    [
        lambda stub: stub.error(429, "TooManyRequestsException", "Rate exceeded"),
        lambda stub: stub.error(400, "Whatever", None),
        lambda stub: stub.reply(500, b"<html>oops</html>"),
        lambda stub: stub.reply(200, b"<html>a proxy's page</html>"),
        lambda stub: stub.reply(200, {}),
        lambda stub: stub.reset,
    ],
    ids=["throttled", "no text", "500", "a proxy", "another service", "reset"],
)
def test_whatever_else_comes_it_is_unavailable_this_time(ses: SesAccount, stub: Any, answer: Any) -> None:
    stub.plays.append(answer(stub))
    with pytest.raises(AccountUnavailable) as raised:
        ses.describe()
    assert str(raised.value)


def test_one_control_call_a_second_whoever_asks(redis: Redis) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        redis.delete(KEYS.control)  # the second is over

    calls, others = ControlCalls(redis, "default", sleep), ControlCalls(redis, "default", sleep)
    ControlCalls(redis, "shop", sleep).wait()
    calls.wait()
    assert slept == []
    others.wait()
    assert len(slept) == 1
    assert 0.9 < slept[0] <= 1.05


def test_a_clock_that_is_set_back_stops_no_control_call(redis: Redis) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        redis.delete(KEYS.control)

    calls = ControlCalls(redis, "default", sleep)
    calls.wait()
    # When Redis's clock is set back an hour: what is kept lies in the future, and so does its end
    ahead = round((time.time() + 3600) * 1000)
    redis.set(KEYS.control, ahead, px=3_600_000)
    # Then nobody waits for it
    calls.wait()
    assert slept == []
