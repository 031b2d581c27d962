"""The address of Redis: what is taken, and that an error shows nothing of what may be a password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import SettingsError
from sesq.config.redis_url import parse_redis_url
from sesq.config.settings import Settings
from sesq.queue.careful_redis import connect


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://", {}),
        ("redis://h", {"host": "h"}),
        ("redis://h:7000/", {"host": "h", "port": 7000}),
        ("redis://h:7000/3", {"port": 7000, "db": 3}),
        ("redis://h?db=3", {"db": 3}),
        ("redis://[::1]:7000/3", {"host": "::1", "port": 7000, "db": 3}),
        ("redis://:p%40%2F%23ss@h", {"password": "p@/#ss"}),
        ("redis://app:p@ss@h", {"username": "app", "password": "p@ss"}),
        ("redis://h?username=app&password=p%40ss", {"username": "app", "password": "p@ss"}),
        ("unix:///run/r%C3%A9dis.sock?db=2", {"path": "/run/rédis.sock", "db": 2}),
        ("unix://app:pw@/run/r.sock", {"username": "app", "password": "pw"}),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=false", {"ssl_cert_reqs": "none"}),
        (
            "redis://h?socket_timeout=0.5&socket_keepalive=no",
            {"socket_timeout": 0.5, "socket_keepalive": False},
        ),
        (
            "redis://h?health_check_interval=0&client_name=shop",
            {"health_check_interval": 0, "client_name": "shop"},
        ),
    ],
)
def test_an_address_means_what_it_says(url: str, wanted: dict[str, Any]) -> None:
    options = connect(url).connection_pool.connection_kwargs
    assert wanted.items() <= options.items()
    connect(url).connection_pool.connection_class(**options)  # the kind of connection takes all of them


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h", "allowed: an address that starts with redis://, rediss://, unix://, redis+sentinel://"),
        ("h:6379", "allowed: an address that starts with"),
        ("redis:/h", "allowed: an address that starts with"),
        ("redis://h h", "a space"),
        ("redis://h/abc", "the database is not a number"),
        ("redis://h/1/2", "the database is not a number"),
        ("redis://h/-1", "the database is not a number"),
        ("redis://h/\u0661", "the database is not a number"),
        ("redis://h/1?db=1", "give one of them"),
        ("redis://h?db=x", "db: cannot be used; allowed: a number from 0 on"),
        ("redis://h?db=-1", "db: cannot be used"),
        ("redis://h:port", "the port is not a number from 1 to 65535"),
        ("redis://h:0", "the port"),
        ("redis://h:65536", "the port"),
        ("redis://a:1,b:2/0", "several hosts are for redis+sentinel://"),
        ("redis://h?socket_timeout=never", "socket_timeout: cannot be used; allowed: a number of seconds"),
        ("redis://h?socket_timeout=inf", "socket_timeout: cannot be used"),
        ("redis://h?socket_timeout=-1", "socket_timeout: cannot be used"),
        ("redis://h?socket_timeout=1&socket_timeout=2", "is given twice"),
        ("redis://h?socket_keepalive=perhaps", "allowed: true or false"),
        ("redis://h?sockettimeout=1", "unknown option 'sockettimeout'; did you mean socket_timeout?"),
        ("redis://h?decode_responses=true", "unknown option 'decode_responses'"),
        ("redis://h?protocol=3", "unknown option 'protocol'"),
        ("redis://h?ssl_cert_reqs=none", "unknown option 'ssl_cert_reqs'"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "allowed: none, optional or required"),
        ("redis://h?client_name=a%20b", "client_name: cannot be used"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///run/r.sock?socket_connect_timeout=1", "unknown option"),
        ("redis+sentinel://", "hosts and a service are needed"),
        ("redis+sentinel://one:1", "hosts and a service are needed"),
        ("redis+sentinel://one:1,/mail", "hosts and a service are needed"),
        ("redis+sentinel://one:x/mail", "the port"),
        ("redis+sentinel://one:1/mail/abc", "the database is not a number"),
        ("redis+sentinel://one:1/mail?ssl_keyfile=x", "unknown option"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_allowed(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r"^redis_url cannot be used: ") as raised:
        connect(url)
    assert said in str(raised.value)
    with pytest.raises(SettingsError) as raised:
        Settings.load(env={"SESQ_REDIS_URL": url})
    assert str(raised.value).startswith("SESQ_REDIS_URL: redis_url: ")
    assert said in str(raised.value)


SECRET = st.text("hunter2@/#?:[]%&= ", min_size=1).map(lambda text: f"hush{text}hush")
HOSTS = st.sampled_from(["h", "h:1", "h/0", "h:1/0?db=1", "[::1]", "h:x"])


@given(
    scheme=st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "http"]),
    user=st.sampled_from(["", "app"]),
    secret=SECRET,
    host=HOSTS,
)
def test_no_error_shows_a_part_of_a_password(scheme: str, user: str, secret: str, host: str) -> None:
    url = f"{scheme}://{user}:{secret}@{host}"
    assert "hush" not in told(lambda: connect(url))
    assert "hush" not in told(lambda: Settings.load(env={"SESQ_REDIS_URL": url, "HOME": "/nonexistent"}))


def told(load: Callable[[], object]) -> str:
    try:
        load()
    except SettingsError as error:
        return str(error)
    return ""


@given(st.text("rediss:/@?#[]%&=0123abc,.\u0661 \n"))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    try:
        parsed = parse_redis_url(f"redis://{text}")
    except ValueError:
        return
    assert connect(f"redis://{text}").connection_pool.connection_kwargs.get("db", 0) == parsed.options.get(
        "db", 0
    )


def test_options_of_a_sentinel_address_reach_every_connection() -> None:
    client = connect("redis+sentinel://one:7000/mail?socket_timeout=0.5&db=4")
    pool = client.connection_pool
    assert (pool.connection_kwargs["socket_timeout"], pool.connection_kwargs["db"]) == (0.5, 4)
    sentinel = pool.sentinel_manager.sentinels[0].get_connection_kwargs()  # type: ignore[attr-defined]
    assert sentinel["socket_timeout"] == 0.5
    assert sentinel.get("db", 0) == 0
