"""The headers by which a mail program offers to unsubscribe (RFC 2369), with one click (RFC 8058)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import shown, wire_form

MAX_URL_LENGTH = 850
"""Characters of the URL, so that the whole header fits SES's Simple content and a line of mail."""

_is_plain = re.compile(r"[!#-;=?-~]+").fullmatch
_is_query = re.compile(r"[A-Za-z0-9._~%!$'*+=&?/:@-]*").fullmatch


def one_click(url: str, mailto: str | None = None) -> dict[str, str]:
    """Makes List-Unsubscribe and List-Unsubscribe-Post, to be given as `headers=`.

    >>> one_click("https://shop.example/leave?who=7f3a", mailto="leave@shop.example?subject=7f3a")["List-Unsubscribe"]
    '<https://shop.example/leave?who=7f3a>, <mailto:leave@shop.example?subject=7f3a>'

    `url` is https and identifies the recipient: mail programs send it a POST with `List-Unsubscribe=One-Click`, without
    a cookie (RFC 8058, 3.1 and 3.2). So each recipient needs a mail of their own. `mailto` is an address for programs
    that send no POST, with or without `?subject=…`. Raises InvalidMessage.
    """
    ways = [_checked_url(url)]
    if mailto is not None:
        ways.append(f"mailto:{_checked_mailto(mailto)}")
    return {
        "List-Unsubscribe": ", ".join(f"<{way}>" for way in ways),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _checked_url(url: object) -> str:
    if not isinstance(url, str) or not _is_plain(url):
        raise InvalidMessage("url", f"{shown(url)}: percent-encode what is not plain ASCII, spaces and < >")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidMessage("url", f"{shown(url)} is no URL: {error}") from error
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidMessage("url", f"{shown(url)}: one click needs https:// and a host (RFC 8058)")
    if len(url) > MAX_URL_LENGTH:
        raise InvalidMessage("url", f"has {len(url)} characters: use a token of at most {MAX_URL_LENGTH}")
    return url


def _checked_mailto(mailto: object) -> str:
    if not isinstance(mailto, str):
        raise InvalidMessage("mailto", f"{shown(mailto)} is no address")
    address, mark, query = mailto.removeprefix("mailto:").partition("?")
    if wire_form(address, "mailto") != address or not _is_query(address):
        raise InvalidMessage("mailto", f"{shown(address)}: write the bare address, as in leave@example.com")
    if not _is_query(query) or len(query) > MAX_URL_LENGTH // 10:
        raise InvalidMessage("mailto", f"{shown(query)}: a short, percent-encoded subject=… is allowed here")
    return address + mark + query
