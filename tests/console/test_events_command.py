"""`sesq events` as scripts see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from redis import Redis

from sesq.queue.keys import Keys
from sesq.queue.snapshot import redis_now
from sesq.simulator import Simulator
from sesq.worker.events import Feedback
from sesq.worker.transports.client import AwsClient, ClientSettings

Run = Callable[..., Any]


@pytest.fixture
def ses(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    with Simulator(control_rate=None, production=True, verified=["example.com"]) as simulator:
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__ENDPOINT_URL", simulator.endpoint_url)
        yield simulator


def test_setup_prints_what_it_would_make_and_makes_nothing(run: Run, run_json: Run, ses: Simulator) -> None:
    ran = run("events", "setup")
    assert (ran.exit_code, "--yes" in ran.stdout) == (0, True)
    for part in ("sns:Publish", "sqs:SendMessage", "BOUNCE", "arn:aws:sqs:us-east-1:<account>:sesq-events"):
        assert part in ran.stdout
    assert run_json("events", "setup")["created"] is False
    with mock_aws():
        assert "sesq-events" not in run("events", "setup", "--json").stderr


def test_setup_makes_it_after_a_yes_and_says_what_goes_into_the_settings(
    run: Run, run_json: Run, ses: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an SES that is simulated: then nothing is made at AWS beside it
    refused = run("events", "setup", "--yes", "--name", "mail")
    assert (refused.exit_code, "AWS_ENDPOINT_URL_SNS" in refused.stderr) == (2, True)
    # When SNS and SQS are simulated as well
    for service in ("SNS", "SQS"):
        monkeypatch.setenv(
            f"AWS_ENDPOINT_URL_{service}", f"https://{service.lower()}.us-east-1.amazonaws.com"
        )
    with mock_aws():
        told = run_json("events", "setup", "--yes", "--name", "mail")
        assert (told["created"], told["configuration_set"]) == (True, "mail")
        assert told["queue_url"].endswith("/mail")
        again = run("events", "setup", "--yes", "--name", "mail")
        assert (again.exit_code, f'queue_url = "{told["queue_url"]}"' in again.stdout) == (0, True)


def test_without_a_queue_or_a_topic_it_says_how_to_get_one(run: Run) -> None:
    for words in (("events",), ("events", "endpoint")):
        ran = run(*words)
        assert (ran.exit_code, "is not set" in ran.stderr) == (2, True)


def test_a_burst_reads_what_is_there(run: Run, ses: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    ses.set_events(queue="events")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", ses.endpoint_url)
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL", f"{ses.endpoint_url}/000000000000/events")
    assert run("events", "--burst").exit_code == 0


def test_poison_is_shown_without_what_a_terminal_would_obey(run: Run, run_json: Run, redis: Redis) -> None:
    assert "nothing was set apart" in run("events", "poison").stdout
    Feedback(redis, "default").handle("\x1b[31mred")
    assert "\x1b" not in run("events", "poison").stdout
    (entry,) = run_json("events", "poison")
    assert (entry["body"], entry["why"]) == ("\x1b[31mred", "it is not JSON")


def test_a_pause_of_the_account_is_shown_as_a_notice(run: Run, run_json: Run, redis: Redis) -> None:
    assert "no notices came" in run("events", "notices").stdout
    pause = {
        "detail-type": "Sending Status Disabled",
        "source": "aws.ses",
        "resources": ["arn:aws:ses:us-east-1:123456789012:identity/example.com\x1b[31m"],
        "detail": {"data": {"record": {"status": "DISABLED", "cause": "MANUAL"}}},
    }
    Feedback(redis, "default").handle(json.dumps(pause))
    shown = run("events", "notices").stdout
    assert ("sending paused" in shown, "\x1b" in shown) == (True, False)
    (entry,) = run_json("events", "notices")
    assert (entry["kind"], entry["text"].endswith("; the cause: MANUAL")) == ("sending paused", True)
    assert run_json("events", "poison") == []


@pytest.mark.parametrize("by_setting", ["", "true"])
def test_the_setting_suppresses_all_who_may_have_complained(
    by_setting: str, run: Run, run_json: Run, ses: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a mail to two, of whom one complains, and SES cannot tell which
    ses.set_events(queue="events", fates={"ada@x.org": "complaint", "bob@x.org": "complaint"})
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", ses.endpoint_url)
    of_events = "SESQ_ACCOUNTS__DEFAULT__EVENTS__"
    monkeypatch.setenv(f"{of_events}QUEUE_URL", f"{ses.endpoint_url}/000000000000/events")
    if by_setting:
        monkeypatch.setenv(f"{of_events}SUPPRESS_POSSIBLE_COMPLAINERS", by_setting)
    client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
    client.api.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": ["ada@x.org", "bob@x.org"]},
        Content={"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}},
    )
    client.close()
    # When its events are read
    assert run("events", "--burst").exit_code == 0
    # Then both get no more mail, or none
    listed = {entry["email"] for entry in run_json("suppression", "list")}
    assert listed == ({"ada@x.org", "bob@x.org"} if by_setting else set())


def test_the_standing_is_exit_1_where_it_is_bad(run: Run, run_json: Run, redis: Redis) -> None:
    hour = int(redis_now(redis) // 3600)
    redis.hset(Keys("default").reputation, f"{hour}:sent", 499)
    assert run_json("events", "standing")["level"] == "fine"
    few = "too few to judge: 0 bounces and 0 complaints of 499 recipients in a week (rates count from 500 on)"
    assert few in run("events", "standing").stdout
    redis.hset(Keys("default").reputation, mapping={f"{hour}:sent": 1000, f"{hour}:bounced": 60})
    ran = run("events", "standing", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["bounced_rate"]) == (1, 0.06)
    assert "6.00% bounces" in run("events", "standing").stdout
    assert "too few" not in run("events", "standing").stdout


def test_the_standing_names_the_domains_and_the_tags_of_what_bounces(
    run: Run, run_json: Run, redis: Redis
) -> None:
    keys, day = Keys("default"), int(redis_now(redis) // 86_400)
    redis.zadd(keys.origins("domain", "sent", day), {"bad.example": 2000, "": 50})
    redis.zadd(keys.origins("domain", "bounced", day), {"bad.example": 100, "": 1})
    redis.zadd(keys.origins("domain", "complained", day), {"bad.example": 10})
    redis.zadd(keys.origins("tag", "bounced", day), {"kind=news": 7})
    lines = [" ".join(line.split()) for line in run("events", "standing").stdout.splitlines()]
    assert "domain sent bounces rate complaints rate reached" in lines
    assert "bad.example 2000 100 5.00% 10 0.50% review (bounces), pause (complaints)" in lines
    assert "all others 50 1 2.00% 0 0.00%" in lines
    assert "kind=news 0 7 - 0 - too few to judge" in lines
    told = run_json("events", "standing")
    assert [(each["name"], each["bounced_passed"]) for each in told["domains"]] == [
        ("bad.example", "review"),
        (None, "none"),
    ]


def test_bulk_mail_is_paused_and_let_go_by_itself(run: Run, run_json: Run, queue: Run) -> None:
    queue(lane="bulk")
    assert run("quota", "pause", "--bulk", "complaints").exit_code == 0
    assert any(": complaints. It waits until" in sentence for sentence in run_json("status")["why"])
    assert run("quota", "resume", "--bulk").exit_code == 0
    assert not any("paused" in sentence for sentence in run_json("status")["why"])


TOPIC = "arn:aws:sns:us-east-1:123456789012:sesq-events"


@pytest.mark.parametrize(
    ("words", "topic", "said"),
    [
        (("--cert", "gone.pem", "--key", "gone.pem"), TOPIC, "No such file"),
        (("--cert", "odd.pem", "--key", "odd.pem"), TOPIC, "cannot listen"),
        (("--cert", "odd.pem"), TOPIC, "go together"),
        (("--host", "192.0.2.1"), TOPIC, "192.0.2.1:8443: cannot listen"),
        ((), "sesq-events", "topic_arn = 'sesq-events'"),
        ((), "arn:aws:sqs:us-east-1:123456789012:sesq-events", "topic_arn"),
    ],
)
def test_an_endpoint_that_cannot_be_says_why(
    words: tuple[str, ...], topic: str, said: str, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "odd.pem").write_text("no certificate")
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__EVENTS__TOPIC_ARN", topic)
    ran = run("events", "endpoint", *words)
    assert (ran.exit_code, said in ran.stderr) == (2, True), ran.output
