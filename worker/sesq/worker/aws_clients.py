"""Makes the clients of one account: the transport of its mail, and the reader of its description."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module

from botocore.exceptions import BotoCoreError
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.parts import part
from sesq.config.settings import AccountSettings, Settings, SmtpSettings
from sesq.queue.identities import BorrowedIdentities
from sesq.worker.account import ControlCalls, SesAccount, UnknownAccount
from sesq.worker.control.calls import SesControl
from sesq.worker.transports import SesTransport, SmtpTransport
from sesq.worker.transports.base import OfAccount
from sesq.worker.transports.client import AwsClient, AwsClients, ClientSettings
from sesq.worker.transports.request import NOTHING_MORE
from sesq.worker.transports.smtp_session import SmtpServer

UNUSABLE = (BotoCoreError, ValueError)
"""The errors of botocore for a region, a profile or an endpoint that is missing or impossible."""

SES_SMTP = "email-smtp.{region}.amazonaws.com"


def client_settings(account: AccountSettings) -> ClientSettings:
    """Returns the settings of an account's AWS client: where AWS is, and with which credentials to sign."""
    return ClientSettings(
        region_of(account), account.profile, account.role_arn, account.endpoint_url, account.dual_stack
    )


def region_of(account: AccountSettings) -> str | None:
    """Returns the region from the settings or AWS_REGION, which containers set and boto3 does not read."""
    return account.region or os.environ.get("AWS_REGION")


def open_client(name: str, settings: Settings, clients: AwsClients | None = None) -> AwsClient:
    """Returns the AWS client of a configured account, from `clients` if a process serves several accounts.

    It is cheap: boto3's own client is made when it is first needed. Raises SettingsError for a missing region or
    profile.
    """
    client = (clients or AwsClients()).get(client_settings(settings.account(name)))
    try:
        client.region  # noqa: B018  # raises if it is missing
    except UNUSABLE as error:
        raise _without_region(name, error) from error
    return client


def open_control(
    redis: Redis, name: str, settings: Settings, sleep: Callable[[float], None] = time.sleep
) -> SesControl:
    """Makes the control calls for an account. Raises SettingsError as `open_client` does."""
    return SesControl(open_client(name, settings), ControlCalls(redis, name, sleep))


def open_clients(
    redis: Redis,
    name: str,
    settings: Settings,
    concurrency: int,
    sleep: Callable[[float], None],
    clients: AwsClients | None = None,
) -> tuple[SesTransport | SmtpTransport, SesAccount | UnknownAccount]:
    """Makes the transport of the account's mail, and the reader of the account's description.

    Raises SettingsError, and MissingPart for an endpoint that needs another library.
    """
    account, calls = settings.account(name), ControlCalls(redis, name, sleep)
    if account.transport == "smtp":
        return _open_smtp(name, account, concurrency), _account_beside_smtp(name, settings, calls, clients)
    if account.endpoint_id:
        with part("global", f"endpoint_id of account {name}"):
            import_module("awscrt")  # signs for all regions; else botocore would fail at the first send
    client = open_client(name, settings, clients)
    return SesTransport(client, of_account(account)), SesAccount(client, calls)


def of_account(account: AccountSettings) -> OfAccount:
    """Returns what the account's settings add to each message."""
    if not account.identity_arns and not account.endpoint_id:
        return NOTHING_MORE
    return OfAccount(BorrowedIdentities.of(account.identity_arns), account.endpoint_id)


def _open_smtp(name: str, account: AccountSettings, concurrency: int) -> SmtpTransport:
    smtp, region = account.smtp, region_of(account)
    if smtp.host is None and region is None:
        raise SettingsError(
            f"account {name}: set `region`, or `host` under [accounts.{name}.smtp], in sesq.toml"
        )
    server = SmtpServer(
        host=smtp.host or SES_SMTP.format(region=region),
        port=smtp.port,
        tls=smtp.tls,
        user=smtp.user,
        password=smtp.secret(),
        ca_file=str(smtp.ca_file) if smtp.ca_file else None,
    )
    return SmtpTransport(
        server,
        region=region,
        concurrency=concurrency,
        password=partial(_password, smtp),
        borrowed=BorrowedIdentities.of(account.identity_arns),
    )


def _password(smtp: SmtpSettings) -> str:
    """Reads the password again, as its file may be new. It is empty if it cannot be read, and SES then refuses it."""
    try:
        return smtp.secret()
    except SettingsError:
        return ""


def _account_beside_smtp(
    name: str, settings: Settings, calls: ControlCalls, clients: AwsClients | None
) -> SesAccount | UnknownAccount:
    """Makes the reader of the account's description. SMTP has none, so it uses the API with AWS credentials."""
    account = settings.account(name)
    host = account.smtp.host
    if host is not None and not host.endswith(".amazonaws.com") and account.endpoint_url is None:
        return UnknownAccount(f"{host} is another mail server, about which SES knows nothing")
    try:
        return SesAccount(open_client(name, settings, clients), calls, may_lack_keys=True)
    except SettingsError as error:
        return UnknownAccount(str(error))


def _without_region(name: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"account {name}: {str(error).rstrip('.')}. Set `region`, `profile` and `endpoint_url` in sesq.toml, or "
        "AWS_REGION, AWS_PROFILE and AWS_ENDPOINT_URL_SESV2"
    )
