"""Makes the AWS clients of a process, with the region, the credentials and the time limits of each account."""

from __future__ import annotations

import copy
import os
import threading
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import NoCredentialsError, NoRegionError
from botocore.hooks import HierarchicalEmitter
from botocore.loaders import Loader, create_loader
from botocore.utils import is_valid_endpoint_url, validate_region_name

from sesq.config import __version__
from sesq.worker.transports.credentials import RenewableCredentials, use_renewable
from sesq.worker.transports.send_email import SendEmail, http_session

if TYPE_CHECKING:
    from botocore.config import _RetryDict
    from mypy_boto3_sesv2 import SESV2Client

CONNECT_SECONDS = 5
READ_SECONDS = 20
"""A call must end well before the ledger's spare 60 s, even if it tries to connect to several addresses."""

ONE_TRY: _RetryDict = {"total_max_attempts": 1}
"""boto3's own retries would send a mail twice after a lost reply, as SES has no idempotency token, and use up rate."""

MOST_CONNECTIONS = 1000
"""Connections of a client that stay open while unused: so many threads may share it. It opens one when needed."""

USER_AGENT = f"sesq/{__version__} Boto3/{boto3.__version__}"

_making = threading.RLock()
"""A lock, so that clients are made one after another: the first one reads AWS's descriptions for all."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Holds a client's settings. None: AWS's usual sources (environment, ~/.aws/config, the instance's role)."""

    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    dual_stack: bool = False
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS


class AwsClients:
    """Keeps the AWS clients of one process. Accounts with the same settings share one."""

    def __init__(self) -> None:
        self._clients: dict[ClientSettings, AwsClient] = {}
        self._lock = threading.Lock()

    def get(self, settings: ClientSettings) -> AwsClient:
        """Returns the one client with these settings."""
        with self._lock:
            return self._clients.setdefault(settings, AwsClient(settings))


class AwsClient:
    """Makes a SESv2 client, and clients of other services, for one region and one identity, when they are first used.

    Threads may share it; processes after a fork may not. It renews credentials that AWS refuses, so its clients
    may be kept. `region` and `find_credentials` tell what is missing, and make no client.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._credentials = RenewableCredentials(partial(_read_credentials, settings))
        self._lock = threading.Lock()
        self._region: str | None = None
        self._session: boto3.Session | None = None
        self._api: SESV2Client | None = None
        self._send_email: SendEmail | None = None

    @property
    def api(self) -> SESV2Client:
        """The SESv2 client."""
        if self._api is None:
            with self._lock:
                self._api = self._api or self._make_api()
        return self._api

    @property
    def send_email(self) -> SendEmail:
        """The call SendEmail."""
        if self._send_email is None:
            api = self.api
            with self._lock:
                self._send_email = self._send_email or SendEmail(api, self._credentials)
        return self._send_email

    @property
    def region(self) -> str:
        """The region, from the settings or from AWS's usual sources.

        Raises botocore's errors for a region, a profile or an endpoint that is missing or impossible.
        """
        if self._region is None:
            self._region = _find_region(self.settings)
        return self._region

    def find_credentials(self) -> None:
        """Raises NoCredentialsError if there are no credentials. It does not fetch those of a role."""
        if not self._credentials.found():
            raise NoCredentialsError

    def service(self, name: str, read_seconds: float = READ_SECONDS) -> Any:
        """Makes a client of another service (`sqs`, `sns`, `service-quotas`), with the same region and credentials."""
        waits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=read_seconds, user_agent=USER_AGENT)
        with self._lock:
            make: Any = self._open_session().client  # its types have only clients with installed stubs
            return make(name, config=waits)

    def credentials(self) -> ReadOnlyCredentials | None:
        """Returns the credentials to sign with; None if there are none."""
        return self._credentials.get_frozen_credentials()

    def connect(self) -> None:
        """Fetches the credentials, and leaves an open connection in the pool. Raises NoCredentialsError.

        It requests "/" without a signature. That is no action of SES, so it costs no rate, quota or control call.
        boto3 has no public way to only connect.
        """
        if self.credentials() is None:
            raise NoCredentialsError
        request = AWSRequest(method="HEAD", url=f"{self.api.meta.endpoint_url}/").prepare()
        http_session(self.api).send(request)

    def close(self) -> None:
        """Closes the connections that are not in use."""
        if self._api is not None:
            self._api.close()

    def _make_api(self) -> SESV2Client:
        session, settings = self._open_session(), self.settings
        return session.client("sesv2", endpoint_url=settings.endpoint_url, config=_config(settings))

    def _open_session(self) -> boto3.Session:
        """Makes the session once. Only one thread may call it at a time."""
        if self._session is None:
            core = _session(self.settings)
            use_renewable(core, self._credentials)
            self._session = boto3.Session(botocore_session=core)
        return self._session


def _config(settings: ClientSettings) -> Config:
    """Returns the client's options: sesq's User-Agent, and no second validation, as messages were checked before."""
    return Config(
        connect_timeout=settings.connect_seconds,
        read_timeout=settings.read_seconds,
        retries=ONE_TRY,
        max_pool_connections=MOST_CONNECTIONS,
        parameter_validation=False,
        tcp_keepalive=True,
        user_agent=USER_AGENT,
        use_dualstack_endpoint=True if settings.dual_stack else None,
    )


@cache
def _descriptions() -> Loader:
    """Reads botocore's descriptions of AWS's services once: 10 MB, and most of the time that a client needs."""
    return create_loader(os.environ.get("AWS_DATA_PATH"))


@cache
def _hooks() -> HierarchicalEmitter:
    """Makes botocore's hooks before and after calls once: most of the time that a session needs."""
    hooks = HierarchicalEmitter()
    botocore.session.Session(event_hooks=hooks)
    return hooks


