"""Faults set at run time, and `/_sim/` over HTTP."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError


@pytest.fixture
def control(ses):
    def call(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(ses.endpoint_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    return call


def test_lost_reply_was_accepted_and_reset_was_not(ses, sesv2, mail):
    ses.set_faults(lose_reply={"count": 1})
    with pytest.raises(ConnectionClosedError):
        sesv2.send_email(**mail())
    ses.advance(1)
    ses.set_faults(reset={"count": 1})
    with pytest.raises(ConnectionClosedError):
        sesv2.send_email(**mail())
    sesv2.send_email(**mail())
    first, second, third = ses.messages()
    assert (first["accepted"], first["reply_lost"]) == (True, True)
    assert (second["accepted"], second["kind"]) == (False, "reset")
    assert (third["accepted"], third["reply_lost"]) == (True, False)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("unavailable", 503, "ServiceUnavailable"),
        ("internal_error", 500, "InternalFailure"),
        ("throttle", 429, "TooManyRequestsException"),
        ("daily", 429, "TooManyRequestsException"),
        ("paused", 400, "SendingPausedException"),
    ],
)
def test_refusing_faults_accept_nothing(ses, sesv2, mail, fault, status, code):
    ses.set_faults({fault: {"count": 1}})
    with pytest.raises(ClientError) as refused:
        sesv2.send_email(**mail())
    sesv2.send_email(**mail())
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert refused.value.response["Error"]["Code"] == code
    assert ses.report()["refused"] == {fault: 1}


def test_an_answer_of_the_control_is_one_line_also_if_it_is_an_error(ses):
    # Given somebody who asks with curl, Then the prompt of the shell comes on a line of its own
    with urllib.request.urlopen(ses.endpoint_url + "/_sim/clock", timeout=10) as reply:
        assert reply.read().endswith(b"}\n")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(ses.endpoint_url + "/_sim/messages?since=soon", timeout=10)
    assert refused.value.read().endswith(b"}\n")


def test_messages_since_a_moment_are_those_of_it_and_later(ses, sesv2, mail, control):
    for _ in range(3):
        sesv2.send_email(**mail())
        ses.advance(1)
    times = [each["at"] for each in ses.messages()]
    told = control("GET", f"/_sim/messages?since={times[1]!r}")
    assert [each["at"] for each in told] == times[1:]


def test_same_seed_same_faults(ses, sesv2, mail):
    def outcomes():
        ses.reset()
        ses.set_account(max_send_rate=1000)
        ses.advance(1)
        ses.set_faults(unavailable=0.5, seed=7)
        for _ in range(20):
            with contextlib.suppress(ClientError):
                sesv2.send_email(**mail())
        return [message["accepted"] for message in ses.messages()]

    first = outcomes()
    assert first == outcomes()
    assert len(set(first)) == 2


def test_control_over_http(ses, control, sesv2, mail):
    assert (
        control("PUT", "/_sim/account", {"production_access": True, "max_send_rate": 5, "burst": 2})["tokens"]
        == 1
    )
    assert control("POST", "/_sim/clock", {"freeze": True})["frozen"]
    before = control("GET", "/_sim/clock")["now"]
    assert control("POST", "/_sim/clock", {"advance": 86400})["now"] == pytest.approx(before + 86400, abs=300)
    assert control("POST", "/_sim/identities/new@other.org/verify")["status"] == "SUCCESS"
    assert control("PUT", "/_sim/faults", {"throttle": {"count": 1}}) == {
        "throttle": {"probability": 1, "count": 1}
    }
    for _ in range(2):
        with contextlib.suppress(ClientError):
            sesv2.send_email(**mail("x@y.org", sender="new@other.org"))
    refused, accepted = control("GET", "/_sim/messages?content=1")
    assert refused["kind"] == "throttle"
    assert accepted["content"]["Simple"]["Body"]["Text"]["Data"] == "Hello"
    assert [each["number"] for each in control("GET", "/_sim/messages?limit=1")] == [2]
    assert control("GET", f"/_sim/messages?since={accepted['at'] + 1}") == []
    assert control("GET", "/_sim/report")["accepted"] == 1
    assert control("GET", "/_sim/report?region=eu-west-1")["accepted"] == 0
    assert control("POST", "/_sim/reset")["sent_last_24_hours"] == 0
    assert control("GET", "/_sim/messages") == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/_sim/account", {"max_send_rate": 0}),
        ("PUT", "/_sim/account", {"max_sendrate": 1}),
        ("PUT", "/_sim/account", {"max_24_hour_send": -0.5}),
        ("PUT", "/_sim/account", []),
        ("PUT", "/_sim/faults", {"lose_replies": 1}),
        ("PUT", "/_sim/faults", {"reset": 1.5}),
        ("POST", "/_sim/clock", {"advance": -1}),
        ("POST", "/_sim/clock", {"advance": 1e300}),
        ("POST", "/_sim/clock", {"back": 1}),
        ("POST", "/_sim/identities/nonsense/verify", None),
        ("GET", "/_sim/messages?limit=x", None),
        ("GET", "/_sim/report?region=../etc", None),
    ],
)
def test_wrong_use_is_told(control, method, path, body):
    with pytest.raises(urllib.error.HTTPError) as refused:
        control(method, path, body)
    assert refused.value.code == 400
    assert 0 < len(refused.value.read()) < 200
    refused.value.close()
