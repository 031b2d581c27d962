"""Which errors of Redis a worker waits for, and which ones a person has to mend."""

from __future__ import annotations

import pytest
from redis import exceptions

from sesq.config.connection import mapped, may_pass
from sesq.config.errors import QueueUnavailable

PASSES = {
    exceptions.AuthenticationError: False,
    exceptions.AuthorizationError: False,
    exceptions.BusyLoadingError: True,
    exceptions.TimeoutError: True,
    exceptions.ConnectionError: True,
    exceptions.InvalidResponse: False,
    exceptions.ReadOnlyError: True,
    exceptions.MasterDownError: True,
    exceptions.OutOfMemoryError: True,
    exceptions.NoPermissionError: False,
    exceptions.ClusterDownError: False,
}


@pytest.mark.parametrize("kind", PASSES, ids=lambda kind: kind.__name__)
def test_what_is_waited_for(kind: type[exceptions.RedisError]) -> None:
    with pytest.raises(QueueUnavailable) as raised, mapped():
        raise kind("as Redis says")
    assert may_pass(raised.value) is PASSES[kind]
