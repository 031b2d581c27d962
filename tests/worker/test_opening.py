"""What an account needs to be worked for: a region; and that all its settings reach what they are for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from redis import Redis

from sesq.config.errors import MissingPart, SettingsError
from sesq.config.settings import AccountSettings, EventSettings, RetrySettings, Settings, SmtpSettings
from sesq.queue.identities import BorrowedIdentities
from sesq.queue.states import Lane
from sesq.queue.transport import sends_by_smtp
from sesq.worker.account import SesAccount, UnknownAccount
from sesq.worker.opening import open_account, open_accounts, starting_limits
from sesq.worker.retry import RetryPolicy
from sesq.worker.sending import SendingPolicy
from sesq.worker.transports.base import OfAccount
from sesq.worker.transports.client import AwsClients, ClientSettings
from sesq.worker.transports.ses import SesTransport
from sesq.worker.transports.smtp import SmtpTransport
from sesq.worker.transports.smtp_session import SmtpServer


def test_no_region(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given no region anywhere
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    # When an account is opened, then the error names the setting and the cure
    with pytest.raises(SettingsError, match=r"region.*AWS_REGION"):
        open_account(redis, "default", Settings())


ARN = "arn:aws:ses:eu-west-1:123456789012:identity/Partner.example"


def test_aws_region_counts_as_well(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the variable that containers set, which boto3 does not read
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    # Then it is the account's region
    assert open_account(redis, "default", Settings()).rules.region == "eu-north-1"


def test_what_is_not_set_is_as_the_documents_say(redis: Redis) -> None:
    opened = open_account(redis, "default", Settings(accounts={"default": {"region": "eu-west-1"}}))
    assert opened.sender.policy == SendingPolicy(
        on_unverified="hold",
        redirect_to=None,
        on_unknown="hold",
        keep_content=False,
        configuration_set=None,
        tenant=None,
        by_smtp=False,
    )
    assert opened.sender.policy.retry.max_attempts == 10
    assert (opened.lanes, opened.sender.lease, opened.sync.interval, opened.sync.on_restore) == (
        (Lane.TRANSACTIONAL, Lane.BULK),
        30.0,
        60.0,
        "hold",
    )
    assert starting_limits(AccountSettings()) == {}


def test_every_setting_reaches_what_it_is_for(redis: Redis) -> None:
    # Given settings of which none is the default
    account = AccountSettings(
        region="eu-west-1",
        endpoint_url="http://127.0.0.1:9",
        identity_arns=(ARN,),
        events=EventSettings(configuration_set="news"),
        tenant="acme",
        rate="7/second",
        daily="900/day",
        burst=3,
        margin=0.1,
        reserve="10%",
    )
    settings = Settings(
        lease_seconds=11,
        sync_seconds=120,
        on_unverified="redirect",
        redirect_to="staging@example.com",
        on_unknown="resend",
        on_restore="send",
        keep_content=True,
        retry=RetrySettings(max_attempts=3),
        accounts={"shop": account},
    )
    slept: list[float] = []
    clients = AwsClients()
    # When the account is opened, then each is where it counts
    opened = open_account(redis, "shop", settings, lanes=(Lane.BULK,), sleep=slept.append, clients=clients)
    assert opened.sender.policy == SendingPolicy(
        on_unverified="redirect",
        redirect_to="staging@example.com",
        on_unknown="resend",
        keep_content=True,
        configuration_set="news",
        tenant="acme",
        retry=RetryPolicy(max_attempts=3),
    )
    assert (opened.name, opened.gate.account, opened.sync.account, opened.lanes) == (
        "shop",
        "shop",
        "shop",
        (Lane.BULK,),
    )
    assert (opened.sender.lease, opened.sync.interval, opened.sync.on_restore) == (11, 120, "send")
    assert opened.rules.region == opened.sync.rules.region == "eu-west-1"
    assert opened.sync.borrowed == ("partner.example",)
    assert isinstance(opened.sender.transport, SesTransport)
    assert opened.sender.transport.of_account == OfAccount(BorrowedIdentities.of([ARN]))
    opened.sender.sleep(5)
    assert slept == [5]
    # and the client is the one that the process has for these settings
    assert isinstance(opened.sync.ses, SesAccount)
    assert opened.sync.ses.client is clients.get(
        ClientSettings("eu-west-1", endpoint_url="http://127.0.0.1:9")
    )
    limits = {"rate": "7.0", "daily": "900.0", "burst": "3.0", "margin": "0.1", "reserve": "10%"}
    assert starting_limits(account) == limits


@pytest.mark.parametrize("host", [None, "relay.example.com"])
def test_every_setting_of_smtp_reaches_its_sessions(host: str | None, redis: Redis, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    smtp = SmtpSettings(
        host=host, port=465, tls="tls", ca_file=tmp_path / "ca.pem", user="AKIA", password_file=secret
    )
    account = AccountSettings(region="eu-west-1", transport="smtp", smtp=smtp, identity_arns=(ARN,))
    opened = open_account(redis, "shop", Settings(concurrency=5, accounts={"shop": account}))
    transport = opened.sender.transport
    assert isinstance(transport, SmtpTransport)
    assert transport.server == SmtpServer(
        host or "email-smtp.eu-west-1.amazonaws.com", 465, "tls", "AKIA", "hush", str(tmp_path / "ca.pem")
    )
    assert (transport.region, transport._pool.limit) == ("eu-west-1", 5)
    assert opened.sender.policy.by_smtp
    assert transport.borrowed == BorrowedIdentities.of([ARN])
    # Given a new password, then the next session has it; where it cannot be read, SES refuses the empty one
    secret.write_text("new")
    assert transport._password is not None
    assert transport._password() == "new"
    secret.unlink()
    assert transport._password() == ""
    # and a relay of somebody else's is not asked about SES's limits
    assert isinstance(opened.sync.ses, UnknownAccount if host else SesAccount)
    assert host is not None or opened.sync.ses.may_lack_keys


@pytest.mark.parametrize("installed", [True, False])
def test_a_global_endpoint_needs_its_library(
    redis: Redis, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a host on which botocore's crt is there, or not
    monkeypatch.setitem(sys.modules, "awscrt", ModuleType("awscrt") if installed else None)  # type: ignore[arg-type]
    account = AccountSettings(region="eu-west-1", endpoint_id="abcdef12.g3h", dual_stack=True)
    settings = Settings(accounts={"shop": account})
    if not installed:
        with pytest.raises(MissingPart, match=r"^endpoint_id of account shop needs awscrt: pip .*global"):
            open_account(redis, "shop", settings)
        return
    # When the account is opened, Then its mail goes by that endpoint
    transport = open_account(redis, "shop", settings).sender.transport
    assert isinstance(transport, SesTransport)
    assert transport.of_account == OfAccount(endpoint_id="abcdef12.g3h")
    assert transport.client.settings == ClientSettings("eu-west-1", dual_stack=True)


def test_producers_learn_by_what_an_account_sends(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (SmtpTransport, SesTransport):
        monkeypatch.setattr(kind, "check", lambda _: None)
    for transport, by_smtp in (("smtp", True), ("ses", False)):
        account = AccountSettings(region="eu-west-1", transport=transport)
        open_accounts(redis, Settings(accounts={"shop": account}), {"shop": (Lane.BULK,)})
        assert sends_by_smtp(redis, "shop") is by_smtp
