"""The credentials of an AWS client: read when first needed, and read anew when AWS no longer takes them.

botocore reads a key from a file or from the environment once, and a client keeps it forever. Here every client of a
session shares one object, and the session looks at every answer: so all of them, whatever service they are for, go on
with a new key as soon as one of them meets it.
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
"""In the context of a call: its credentials have been read anew once, and are not for a second time."""


class _OfThisThread(threading.local):
    """With what this thread signed last."""

    used: ReadOnlyCredentials | None = None


class RenewableCredentials(Credentials):
    """Those that `read` finds; None is nobody's, and is looked for again at the next call. For several threads."""

    def __init__(self, read: Callable[[], Credentials | None]) -> None:
        super().__init__("", "", method="sesq")
        self._read = read
        self._source: Credentials | None = None
        self._lock = threading.Lock()
        self._this_thread = _OfThisThread()

    def get_frozen_credentials(self) -> ReadOnlyCredentials | None:  # type: ignore[override]  # botocore takes None too
        """Returns what to sign with now. Raises botocore's errors where a source of temporary ones refuses."""
        self._this_thread.used = frozen = self._freeze(self._find())
        return frozen

    def found(self) -> bool:
        """Whether there are any. Temporary ones are not fetched for the answer."""
        return self._find() is not None

    def _find(self) -> Credentials | None:
        if self._source is None:
            with self._lock:
                self._source = self._source or self._read()
        return self._source

    def _freeze(self, source: Credentials | None) -> ReadOnlyCredentials | None:
        """Temporary ones are fetched by way of others, which may have been changed since: they are read anew then."""
        try:
            return source.get_frozen_credentials() if source is not None else None
        except Exception:
            self._source = None
            raise

    def renew(self) -> bool:
        """Whether there are others now than those with which this thread signed last."""
        used = self._this_thread.used
        with self._lock:
            if self._source is not None and self._freeze(self._source) != used:
                return True  # another thread has read them meanwhile
            found = self._read()
            if found is None or self._freeze(found) == used:
                return False
            self._source = found
        return True


def use_renewable(session: botocore.session.Session, credentials: RenewableCredentials) -> None:
    """All clients that the session makes from now on sign with these, and repeat what AWS refused because of them.

    AWS has done nothing then, so that is no second try of the same call. Only other credentials make it one.
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

    # botocore's own redirects of S3 work in this way: an answer that is no None is how long to wait for the next call
    session.register("needs-retry", call_again)  # type: ignore[arg-type]


class _Only(CredentialProvider):
    """The one source of a session's credentials."""

    METHOD = "sesq"

    def __init__(self, credentials: RenewableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials
