"""Connects to Redis, and explains its errors.

Each command is sent once. If the reply to a claim or an enqueue is lost, a second try could count or queue it twice.
redis-py's pool replaces a connection that the server has closed before it uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import ConnectionPool, Redis, UnixDomainSocketConnection
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from sesq.config.errors import MissingPart, QueueUnavailable, SettingsError
from sesq.config.redis_url import SENTINEL_PORT, RedisUrl, parse_redis_url

if TYPE_CHECKING:
    from sesq.config.embedded import EmbeddedRedis
    from sesq.config.essentials import Essentials
    from sesq.config.settings import Settings

TIMEOUT_SECONDS = 5.0
OF_THE_POOL = re.compile(r"maint|orig_|oss_cluster_|event_dispatcher$|himport_registry$")
"""Options that a pool of redis-py adds for itself. Some ask for another protocol than sesq uses."""
HEALTH_CHECK_SECONDS = 30

REPLICA = "this Redis is a replica: a fail-over is under way, or the address is wrong"
FULL = "Redis is full: raise its maxmemory"
RIGHTS = "Redis's user lacks rights that sesq needs: `sesq doctor` names them"
CLUSTER = "this is a Redis Cluster, which sesq cannot use: name one server, or Sentinels"
RENAMED = "this server lacks a command: it is older than Redis 6.2, or rename-command took it away"
MEANINGS: tuple[tuple[type[Exception], str, bool], ...] = (
    (redis_errors.AuthenticationError, "Redis refuses the user or the password", False),
    (redis_errors.AuthorizationError, "Redis refuses this user", False),
    (redis_errors.BusyLoadingError, "Redis is starting and still reads its data", True),
    (redis_errors.TimeoutError, "Redis did not answer in time", True),
    (redis_errors.ConnectionError, "Redis cannot be reached", True),
    (redis_errors.InvalidResponse, "what answers there is not Redis", False),
    (redis_errors.ReadOnlyError, REPLICA, True),
    (redis_errors.MasterDownError, "this Redis is a replica that has lost its master", True),
    (redis_errors.OutOfMemoryError, FULL, True),
    (redis_errors.NoPermissionError, RIGHTS, False),
    (redis_errors.ClusterDownError, CLUSTER, False),
    (redis_errors.ClusterCrossSlotError, CLUSTER, False),
    (redis_errors.AskError, CLUSTER, False),
)
"""The class of a redis-py error, what it means, and whether it may pass by itself. The first class that fits counts."""

CODES = {
    "NOREPLICAS": ("Redis takes no writes, since too few of its replicas are connected", True),
    "MISCONF": ("Redis takes no writes, since it cannot save its data to the disk", True),
    "BUSY Redis": ("Redis runs somebody's script, and does nothing else", True),
    "READONLY": (REPLICA, True),
    "OOM command": (FULL, True),
    "DB index is out of range": ("redis_url names a database that this Redis does not have", False),
    "invalid DB index": ("redis_url names a database that this Redis does not have", False),
    "ACL failure in script": (RIGHTS, False),
    "The user executing the script can't": (RIGHTS, False),
    "NOPERM": (RIGHTS, False),
    "unknown command": (RENAMED, False),
    "Unknown Redis command": (RENAMED, False),
}
"""The same for errors without a class in redis-py, and for errors inside a script, by words of their text.

An error that is in neither table comes from damaged data or from a fault in sesq, and keeps Redis's own words.
"""

LIBRARY_ERRORS: tuple[type[Exception], ...] = (redis_errors.ResponseError, *(kind for kind, _, _ in MEANINGS))
REFUSED = "Redis could not do what sesq asked (damaged data, or a fault in sesq)"
LONGEST_TEXT = 300
"""Characters of Redis's own words that are shown: some of its errors quote whole commands."""


