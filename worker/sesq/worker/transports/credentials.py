"""Keeps the credentials of AWS clients: reads them when first needed, and again when AWS refuses them.

botocore reads a key from a file or from the environment once, and a client keeps it forever. Here all clients of a
session share one object, and the session checks every answer. So all clients, for any service, use a new key as soon as
one of them has read it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from sesq.worker.verdicts import refuses_credentials

log = logging.getLogger("sesq.aws")

READ_ANEW = "sesq_read_anew"
"""In the context of a call: its credentials were read again once, and are not read a second time."""


class _OfThisThread(threading.local):
    """Holds the credentials with which this thread signed last."""

    used: ReadOnlyCredentials | None = None


class RenewableCredentials(Credentials):
    """Are the credentials that `read` finds. If it finds none, it is called again next time. Safe for threads."""

    def __init__(self, read: Callable[[], Credentials | None]) -> None:
        super().__init__("", "", method="sesq")
        self._read = read
        self._source: Credentials | None = None
        self._lock = threading.Lock()
        self._this_thread = _OfThisThread()

    def get_frozen_credentials(self) -> ReadOnlyCredentials | None:  # type: ignore[override]  # botocore takes None too
        """Returns the credentials to sign with now. Raises botocore's errors if a source of temporary ones refuses."""
        self._this_thread.used = frozen = self._freeze(self._find())
        return frozen

    def found(self) -> bool:
        """Whether there are any. It fetches no temporary credentials."""
        return self._find() is not None

    def _find(self) -> Credentials | None:
        if self._source is None:
            with self._lock:
                self._source = self._source or self._read()
        return self._source

    def _freeze(self, source: Credentials | None) -> ReadOnlyCredentials | None:
        """Fetches temporary credentials. If that fails, the source is read again next time: it may have changed."""
        try:
            return source.get_frozen_credentials() if source is not None else None
        except Exception:
            self._source = None
            raise

    def renew(self) -> bool:
        """Reads the credentials again. Returns whether they differ from those with which this thread signed last."""
        used = self._this_thread.used
        with self._lock:
            if self._source is not None and self._freeze(self._source) != used:
                return True  # another thread has read new ones meanwhile
            found = self._read()
            if found is None or self._freeze(found) == used:
                return False
            self._source = found
        return True


def use_renewable(session: botocore.session.Session, credentials: RenewableCredentials) -> None:
    """Makes all later clients of a session sign with these, and repeat a call once if AWS refuses the credentials.

    AWS did nothing for the refused call, so a repeated call has no double effect. It is repeated only with new
    credentials.
    """
    session.register_component("credential_provider", CredentialResolver([_Only(credentials)]))

    def call_again(response: Any, request_dict: dict[str, Any], operation: Any, **_: object) -> float | None:
        if response is None or READ_ANEW in request_dict["context"] or not refuses_credentials(response[1]):
            return None
        request_dict["context"][READ_ANEW] = True
        try:
            renewed = credentials.renew()
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            # a profile that is just being written, a role that refuses
            log.info("the AWS credentials could not be read anew: %s", type(error).__name__)
            return None
        if not renewed:
            return None
        log.info(
            "%s: AWS refused the credentials; there are others now, and it is called again", operation.name
        )
        return 0.0

    # botocore's own redirects for S3 work this way: any answer but None is how long to wait before the next call
    session.register("needs-retry", call_again)  # type: ignore[arg-type]


class _Only(CredentialProvider):
    """Is the only source of a session's credentials."""

    METHOD = "sesq"

    def __init__(self, credentials: RenewableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials
