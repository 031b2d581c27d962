"""Which transport an account's settings choose, and who tells its limits then."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.settings import AccountSettings, Settings, SmtpSettings
from sesq.queue.policy import Policy
from sesq.simulator import Simulator
from sesq.worker.account import AccountUnavailable, AccountUnreadable
from sesq.worker.opening import OpenAccount, open_account
from sesq.worker.transports import SesTransport, SmtpTransport
from sesq.worker.transports.client import AwsClient, ClientSettings


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No AWS region and no AWS credentials."""
    for name in ("REGION", "DEFAULT_REGION", "PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def account_for(redis: Redis, **account: object) -> OpenAccount:
    return open_account(redis, "default", Settings(accounts={"default": AccountSettings(**account)}))


def smtp_server(account: OpenAccount) -> object:
    return account.sender.transport.server  # type: ignore[attr-defined]


def test_the_api_unless_told_otherwise(redis: Redis) -> None:
    assert isinstance(account_for(redis, region="eu-west-1").sender.transport, SesTransport)


def test_smtp_of_ses_is_the_regions_own(redis: Redis) -> None:
    smtp = SmtpSettings(user="AKIA", password="hush")
    account = account_for(redis, region="eu-west-1", transport="smtp", smtp=smtp)
    assert isinstance(account.sender.transport, SmtpTransport)
    server = smtp_server(account)
    assert (server.host, server.port, server.tls) == ("email-smtp.eu-west-1.amazonaws.com", 587, "starttls")
    assert (server.user, server.password) == ("AKIA", "hush")
    assert "hush" not in repr(server)


def test_smtp_without_host_and_region_is_told_at_the_door(redis: Redis) -> None:
    with pytest.raises(SettingsError, match=r"region.*host.*\[accounts.default.smtp\]"):
        account_for(redis, transport="smtp")


@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_without_aws_the_configured_limits_count(redis: Redis, region: str | None) -> None:
    # Given a plain relay, and neither a region nor credentials of AWS
    smtp = SmtpSettings(host="127.0.0.1", port=25, tls="none")
    account = account_for(redis, transport="smtp", smtp=smtp, region=region)
    # When the account is synced
    with pytest.raises(AccountUnreadable):
        account.sync.ses.describe()
    Policy(redis).configure({"rate": "7", "daily": "1000"})
    account.sync.run()
    # Then the limits are the configured ones
    usage = account.gate.usage()
    assert (usage.rate, usage.daily) == (7, 1000)


def test_with_aws_credentials_ses_tells_the_limits_beside_smtp(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Simulator(max_send_rate=5, max_24_hour_send=300, control_rate=None) as ses:
        smtp = SmtpSettings(user="AKIA", password="hush")
        account = account_for(
            redis, region="us-east-1", transport="smtp", smtp=smtp, endpoint_url=ses.endpoint_url
        )
        account.sync.run()
    assert (account.gate.usage().rate, account.gate.usage().daily) == (5, 300)


def test_the_api_without_credentials_is_a_trouble_that_may_pass(redis: Redis) -> None:
    with pytest.raises(AccountUnavailable):
        account_for(redis, region="eu-west-1").sync.ses.describe()


def test_clients_of_several_accounts_read_what_aws_offers_once(
    aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an account's client
    role = "arn:aws:iam::123456789012:role/{}"
    AwsClient(ClientSettings(region="eu-west-1", role_arn=role.format("shop"))).api  # noqa: B018
    read: list[str] = []
    load = JSONFileLoader.load_file
    monkeypatch.setattr(
        JSONFileLoader, "load_file", lambda loader, path: read.append(path) or load(loader, path)
    )
    # When another account needs one of its own, Then none of botocore's files is read again for it
    AwsClient(ClientSettings(region="eu-west-1", role_arn=role.format("billing"))).api  # noqa: B018
    assert read == []