class _Session(botocore.session.Session):
    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        with _making:
            return super().create_client(*args, **kwargs)


def _session(settings: ClientSettings) -> _Session:
    with _making:
        hooks, descriptions = copy.copy(_hooks()), _descriptions()
    core = _Session(event_hooks=hooks, include_builtin_handlers=False, profile=settings.profile)
    core.register_component("data_loader", descriptions)
    if settings.region is not None:
        core.set_config_variable("region", settings.region)
    # Fetching credentials happens inside a send, so it may not take longer than a send.
    core.set_default_client_config(
        Config(connect_timeout=settings.connect_seconds, read_timeout=settings.read_seconds, retries=ONE_TRY)
    )
    return core


def _find_region(settings: ClientSettings) -> str:
    """Finds the region, and checks it and the endpoint as botocore does when it makes a client."""
    core = _session(settings)
    region: str | None = core.get_config_variable("region")
    if not region:
        raise NoRegionError
    validate_region_name(region)
    endpoint = settings.endpoint_url or _configured_endpoint(core)
    if endpoint and not is_valid_endpoint_url(endpoint):
        raise ValueError(f"Invalid endpoint: {endpoint}")
    return region


def _configured_endpoint(core: botocore.session.Session) -> str | None:
    """Reads the endpoint from the environment and ~/.aws/config, as botocore does."""
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    found: str | None = ConfiguredEndpointProvider(
        core.full_config, core.get_scoped_config(), "sesv2"
    ).provide()
    return found


def _read_credentials(settings: ClientSettings) -> Credentials | None:
    """Reads the credentials from AWS's usual sources, in a new session, which reads its files anew.

    With a role, they are used to assume the role, and the role's temporary credentials are returned.
    """
    core = _session(settings)
    source = core.get_credentials()
    if source is None or settings.role_arn is None:
        return source
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client, source, settings.role_arn, extra_args={"RoleSessionName": "sesq"}
    )
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "sesq-assume-role")
