"""What cannot be right in the settings is a sentence with its cure; and an unlimited day is unlimited."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.config.errors import QueueUnavailable, SesqError, SettingsError
from sesq.config.settings import AccountSettings, Settings
from sesq.queue.careful_redis import connect
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.simulator import Simulator
from sesq.worker.account import UnknownAccount
from sesq.worker.opening import open_account, starting_limits
from sesq.worker.start import run_worker
from sesq.worker.worker import SesqWorker
from stage import Stage


@pytest.mark.parametrize(
    ("account", "env", "words"),
    [
        ({}, {"AWS_DEFAULT_REGION": "not a region"}, "not a region"),
        ({"region": "eu-west-1"}, {"AWS_ENDPOINT_URL_SESV2": "127.0.0.1:9797"}, "Invalid endpoint"),
        ({"region": "eu-west-1", "profile": "nope"}, {}, "nope"),
    ],
)
def test_an_account_that_cannot_be_opened_names_the_cure(
    redis: Redis,
    account: dict[str, str],
    env: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = Settings(accounts={"default": AccountSettings(**account)})
    with pytest.raises(SettingsError, match=words) as raised:
        open_account(redis, "default", settings)
    assert "in sesq.toml" in str(raised.value)


def test_a_port_that_is_not_redis_says_so() -> None:
    with Simulator() as ses:
        client = connect(f"redis://127.0.0.1:{ses.port}")
        with pytest.raises(QueueUnavailable, match="not Redis"):
            Messages(client).counts()
        client.close()


def test_an_unlimited_day_of_ours_is_unlimited_where_ses_is_not_asked(redis: Redis) -> None:
    # Given an account that may not be read, and a day without a limit in sesq.toml
    stage = Stage(redis)
    stage.sync(readable=0)
    settings = Settings(accounts={"default": {"daily": "unlimited", "rate": 500}})  # type: ignore[dict-item]
    Policy(redis).configure(starting_limits(settings.account()))
    # Then 200 a day is not the limit, and nothing is left over
    usage = stage.gate.usage()
    assert (usage.daily, usage.remaining, usage.rate) == (None, None, 500)


def test_a_relay_of_ones_own_is_not_asked_about_at_ses(redis: Redis) -> None:
    smtp = {"host": "127.0.0.1", "port": 2525, "tls": "none"}
    settings = Settings(accounts={"default": {"transport": "smtp", "region": "eu-west-1", "smtp": smtp}})  # type: ignore[dict-item]
    assert isinstance(open_account(redis, "default", settings).sync.ses, UnknownAccount)


HELD_BACK = {
    "profile": {"region": "eu-west-1", "profile": "nope"},
    "password": {
        "transport": "smtp",
        "region": "eu-west-1",
        "smtp": {"host": "127.0.0.1", "tls": "none", "user": "u", "password_file": "/nonexistent"},
    },
    "region": {},
    "limit": {"region": "eu-west-1", "daily": "0.5"},
}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> list[str]:
    """The accounts that a worker which starts gets to serve."""
    found: list[str] = []
    monkeypatch.setattr(
        SesqWorker, "work", lambda worker, burst: found.extend(d.name for d in worker.accounts)
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return found


@pytest.mark.parametrize("wrong", HELD_BACK)
def test_an_account_that_is_set_up_wrongly_holds_up_no_other(
    redis: Redis, served: list[str], caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    relay = {
        "transport": "smtp",
        "region": "eu-west-1",
        "smtp": {"host": "127.0.0.1", "port": 1, "tls": "none"},
    }
    settings = Settings(accounts={"bad": HELD_BACK[wrong], "good": relay})  # type: ignore[dict-item]
    run_worker(redis, settings)
    assert served == ["good"]
    assert "account bad is not served" in caplog.text


@pytest.mark.parametrize("wrong", HELD_BACK)
def test_where_no_account_can_send_the_worker_does_not_start(
    redis: Redis, served: list[str], wrong: str
) -> None:
    settings = Settings(accounts={"bad": HELD_BACK[wrong], "worse": HELD_BACK["profile"]})  # type: ignore[dict-item]
    with pytest.raises(SesqError):
        run_worker(redis, settings)
    assert served == []


def test_an_account_without_credentials_waits_for_them_where_another_can_send(
    redis: Redis, served: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    # Given one whose credentials are not there yet; its mail is held until they are
    bare = AccountSettings(region="eu-west-1")
    with pytest.raises(SesqError, match="account bare: There are no usable AWS credentials"):
        run_worker(redis, Settings(accounts={"bare": bare}), accounts=["bare"])
    relay = {
        "transport": "smtp",
        "region": "eu-west-1",
        "smtp": {"host": "127.0.0.1", "port": 1, "tls": "none"},
    }
    run_worker(redis, Settings(accounts={"bare": bare, "good": relay}), accounts=["bare", "good"])  # type: ignore[dict-item]
    assert served == ["bare", "good"]
    assert "account bare: There are no usable AWS credentials" in caplog.text


def test_an_account_that_is_not_configured_is_a_mistake(redis: Redis, served: list[str]) -> None:
    with pytest.raises(SettingsError, match="'shpo' is not configured"):
        run_worker(redis, Settings(), accounts=["default", "shpo"])
