"""`sesq doctor`: each thing that sending needs, found well and found ill."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import Worker
from typer.testing import Result

from batch_stage import BatchStage
from sesq.config.settings import AccountSettings, EventSettings
from sesq.console.checkup.aws import capped, judge_account
from sesq.console.checkup.events import judge_reading
from sesq.console.checkup.movement import stuck
from sesq.console.checkup.queue import judge_movement, judge_workers
from sesq.console.checkup.server import check_info
from sesq.console.overview import read_overview
from sesq.console.workers import WorkerView
from sesq.producer import Message, Outbox
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.states import Lane, State
from sesq.queue.tenant_states import SendingStatus, TenantState, TenantStates
from sesq.simulator import Simulator
from sesq.worker.account import Description

Run = Callable[..., Result]
SANDBOX = Description(
    rate=1,
    daily=200,
    sent=0,
    production=False,
    sending=True,
    enforcement="HEALTHY",
    identities={"example.com": True},
)
INFO = {
    "redis_version": "7.2.4",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory_policy": "noeviction",
    "maxmemory": 0,
    "used_memory": 1_000_000,
}
RELAY = {
    "SESQ_ACCOUNTS__DEFAULT__TRANSPORT": "smtp",
    "SESQ_ACCOUNTS__DEFAULT__SMTP__HOST": "127.0.0.1",
    "SESQ_ACCOUNTS__DEFAULT__SMTP__TLS": "none",
}
OX = WorkerView("ox", "host", 1, "idle", 0.0, 0)


@pytest.fixture(scope="module")
def ses() -> Iterator[Simulator]:
    with Simulator(control_rate=None, verified=["example.com"]) as simulator:
        yield simulator


@pytest.fixture
def aws(ses: Simulator, monkeypatch: pytest.MonkeyPatch, here: Path) -> Simulator:
    """Credentials that are nobody's, for the simulator."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", ses.endpoint_url)
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    return ses


def found(result: Result) -> dict[str, str]:
    """Check -> status, of a run with --json."""
    return {check["name"]: check["status"] for check in json.loads(result.stdout)}


def test_a_host_in_good_health(run: Run, aws: Simulator) -> None:
    result = run("doctor", "--json", "--from", "Shop <shop@example.com>")
    assert found(result) == {
        "redis": "ok",
        "rights": "ok",
        "version": "ok",
        "persistence": "ok",
        "eviction": "ok",
        "clock": "ok",
        "credentials": "ok",
        "permissions": "ok",
        "mode": "ok",
        "sending": "ok",
        "quota": "ok",
        "sender": "ok",
        "workers": "warn",
        "queues": "ok",
        "events": "ok",
    }
    assert result.exit_code == 0
    assert aws.messages() == []


