"""Splits sorted names into pages. The token of the next page contains the last name of this one."""

from __future__ import annotations

import base64
import binascii

from sesq.simulator.errors import SesError

_START = b"\0"  # the first byte of each of our tokens


def page(names: list[str], size: int, token: str) -> tuple[list[str], dict[str, str]]:
    """Returns the names of a page, and its NextToken if there are more. Raises SesError(next_token)."""
    after = _name(token) if token else ""
    rest = [name for name in names if name > after]
    return rest[:size], {"NextToken": _token(rest[size - 1])} if len(rest) > size else {}


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(_START + name.encode()).decode()


def _name(token: str) -> str:
    try:
        read = base64.b64decode(token, altchars=b"-_", validate=True)
        if read.startswith(_START):
            return read[1:].decode()
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error
    raise _invalid()


def _invalid() -> SesError:
    return SesError("next_token", "The specified NextToken is invalid.")
