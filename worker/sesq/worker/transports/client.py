"""The AWS client for one account: where it is, who we are there, and how long we wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import NoCredentialsError

if TYPE_CHECKING:
    from botocore.config import _RetryDict
    from mypy_boto3_sesv2 import SESV2Client

CONNECT_SECONDS = 5
READ_SECONDS = 20
"""A call must end well before the ledger's slack of 60 s, even when it tries several addresses to connect to."""

ONE_TRY: _RetryDict = {"total_max_attempts": 1}
"""boto3 would send again after a lost reply, and SES has no idempotency token: two mails. It would also spend rate."""


USER_AGENT = f"sesq/{version('sesq')} Boto3/{boto3.__version__}"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Whatever is None comes from the usual AWS places: environment, ~/.aws/config, the instance's role.

    `concurrency` is how many threads may send at once without waiting for a connection; one more is kept for the sync.
    """

    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    concurrency: int = 10
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS


class AwsClient:
    """A SESv2 client and the session behind it. `api` is safe to share between threads, but not over a fork.

    Raises botocore's errors for what is missing: a region, a profile.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._session = _session(settings)
        self.api: SESV2Client = self._session.client(
            "sesv2", endpoint_url=settings.endpoint_url, config=_config(settings)
        )

    @property
    def region(self) -> str:
        """The region it turned out to be."""
        return self.api.meta.region_name

    def service(self, name: str, read_seconds: float = READ_SECONDS) -> Any:
        """A client of another AWS service in the same region, as the same somebody: `sqs`, `sns`, `service-quotas`."""
        waits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=read_seconds, user_agent=USER_AGENT)
        make: Any = self._session.client  # its types know the clients whose stubs are installed
        return make(name, config=waits)

    def credentials(self) -> ReadOnlyCredentials | None:
        """Who we are there; None where no credentials are found."""
        credentials = self._session.get_credentials()
        return credentials.get_frozen_credentials() if credentials is not None else None

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
        self.api.close()


def _config(settings: ClientSettings) -> Config:
    """Two settings save a fifth of the time boto3 takes for a mail: no second validation, since messages are checked at
    the door, and a User-Agent that is not put together anew, twice, for every call.
    """
    return Config(
        connect_timeout=settings.connect_seconds,
        read_timeout=settings.read_seconds,
        retries=ONE_TRY,
        max_pool_connections=settings.concurrency + 1,
        parameter_validation=False,
        tcp_keepalive=True,
        user_agent=USER_AGENT,
    )


def _session(settings: ClientSettings) -> boto3.Session:
    core = botocore.session.get_session()
    # Fetching credentials happens inside a send, so it may not take longer than a send.
    core.set_default_client_config(
        Config(connect_timeout=settings.connect_seconds, read_timeout=settings.read_seconds, retries=ONE_TRY)
    )
    if settings.role_arn:
        _assume(core, settings.role_arn)
    return boto3.Session(botocore_session=core, region_name=settings.region, profile_name=settings.profile)


def _assume(core: botocore.session.Session, role_arn: str) -> None:
    """Put the role before every other source of credentials; those then speak for who may assume it."""
    core.get_component("credential_provider").providers.insert(0, _Role(core, role_arn))


class _Role(CredentialProvider):
    """Temporary credentials of a role, fetched when first needed and again before they expire."""

    METHOD = "sesq-assume-role"

    def __init__(self, core: botocore.session.Session, role_arn: str) -> None:
        super().__init__(core)
        self._core, self._role_arn = core, role_arn

    def load(self) -> DeferredRefreshableCredentials | None:
        others = [p for p in self._core.get_component("credential_provider").providers if p is not self]
        source = CredentialResolver(others).load_credentials()
        if source is None:
            return None
        fetcher = AssumeRoleCredentialFetcher(
            self._core.create_client, source, self._role_arn, extra_args={"RoleSessionName": "sesq"}
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
