"""The AWS clients of a process: where each account is, who we are there, and how long we wait for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader, create_loader

from sesq.worker.transports.credentials import RenewableCredentials, use_renewable

if TYPE_CHECKING:
    from botocore.config import _RetryDict
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import SendEmailRequestTypeDef, SendEmailResponseTypeDef

CONNECT_SECONDS = 5
READ_SECONDS = 20
"""A call must end well before the ledger's slack of 60 s, even when it tries several addresses to connect to."""

ONE_TRY: _RetryDict = {"total_max_attempts": 1}
"""boto3 would send again after a lost reply, and SES has no idempotency token: two mails. It would also spend rate."""

MOST_CONNECTIONS = 1000
"""Those that are kept open when they are not in use; so many threads may share a client. It opens one when needed."""

USER_AGENT = f"sesq/{version('sesq')} Boto3/{boto3.__version__}"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Whatever is None comes from the usual AWS places: environment, ~/.aws/config, the instance's role."""

    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS


class AwsClients:
    """The AWS clients of one process. Accounts with the same settings share one; none is made before it is used."""

    def __init__(self) -> None:
        self._clients: dict[ClientSettings, AwsClient] = {}
        self._lock = threading.Lock()

    def get(self, settings: ClientSettings) -> AwsClient:
        """The one client with these settings."""
        with self._lock:
            return self._clients.setdefault(settings, AwsClient(settings))


class _Leaving(threading.local):
    """What this thread is handing over."""

    clear: Callable[[], None] = staticmethod(lambda: None)


class AwsClient:
    """A SESv2 client, and clients of other services, as one somebody in one place: made when first used.

    Safe to share between threads, but not over a fork. Its credentials are renewed when AWS refuses them, so whatever
    is had from it may be kept. The first use raises botocore's errors for what is missing: a region, a profile.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._credentials = RenewableCredentials(partial(_read_credentials, settings))
        self._leaving = _Leaving()
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._api: SESV2Client | None = None

    @property
    def api(self) -> SESV2Client:
        """The SESv2 client."""
        with self._lock:
            if self._api is None:
                self._api = self._open_session().client(
                    "sesv2", endpoint_url=self.settings.endpoint_url, config=_config(self.settings)
                )
                self._api.meta.events.register("before-send.sesv2.SendEmail", self._clear)
            return self._api

    @property
    def region(self) -> str:
        """The region it turned out to be."""
        return self.api.meta.region_name

    def send_email(
        self, request: SendEmailRequestTypeDef, clear: Callable[[], None]
    ) -> SendEmailResponseTypeDef:
        """Calls SendEmail. When the request is written and signed it calls `clear`, which may raise to stop it.

        Of a large mail that takes its time, as do new credentials.
        """
        self._leaving.clear = clear
        return self.api.send_email(**request)

    def service(self, name: str, read_seconds: float = READ_SECONDS) -> Any:
        """A client of another AWS service in the same region, as the same somebody: `sqs`, `sns`, `service-quotas`."""
        waits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=read_seconds, user_agent=USER_AGENT)
        with self._lock:
            make: Any = self._open_session().client  # its types know the clients whose stubs are installed
            return make(name, config=waits)

    def credentials(self) -> ReadOnlyCredentials | None:
        """Who we are there; None where no credentials are found."""
        return self._credentials.get_frozen_credentials()

    def connect(self) -> None:
        """Fetch the credentials, and leave an open connection in the pool.

        It asks for "/" without a signature: that names no action of SES, so it costs neither rate nor quota nor one
        of the few control calls. boto3 has no public way to only connect.
        """
        if self.credentials() is None:
            raise NoCredentialsError
        request = AWSRequest(method="HEAD", url=f"{self.api.meta.endpoint_url}/").prepare()
        self.api._endpoint.http_session.send(request)  # type: ignore[attr-defined]  # noqa: SLF001

    def close(self) -> None:
        """Close the connections that are not in use."""
        if self._api is not None:
            self._api.close()

    def _open_session(self) -> boto3.Session:
        """Not for several threads at once."""
        if self._session is None:
            core = _session(self.settings)
            use_renewable(core, self._credentials)
            self._session = boto3.Session(botocore_session=core)
        return self._session

    def _clear(self, **_: object) -> None:
        self._leaving.clear()


def _config(settings: ClientSettings) -> Config:
    """Two settings save a fifth of the time boto3 takes for a mail: no second validation, since messages are checked at
    the door, and a User-Agent that is not put together anew, twice, for every call.
    """
    return Config(
        connect_timeout=settings.connect_seconds,
        read_timeout=settings.read_seconds,
        retries=ONE_TRY,
        max_pool_connections=MOST_CONNECTIONS,
        parameter_validation=False,
        tcp_keepalive=True,
        user_agent=USER_AGENT,
    )


@cache
def _descriptions() -> Loader:
    """What botocore's files say of AWS's services: 10 MB, and most of the time that a client takes to make."""
    return create_loader(os.environ.get("AWS_DATA_PATH"))


def _session(settings: ClientSettings) -> botocore.session.Session:
    core = botocore.session.Session(profile=settings.profile)
    core.register_component("data_loader", _descriptions())
    if settings.region is not None:
        core.set_config_variable("region", settings.region)
    # Fetching credentials happens inside a send, so it may not take longer than a send.
    core.set_default_client_config(
        Config(connect_timeout=settings.connect_seconds, read_timeout=settings.read_seconds, retries=ONE_TRY)
    )
    return core


def _read_credentials(settings: ClientSettings) -> Credentials | None:
    """From the usual AWS places as they are now: a session of its own reads its files anew.

    With a role these speak for who may assume it, and what counts are its temporary ones.
    """
    core = _session(settings)
    source = core.get_credentials()
    if source is None or settings.role_arn is None:
        return source
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client, source, settings.role_arn, extra_args={"RoleSessionName": "sesq"}
    )
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "sesq-assume-role")
