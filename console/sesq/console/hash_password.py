"""Makes the hash of a password, for a users file."""

from __future__ import annotations

import getpass
import sys

import typer

from sesq.console.output import complain


def print_password_hash() -> None:
    """Asks for a password at the terminal, or reads a line of standard input, and prints its hash."""
    from sesq.producer.submission.users import hash_password

    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        complain("--hash-password: there is no password on the standard input")
        raise typer.Exit(2)
    typer.echo(hash_password(password))