def test_a_global_endpoint_without_its_library(
    run: Run, aws: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__ENDPOINT_ID", "abcdef12.g3h")
    monkeypatch.setitem(sys.modules, "awscrt", None)  # type: ignore[arg-type]
    result = run("doctor", "--json")
    (check,) = [each for each in json.loads(result.stdout) if each["name"] == "endpoint_id"]
    assert (result.exit_code, check["status"]) == (1, "fail")
    assert "needs awscrt: pip install 'sesq[global]'" in check["detail"]


def test_a_sender_by_leave_of_another_account(
    run: Run, aws: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = "arn:aws:ses:us-east-1:111111111111:identity/partner.example"
    assert found(run("doctor", "--json", "--from", "a@partner.example"))["sender"] == "fail"
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__IDENTITY_ARNS", json.dumps([arn]))
    assert found(run("doctor", "--json", "--from", "a@partner.example"))["sender"] == "ok"


HEALTHY = {
    "redis": "answers",
    "rights": "this user may do what sesq does",
    "version": "VERSION",
    "persistence": "append-only file, written each second: a crash of the host loses up to a second",
    "eviction": "noeviction",
    "clock": "Redis's own",
    "credentials": "found; SES answers in us-east-1",
    "permissions": "the account and its identities may be read",
    "mode": "sandbox: only verified recipients get mail",
    "sending": "healthy",
    "quota": "1/second, 200/day, 0 sent in 24 hours by SES's own count",
    "sender": "shop@example.com may send",
    "workers": "none",
    "queues": "nothing waits to be sent",
    "events": "not set up, so deliveries, bounces and complaints are not known",
}
CURES = {
    "events": "if you want to know them: sesq events setup",
    "workers": "start one: sesq worker. Until then, all mail waits in the queue",
}


def test_all_that_it_says_of_a_host_in_good_health(run: Run, aws: Simulator) -> None:
    told = json.loads(run("doctor", "--json", "--from", "Shop <shop@example.com>").stdout)
    details = {
        check["name"]: re.sub(r"^(Redis|Valkey) [\d.]+$", "VERSION", check["detail"]) for check in told
    }
    assert list(details.items()) == list(HEALTHY.items())
    assert {check["name"]: check["cure"] for check in told if check["cure"]} == CURES
    assert {field for check in told for field in check} == {"name", "status", "detail", "cure"}
    # and the same in a table
    shown = run("doctor", "--from", "shop@example.com").stdout
    rows = {line.split()[0]: line for line in shown.splitlines() if line.strip(" ─")}
    assert list(rows) == ["check", *HEALTHY]
    assert all(detail in rows[name] for name, detail in HEALTHY.items() if name != "version")
    assert CURES["workers"] in rows["workers"]


def test_whether_events_are_read(
    run: Run, aws: Simulator, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> list[tuple[str, str, str]]:
        checks = json.loads(run("doctor", "--json").stdout)
        told = [each for each in checks if each["name"].startswith("events")]
        return [(each["status"], each["detail"], each["cure"]) for each in told]

    # Given no settings of events: that is no failure, and the cure is named
    ((status, detail, cure),) = said()
    assert (status, "not set up" in detail, "sesq events setup" in cure) == ("ok", True, True)
    # Given a queue that nobody reads
    aws.set_events(queue="events")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", aws.endpoint_url)
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL", f"{aws.endpoint_url}/000000000000/events")
    (status, detail, cure), queue = said()
    assert (status, detail, "sesq events running" in cure) == ("warn", "nobody has read any yet", True)
    assert queue == ("ok", "0 messages to read", "")
    # When somebody reads it
    assert run("events", "--burst").exit_code == 0
    (status, detail, _), _ = said()
    assert (status, detail.startswith("read ")) == ("ok", True)
    # and when that was long ago
    redis.hset(Keys("default").reputation, "read_at", 1)
    (status, detail, _), _ = said()
    assert (status, detail.startswith("nobody has read them for ")) == ("warn", True)
    # Given a queue that does not exist
    monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL", f"{aws.endpoint_url}/000000000000/gone")
    _, (status, detail, cure) = said()
    assert (status, detail.endswith("/gone does not exist"), "events.queue_url" in cure) == (
        "fail",
        True,
        True,
    )


def test_what_is_wrong_has_a_cure_and_ends_with_1(run: Run, aws: Simulator, redis: Redis) -> None:
    redis.set(CLOCK_OFFSET, 60)
    result = run("doctor", "--from", "shop@example.org")
    assert result.exit_code == 1
    for part in (
        "shop@example.org is not verified",
        "sesq identities verify",
        "redis-cli DEL sesq:clock:offset",
    ):
        assert part in result.stdout


def test_mail_for_an_account_that_nobody_configured_is_found(run: Run, aws: Simulator, redis: Redis) -> None:
    mail = Message(sender="shop@example.com", to="ada@example.org", text="x", account="shpo")
    Outbox(redis).send(mail)
    checks = json.loads(run("doctor", "--json").stdout)
    (found,) = [check for check in checks if check["name"] == "accounts"]
    assert found["detail"] == "account shpo is not configured here, and 1 wait in its lanes"
    assert "--account shpo" in found["cure"]


def test_no_credentials(run: Run, aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (check,) = [check for check in json.loads(result.stdout) if check["name"] == "credentials"]
    assert check["status"] == "fail"
    assert "AWS_PROFILE" in check["cure"]


@pytest.mark.parametrize(
    ("environment", "name", "cure"),
    [
        ({"AWS_DEFAULT_REGION": None}, "settings", "AWS_REGION"),
        ({"SESQ_ACCOUNTS__DEFAULT__PROFILE": "nobody"}, "settings", "AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:9"}, "network", "endpoint_url"),
        (
            {"SESQ_ACCOUNTS__DEFAULT__TRANSPORT": "smtp", **RELAY, "SESQ_ACCOUNTS__DEFAULT__SMTP__PORT": "9"},
            "smtp",
            "host, port",
        ),
    ],
)
def test_each_closed_door_has_a_cure_of_its_own(
    environment: dict[str, str | None],
    name: str,
    cure: str,
    run: Run,
    aws: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in environment.items():
        monkeypatch.delenv(key) if value is None else monkeypatch.setenv(key, value)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (check,) = [check for check in json.loads(result.stdout) if check["status"] == "fail"]
    assert check["name"] == name
    assert cure in check["cure"]


def test_a_relay_needs_no_aws(run: Run, aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(smtp_port=0, production=True) as relay:
        monkeypatch.delenv("AWS_ENDPOINT_URL_SESV2")
        for key, value in {**RELAY, "SESQ_ACCOUNTS__DEFAULT__SMTP__PORT": str(relay.smtp_port)}.items():
            monkeypatch.setenv(key, value)
        result = run("doctor", "--json")
    assert result.exit_code == 0
    told = found(result)
    assert (told["smtp"], told["account"]) == ("ok", "warn")


def test_without_boto3_this_host_can_only_queue(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("sesq.worker.opening", "sesq.worker.account"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    result = run("doctor", "--json")
    assert result.exit_code == 0
    assert found(result)["boto3"] == "warn"
    assert "pip install 'sesq[worker]'" in result.stdout


def test_no_redis_to_start(run: Run, monkeypatch: pytest.MonkeyPatch, short_path: Path) -> None:
    monkeypatch.delenv("SESQ_REDIS_URL")
    monkeypatch.setenv("SESQ_DATA_DIR", str(short_path))
    monkeypatch.setattr("sesq.config.server_binary.ON_PATH", ())
    monkeypatch.setattr("sesq.config.server_binary.IN_WHEELS", ())
    result = run("doctor", "--json")
    assert (result.exit_code, found(result)) == (1, {"redis": "fail"})


def test_a_redis_that_forgets_and_does_not_save(run: Run, redis: Redis, aws: Simulator) -> None:
    redis.config_set("appendonly", "no")
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        result = run("doctor", "--json")
    finally:
        redis.config_set("appendonly", "yes")
        redis.config_set("maxmemory-policy", "noeviction")
    assert result.exit_code == 1
    assert (found(result)["persistence"], found(result)["eviction"]) == ("fail", "fail")


@pytest.mark.parametrize(
    ("facts", "name", "status"),
    [
        ({}, "version", "ok"),
        ({"redis_version": "6.2.0"}, "version", "ok"),
        ({"redis_version": "6.0.16"}, "version", "fail"),
        ({"redis_version": "6.1.240"}, "version", "fail"),  # the first candidate of 6.2
        ({"appendfsync": "always"}, "persistence", "ok"),
        ({"appendfsync": "no"}, "persistence", "warn"),
        ({"maxmemory": 1_000_000}, "memory", "fail"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.0"}, "version", "ok"),
        ({"redis_version": ""}, "version", "warn"),
        ({"aof_last_write_status": "err"}, "persistence", "fail"),
        ({"maxmemory_policy": "volatile-ttl"}, "eviction", "fail"),
        ({"maxmemory_policy": ""}, "eviction", "warn"),
        ({"maxmemory": 1_100_000}, "memory", "warn"),
        ({"maxmemory": 1000, "used_memory": 801}, "memory", "warn"),
        ({"maxmemory": 1000, "used_memory": 999}, "memory", "warn"),
        ({"maxmemory": 1000, "used_memory": 1000}, "memory", "fail"),
    ],
)
def test_what_info_tells(facts: dict[str, Any], name: str, status: str) -> None:
    checks = {check.name: check for check in check_info({**INFO, **facts})}
    assert checks[name].status.value == status
    assert bool(checks[name].cure) == (status != "ok")


@pytest.mark.parametrize("limit", [0, 1000])
def test_of_memory_nothing_is_said_up_to_four_fifths_of_it_or_without_a_limit(limit: int) -> None:
    checks = [check.name for check in check_info({**INFO, "maxmemory": limit, "used_memory": 800})]
    assert "memory" not in checks


@pytest.mark.parametrize(
    ("facts", "sender", "name", "status", "part"),
    [
        ({}, None, "sender", "ok", "1 verified"),
        ({}, "shop@mail.example.com", "sender", "ok", "may send"),
        ({}, "shop@example.org", "sender", "fail", "is not verified"),
        ({"identities": {"example.com": False}}, None, "sender", "fail", "no identity is verified"),
        *(
            ({"identities": None, "unlisted_because": why}, None, "permissions", "warn", why)
            for why in ("the identities may not be listed (no)", "the identities were not listed (404: gone)")
        ),
        ({"production": True}, None, "mode", "ok", "production"),
        ({}, None, "mode", "ok", "sandbox"),
        ({"sent": 200}, None, "quota", "warn", "the day is spent"),
        ({"daily": -1, "sent": 5000}, None, "quota", "ok", "unlimited"),
        ({"enforcement": "SHUTDOWN", "sending": False}, None, "sending", "fail", "SHUTDOWN"),
    ],
)
def test_what_ses_says(facts: dict[str, Any], sender: str | None, name: str, status: str, part: str) -> None:
    checks = {check.name: check for check in judge_account(replace(SANDBOX, **facts), sender)}
    assert checks[name].status.value == status
    assert part in checks[name].detail


@pytest.mark.parametrize(
    ("rate", "daily", "told"),
    [
        ("1 per 2 seconds", 200, {}),
        ("10/second", "unlimited", {"rate": "10/second", "daily": "unlimited"}),
    ],
)
def test_a_limit_of_the_file_above_that_of_ses_is_told(
    rate: str, daily: int | str, told: dict[str, str]
) -> None:
    # Given sesq.toml with limits, for an account in the sandbox
    account = AccountSettings(rate=rate, daily=daily)
    # Then those above SES's are told, with SES's, which are in force; nothing is wrong
    checks = {check.name: check for check in capped(account, SANDBOX)}
    assert checks.keys() == told.keys()
    for name, asked in told.items():
        assert checks[name].status.value == "ok"
        assert f"{asked} in sesq.toml is above the" in checks[name].detail
        assert checks[name].detail.endswith("so SES's limit is in force")


def test_queued_mail_needs_a_worker(redis: Redis, queue: Callable[..., str]) -> None:
    view = read_overview(redis, "default")
    assert judge_workers(view).status.value == "warn"
    queue()
    assert judge_workers(read_overview(redis, "default")).status.value == "fail"
    assert judge_workers(replace(view, workers=(OX,))).status.value == "ok"


def test_a_lane_that_could_go_and_does_not(
    redis: Redis, queue: Callable[..., str], ses_says: Callable[..., None]
) -> None:
    # Given a message that could go, and a worker
    ses_says()
    queue()
    redis.set(CLOCK_OFFSET, 300)
    view = replace(read_overview(redis, "default"), workers=(OX,))
    # Then five minutes of silence are too long, unless something was sent meanwhile
    still = judge_movement(view, stuck(redis, view))
    assert (still.status.value, still.detail) == (
        "fail",
        "transactional mail may go, and none has left for 5 min",
    )
    assert judge_movement(view, []).status.value == "ok"


def test_what_ses_refuses_as_a_whole_and_what_nobody_knows(
    run: Run,
    redis: Redis,
    aws: Simulator,
    queue: Callable[..., str],
    becomes: Callable[..., None],
    ses_says: Callable[..., None],
) -> None:
    ses_says()
    becomes(queue(), State.UNKNOWN)
    why = "sender shop@example.com is not verified"
    becomes(queue(), State.HELD, hold="sender:shop@example.com", held_because=why, block=True)
    redis.delete(CLOCK_OFFSET)
    result = run("doctor", "--json")
    assert (found(result)["unknown"], found(result)["blocked"]) == ("warn", "fail")
    assert why in result.stdout


def test_tenants_whose_mail_ses_does_not_take(
    run: Run,
    redis: Redis,
    aws: Simulator,
    queue: Callable[..., str],
    becomes: Callable[..., None],
    ses_says: Callable[..., None],
) -> None:
    # Given mail of 22 tenants that SES has stopped, and one of which it does not tell
    ses_says()
    why = "SES has stopped the tenant."
    for number in range(22):
        name = f"t{number:02}"
        becomes(queue(tenant=name), State.HELD, hold=f"tenant:{name}", held_because=why, block=True)
    denied = TenantState(SendingStatus.UNREADABLE, 0, "not authorized to perform ses:GetTenant")
    TenantStates(redis).note("other", denied)
    redis.delete(CLOCK_OFFSET)
    # When doctor looks, then it names twenty of them with the cure, counts the others, and fails for none
    result = run("doctor", "--json")
    told = json.loads(result.stdout)
    tenants = [check for check in told if check["name"] == "tenant"]
    assert (tenants[0]["status"], tenants[0]["detail"]) == (
        "warn",
        f"Tenant t00: {why} Its mail goes by itself once SES takes it again",
    )
    assert "sesq messages release --waiting-for tenant:t00" in tenants[0]["cure"]
    assert len(tenants) == 21
    assert tenants[20]["detail"] == "Mail of 2 more tenants waits too. `sesq quota show --tenants` shows all"
    assert "blocked" not in found(result)
    (rights,) = [check for check in told if "SES does not tell whether tenants may send" in check["detail"]]
    assert (rights["status"], "allow ses:GetTenant" in rights["cure"]) == ("warn", True)
    # And the status says it in the hold's words
    assert f"1 held: {why}" in json.loads(run("status", "--json").stdout)["why"]


def test_a_batch_that_is_lost_is_named_with_its_cure(run: Run, redis: Redis, aws: Simulator) -> None:
    stage = BatchStage(redis)
    taken = stage.take(3)
    redis.hdel(stage.keys.batch(taken.id), "state")
    stage.send(1)
    redis.delete(CLOCK_OFFSET)
    (check,) = [each for each in json.loads(run("doctor", "--json").stdout) if each["name"] == "damaged"]
    assert f"{stage.keys.batch(taken.id)}: its state is lost" in check["detail"]
    assert "sesq doctor --deep --repair" in check["cure"]


def test_twenty_damaged_keys_are_named_the_latest_ones(run: Run, redis: Redis, aws: Simulator) -> None:
    keys = [f"sesq:default:message:{n:02}" for n in range(21)]
    redis.hset(Keys("default").damaged, mapping={key: json.dumps([n, "x"]) for n, key in enumerate(keys)})
    told = [each for each in json.loads(run("doctor", "--json").stdout) if each["name"] == "damaged"]
    assert [check["detail"] for check in told] == [f"{key}: x" for key in reversed(keys[1:])]


@pytest.mark.parametrize(("number", "more"), [(20, []), (21, ["1 more senders of tenants"])])
def test_twenty_senders_of_tenants_that_ses_refuses_are_named(
    run: Run, redis: Redis, aws: Simulator, number: int, more: list[str]
) -> None:
    holds = [f"tenant:acme/sender:p{n:02}@example.com" for n in range(number)]
    redis.hset(
        Keys("default").blocks, mapping={hold: json.dumps([1, "Not associated.", False]) for hold in holds}
    )
    checks = json.loads(run("doctor", "--json").stdout)
    told = [check["detail"] for check in checks if check["name"] == "tenant"]
    assert [line.split(": ")[0] for line in told] == [*holds[:20], *more]


@pytest.mark.parametrize(
    ("events", "ago", "status"),
    [
        ({"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"}, 300.0, "ok"),
        ({"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"}, 300.5, "warn"),
        ({"topic_arn": "arn:aws:sns:eu-west-1:123456789012:t"}, 300.5, "ok"),
        ({"topic_arn": "arn:aws:sns:eu-west-1:123456789012:t"}, None, "warn"),
    ],
)
def test_events_of_a_queue_are_read_every_five_minutes(
    events: dict[str, str], ago: float | None, status: str
) -> None:
    read_at = None if ago is None else 1_700_000_000.0 - ago
    check = judge_reading(EventSettings(**events), read_at, 1_700_000_000.0)
    assert (check.name, check.status.value) == ("events", status)


def test_workers_are_counted(run: Run, aws: Simulator, redis: Redis) -> None:
    queues = [
        Queue(Keys("default").queue(lane), connection=redis, serializer=JSONSerializer) for lane in Lane
    ]
    Worker(queues, name="ox", connection=redis, serializer=JSONSerializer).register_birth()
    assert found(run("doctor", "--json"))["workers"] == "ok"


# --deep ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two looks of the auditor no time passes."""
    monkeypatch.setattr("sesq.queue.audit.auditor.BETWEEN_SECONDS", 0)


def test_deep_says_that_all_agrees(run: Run, quick: None, redis: Redis) -> None:
    Outbox(redis).send(Message(sender="shop@example.com", to="ada@example.org", text="x"))
    told = run("doctor", "--deep")
    assert (told.exit_code, told.stdout.strip()) == (0, "All agrees.")
    assert json.loads(run("doctor", "--deep", "--json").stdout) == {"found": [], "mended": []}


def test_deep_names_what_does_not_agree_and_repair_mends_it(run: Run, quick: None, redis: Redis) -> None:
    # Given a message that has lost its place in its lane, and an idempotency key that stays for ever
    id = Outbox(redis).send(Message(sender="shop@example.com", to="ada@example.org", text="x"))
    redis.delete("rq:queue:sesq.default.transactional")
    redis.set(Keys("default").idempotency("d"), "x y")
    # Then both are told, with a cure, and the command ends with 1
    told = run("doctor", "--deep", "--json")
    assert told.exit_code == 1
    found = json.loads(told.stdout)["found"]
    assert [(each["kind"], each["key"], each["repairable"]) for each in found] == [
        ("expiry", "sesq:default:idempotency:d", False),
        ("lane", f"sesq:default:message:{id}", True),
    ]
    table = run("doctor", "--deep")
    assert table.exit_code == 1
    for part in ("lane", id, "sesq doctor --deep --repair", "DEL sesq:default:idempotency:d"):
        assert part in table.stdout
    # When it mends, then it says what it did, and what is left to a person
    mended = run("doctor", "--deep", "--repair")
    assert mended.exit_code == 1
    assert "put into its lane" in mended.stdout
    assert redis.lrange("rq:queue:sesq.default.transactional", 0, -1) == [id.encode()]
    # And when a person has done the rest, then all agrees
    redis.delete(Keys("default").idempotency("d"))
    assert run("doctor", "--deep", "--repair").exit_code == 0


def test_repair_alone_is_refused(run: Run) -> None:
    told = run("doctor", "--repair")
    assert (told.exit_code, "--deep" in told.stderr) == (2, True)
