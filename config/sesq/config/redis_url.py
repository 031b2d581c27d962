"""Reads and checks the address of the queue's Redis.

No error shows the address: a wrong part of it may be a part of its password.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
SENTINEL_PORT = 26_379
SHAPES = {
    "redis": "redis://user:password@host:port/database",
    "rediss": "rediss://user:password@host:port/database",
    "unix": "unix:///path/of/the.sock?db=0",
    "redis+sentinel": "redis+sentinel://user:password@host:port,host:port/service/database",
}
ESCAPES = (
    "in a user, a password, a path or an option write @ as %40, / as %2F, ? as %3F, # as %23 and [ as %5B"
)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Holds the parts of an address. `options` are those of its query string, as redis-py takes them."""

    scheme: str
    hosts: tuple[tuple[str, int | None], ...]
    service: str
    options: Mapping[str, Any]
    bare: str
    """The address without its query string."""


def parse_redis_url(url: str) -> RedisUrl:
    """Reads an address. Raises ValueError, which names the wrong part and what is allowed, and shows no password."""
    parts = _split(url)
    options = _options(parts)
    path, service, database = parts.path, "", parts.path.strip("/")
    if parts.scheme == "unix":
        _check_socket(parts)
        database = ""
    elif parts.scheme == "redis+sentinel":
        service, _, database = path.strip("/").partition("/")
    _check_database(parts.scheme, database, options)
    hosts = _hosts(parts)
    if parts.scheme == "redis+sentinel" and not (service and all(host for host, _ in hosts)):
        raise ValueError(f"hosts and a service are needed; allowed: {SHAPES[parts.scheme]}")
    if database:
        options["db"] = int(database)
    return RedisUrl(
        parts.scheme, hosts, unquote(service), _with_credentials(parts, options), url.partition("?")[0]
    )


def _split(url: str) -> SplitResult:
    if not re.fullmatch(r"[^\s\x00-\x1f\x7f]+", url):
        raise ValueError("it contains a space or a control character; remove it")
    if url.partition("://")[0] not in SCHEMES or "://" not in url:
        raise ValueError(f"allowed: an address that starts with {', '.join(f'{s}://' for s in SCHEMES)}")
    scheme, rest = url.split("://", 1)
    named = re.split("[/?#]", rest, maxsplit=1)[0]
    try:
        for each in named.split(","):  # one by one: newer Pythons refuse an [address] after another host
            urlsplit(f"//{each}")
    except ValueError:  # its text shows the host's part
        raise ValueError(f"the host cannot be read; {ESCAPES}") from None
    parts = urlsplit(f"{scheme}://{rest.removeprefix(named)}")._replace(netloc=named)
    if parts.fragment or "#" in url or "@" in parts.path + parts.query:
        raise ValueError(f"it contains a character with a special meaning; {ESCAPES}")
    return parts


def _hosts(parts: SplitResult) -> tuple[tuple[str, int | None], ...]:
    """Returns each (host, port): "" and None where they are left out, for redis-py's defaults."""
    named = parts.netloc.rpartition("@")[2]
    several = named.split(",") if parts.scheme == "redis+sentinel" else [named]
    return tuple(_host(each) for each in several)


def _host(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if port == 0 or (text and not host and port is not None) or "," in host:
        raise ValueError("the port is not a number from 1 to 65535; several hosts are for redis+sentinel://")
    return host, port


def _check_socket(parts: SplitResult) -> None:
    if parts.netloc.rpartition("@")[2] or len(parts.path) < 2:
        raise ValueError(f"a path with three slashes is needed; allowed: {SHAPES['unix']}")


def _check_database(scheme: str, database: str, options: Mapping[str, Any]) -> None:
    if database and not re.fullmatch(r"[0-9]{1,9}", database):
        raise ValueError(f"the database is not a number; allowed: {SHAPES[scheme]}")
    if database and "db" in options:
        raise ValueError("db: the path names a database too; give one of them")


def _with_credentials(parts: SplitResult, options: Mapping[str, Any]) -> dict[str, Any]:
    """Adds user and password to the options, if they stand before the host."""
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {**{name: value for name, value in given.items() if value}, **options}


def _number(least: float, kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        number = kind(text)
        if not isfinite(number) or number < least or not text.isascii():
            raise ValueError
        return number

    return read


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError
    return text


def _one_of(**values: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text.lower() not in values:
            raise ValueError
        return values[text.lower()]

    return read


Option = tuple[Callable[[str], Any], str]
"""The function that reads an option's text, and a text that says what is allowed."""
_YES_OR_NO: Option = (_one_of(true=True, yes=True, false=False, no=False), "true or false")
_SECONDS: Option = (_number(0.001, float), "a number of seconds above 0")
_TEXT: Option = (_text, "some text")
_EVERYWHERE: dict[str, Option] = {
    "client_name": (_name, "letters, digits and signs, without spaces"),
    "db": (_number(0, int), "a number from 0 on"),
    "health_check_interval": (_number(0, float), "a number of seconds from 0 on"),
    "max_connections": (_number(1, int), "a number from 1 on"),
    "password": _TEXT,
    "socket_timeout": _SECONDS,
    "username": _TEXT,
}
_BY_TCP: dict[str, Option] = {"socket_connect_timeout": _SECONDS, "socket_keepalive": _YES_OR_NO}
_BY_TLS: dict[str, Option] = {
    "ssl_ca_certs": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_cert_reqs": (
        _one_of(none="none", optional="optional", required="required"),
        "none, optional or required",
    ),
    "ssl_certfile": _TEXT,
    "ssl_check_hostname": _YES_OR_NO,
    "ssl_keyfile": _TEXT,
    "ssl_password": _TEXT,
}
OPTIONS: dict[str, dict[str, Option]] = {
    "redis": _EVERYWHERE | _BY_TCP,
    "rediss": _EVERYWHERE | _BY_TCP | _BY_TLS,
    "unix": _EVERYWHERE,
    "redis+sentinel": _EVERYWHERE | _BY_TCP,
}
"""Scheme -> the options that its query string may have. `decode_responses`, `protocol` and `retry_…` are not allowed:
sesq reads bytes, in one protocol, and sends each command once."""


def _options(parts: SplitResult) -> dict[str, Any]:
    known, options = OPTIONS[parts.scheme], dict[str, Any]()
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            raise ValueError(f"{_unknown(name, list(known))}")
        if name in options:
            raise ValueError(f"{name} is given twice; keep one of them")
        read, allowed = known[name]
        try:
            options[name] = read(text)
        except ValueError:
            raise ValueError(f"{name}: cannot be used; allowed: {allowed}") from None
    return options


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown option {name[:40]!r}; {hint}allowed: {', '.join(sorted(known))}"
