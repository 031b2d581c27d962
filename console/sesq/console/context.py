"""What commands share: the settings, the connection to Redis, and the name of the user."""

from __future__ import annotations

import getpass
import logging
import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from sesq.config.errors import InputError, QueueUnavailable, WrongLayout
from sesq.config.parts import part
from sesq.console.streams import typed

if TYPE_CHECKING:
    from redis import Redis

    from sesq.config.settings import Settings
    from sesq.console.audit import Change

DEFAULT_ACCOUNT = "default"
LINE = "%(asctime)s %(levelname)s %(message)s"


def _account(name: str) -> str:
    from sesq.producer.rules import check_account

    check_account(name)
    return name


Account = Annotated[
    str, typer.Option("--account", metavar="NAME", callback=_account, help="The account in sesq.toml.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The beginning of the id is enough.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show all columns and whole values, also at a narrow terminal.")
]
EmailColumn = Annotated[
    str | None,
    typer.Option(
        metavar="HEADING", help="The column with the addresses; `email` or `Email Address` if not given."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The encoding of the file, such as cp1252; UTF-8 if not given."),
]


def load_settings() -> Settings:
    """Loads the settings of this process. Raises SettingsError."""
    from sesq.config.settings import Settings

    return Settings.load()


def open_redis(settings: Settings) -> Redis:
    """Opens the queue's Redis. If it starts the embedded one, a line on stderr says so."""
    from sesq.queue.careful_redis import connect
    from sesq.queue.layout import require_layout

    if settings.redis_url is None:
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        logging.getLogger("sesq.redis").setLevel("INFO")
    redis = connect(settings=settings)
    try:
        require_layout(redis, writes=False)
    except WrongLayout:
        raise
    except QueueUnavailable as error:  # the first command to Redis reports it, or waits
        logging.getLogger("sesq.redis").debug("the layout is not known: %s", error)
    return redis


def open_account(account: str, settings: Settings | None = None) -> Redis:
    """Opens the queue's Redis, for an account that is configured here or known there.

    Raises SettingsError for any other account: its mail would never go, and changes would have no effect.
    """
    from sesq.queue.messages import accounts

    settings = settings or load_settings()
    redis = open_redis(settings)
    if account not in settings.accounts and account not in accounts(redis):
        settings.account(account)
    return redis


def start_logging(settings: Settings) -> None:
    """Shows logs on stderr: sesq's from `log_level` on; of others, which may have content of mail, only warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json_lines() if settings.log_format == "json" else logging.Formatter(LINE))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("sesq").setLevel(settings.log_level)


def _json_lines() -> logging.Formatter:
    with part("console"):
        from pythonjsonlogger.json import JsonFormatter
    names = {"levelname": "level", "name": "logger"}
    return JsonFormatter(
        ["levelname", "name", "message"], rename_fields=names, timestamp=True, json_ensure_ascii=False
    )


def asker() -> str:
    """Returns `user@host`, for the audit trail."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def note(redis: Redis, account: str, what: str, change: Change | None = None) -> None:
    """Writes into the audit trail what somebody did at the command line, and what that changed."""
    from sesq.console.audit import Audit

    Audit(redis, account).note(asker(), what, **(change or {}))


def pairs(values: list[str], separator: str, option: str) -> dict[str, str]:
    """Reads `["a=b"]` as a mapping. Raises InputError for one without the separator, and for a name given twice."""
    found: dict[str, str] = {}
    for value in map(typed, values):
        name, middle, rest = value.partition(separator)
        if not middle or not name.strip():
            raise InputError(f"{option}: {value!r} has no {separator!r}; write name{separator}value")
        if name.strip() in found:
            raise InputError(f"{option}: {name.strip()} is given twice")
        found[name.strip()] = rest.strip()
    return found