@contextmanager
def mapped() -> Iterator[None]:
    """Turns redis-py's errors into `QueueUnavailable`: `with mapped():`, or `@mapped()` on a function."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise QueueUnavailable(_meaning(error)) from error


def _meaning(error: Exception) -> str:
    # In an error of Sentinel, the whole client and its options follow " : ".
    said = str(error).partition(" : ")[0][:LONGEST_TEXT]
    meanings = [*_by_class(error), *(meaning for words, meaning in CODES.items() if words in said)]
    return f"{meanings[0][0] if meanings else REFUSED}: {said}"


def _by_class(error: object) -> list[tuple[str, bool]]:
    return [(text, passes) for kind, text, passes in MEANINGS if isinstance(error, kind)][:1]


def may_pass(error: QueueUnavailable) -> bool:
    """Whether Redis may work again later with the same settings: it is away, full, or a replica for a while."""
    cause = error.__cause__
    meanings = [*_by_class(cause), *(meaning for words, meaning in CODES.items() if words in str(cause))]
    return any(passes for _, passes in meanings)


def connect(
    url: str | None = None,
    *,
    settings: Settings | Essentials | None = None,
    client: type[Redis] = Redis,
) -> Redis:
    """Makes a client for `url`, else for redis_url of the settings, else for the embedded Redis, which it may start.

    It makes no call to a Redis server yet, except to the embedded one. Raises `SettingsError`; for the embedded Redis
    also `MissingPart` and `QueueUnavailable`.
    """
    if url is None:
        settings = settings or _load_settings()
        url = settings.redis_url or _embedded(settings.data_dir / "redis").url
    timeout = settings.redis_timeout_seconds if settings else TIMEOUT_SECONDS
    try:
        address = parse_redis_url(url)
    except ValueError as error:
        raise SettingsError(f"redis_url cannot be used: {error}") from error
    options = _defaults(address.scheme, timeout) | dict(address.options)
    if address.scheme == "redis+sentinel":
        return _of_sentinels(address, options, client)
    return client.from_url(address.bare, **options)


def reading_bytes(redis: Redis) -> Redis:
    """Returns a client that reads bytes, as sesq needs it: `redis` itself, or a second client of the same server."""
    pool = redis.connection_pool
    if not pool.connection_kwargs.get("decode_responses"):
        return redis
    options = {**_given_options(redis), "decode_responses": False}
    return Redis(connection_pool=type(pool)(pool.connection_class, pool.max_connections, **options))


def _given_options(redis: Redis) -> dict[str, Any]:
    """Returns the options of a client's connections, without those that its pool has added."""
    options = redis.connection_pool.connection_kwargs
    return {
        name: value for name, value in options.items() if value is not None and not OF_THE_POOL.match(name)
    }


def connect_as(redis: Redis, client: type[Redis]) -> Redis:
    """Makes another client of the same server, as the same user. It has time limits, and sends each command once."""
    pool = redis.connection_pool
    unix = issubclass(pool.connection_class, UnixDomainSocketConnection)
    options = _defaults("unix" if unix else "redis", TIMEOUT_SECONDS) | _given_options(redis)
    options |= {"retry": Retry(NoBackoff(), 0), "protocol": 2, "decode_responses": False}
    if isinstance(pool, SentinelConnectionPool):
        options.pop("connection_pool", None)  # a Sentinel pool adds itself to its options
        own = SentinelConnectionPool(pool.service_name, pool.sentinel_manager, **options)  # type: ignore[no-untyped-call]
        return client(connection_pool=own)
    return client(connection_pool=ConnectionPool(pool.connection_class, pool.max_connections, **options))


def _defaults(scheme: str, timeout_seconds: float) -> dict[str, Any]:
    """Returns the options of a connection, which the URL's query string may replace."""
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # one shape of replies with every redis-py from 5 on
    }
    if scheme != "unix":
        options |= {"socket_connect_timeout": timeout_seconds, "socket_keepalive": True}
    return options


def _of_sentinels(address: RedisUrl, options: dict[str, Any], client: type[Redis]) -> Redis:
    """Makes a client that asks the Sentinels for the current master at each new connection.

    User, password and database are those of the master, not of the Sentinels.
    """
    of_master = {name: options.pop(name) for name in ("username", "password", "db") if name in options}
    sentinels = [(host, port or SENTINEL_PORT) for host, port in address.hosts]
    sentinel = Sentinel(sentinels, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for(address.service, client, **of_master)  # type: ignore[no-untyped-call]
    return master


def _load_settings() -> Settings:
    # Imported here, so that a producer with a URL of its own does not load pydantic.
    from sesq.config.settings import Settings

    return Settings.load()


_shares: dict[Path, EmbeddedRedis] = {}


def _embedded(directory: Path) -> EmbeddedRedis:
    """Joins the embedded Redis of `directory` until this process ends."""
    try:
        from sesq.config.embedded import EmbeddedRedis  # here, since Windows has no fcntl
    except ImportError as error:
        raise MissingPart("there is no embedded Redis on this system: set SESQ_REDIS_URL") from error
    if directory not in _shares:
        _shares[directory] = EmbeddedRedis(directory).start()
    return _shares[directory]
