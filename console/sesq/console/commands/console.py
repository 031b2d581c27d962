"""`sesq console`: shows the queue and changes its limits in a browser; with an API and metrics for programs."""

from __future__ import annotations

import os
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sesq.config.errors import InputError
from sesq.config.parts import part
from sesq.config.places import find_file
from sesq.config.settings import Settings
from sesq.console.context import asker, load_settings, open_redis, start_logging
from sesq.console.hash_password import print_password_hash

if TYPE_CHECKING:
    from sesq.console.web.reread import Reread

EXAMPLES = """Examples

  sesq console
  sesq console --users users.toml --host 0.0.0.0 --tls-cert mail.pem --tls-key mail.key --allowed-host mail.example.com
  sesq console --users users.toml --host 10.0.0.5 --behind 10.0.0.2 --proxy-header X-Forwarded-User
  sesq console --intake
  sesq console --hash-password < password.txt
  curl http://127.0.0.1:9796/api/v1/accounts/default/overview
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def console(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")] = 9796,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The users file: names, hashed passwords, tokens, roles."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that browsers use for it; may be given several times."),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="The certificate, with its chain, in PEM."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, in PEM.")
    ] = None,
    behind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="The address of a reverse proxy with HTTPS; may be given several times."
        ),
    ] = None,
    proxy_header: Annotated[
        str | None, typer.Option(metavar="NAME", help="The header in which that proxy names the user.")
    ] = None,
    intake: Annotated[
        bool,
        typer.Option("--intake", help="Also take mail at POST /emails, in the form of Resend's API."),
    ] = False,
    hash_password: Annotated[
        bool,
        typer.Option("--hash-password", help="Print the hash of a password for the users file, and end."),
    ] = False,
    new_token: Annotated[
        bool, typer.Option("--new-token", help="Print a new token and its hash for the users file, and end.")
    ] = False,
) -> None:
    """Show the queue in a browser, and change its limits; with an API and metrics for programs.

    On loopback, without --users, everybody who uses this machine may operate. On all other addresses, and behind a
    reverse proxy, it needs a users file, and a certificate or a proxy that has one.
    """
    with part("console,worker"):
        from sesq.console.web.server import ServerAddress, serve
    if hash_password or new_token:
        return _print_secret(new_token)
    settings = load_settings()
    address = ServerAddress(host, port, tls_cert, tls_key, tuple(behind or ()))
    _check(address.secure, host, users, proxy_header, behind)
    start_logging(settings)
    from sesq.console.web.people import People
    from sesq.console.web.reread import Reread
    from sesq.console.web.site import Site

    redis = open_redis(settings)
    file = find_file(os.environ)
    watched = Reread(file, lambda: Settings.load(file))
    site = Site(
        redis,
        watched,
        People.read(users, asker()),
        hosts=frozenset(name.lower() for name in allowed_host or ()),
        secure=address.secure,
        proxy_header=proxy_header,
        proxies=frozenset(behind or ()),
        control=partial(_control, redis, watched),
    )
    serve(site, address, lambda address: typer.echo(f"listening on {address}"), intake=intake)
    return None


def _control(redis: Any, settings: Reread[Settings], account: str) -> Any:
    with part("worker"):
        from sesq.worker.aws_clients import open_control
    return open_control(redis, account, settings.now)


def _check(secure: bool, host: str, users: Path | None, header: str | None, behind: list[str] | None) -> None:
    """Raises InputError if others could get in without a name, or if passwords would be sent unencrypted."""
    if header and not (users and behind):
        raise InputError(
            "--proxy-header: needs --behind ADDRESS and --users FILE, which gives each name its role"
        )
    if behind and users is None:
        raise InputError(
            "--behind: everybody who reaches the proxy would reach the console; give --users FILE"
        )
    if _is_loopback(host):
        return
    if users is None:
        raise InputError(f"--host {host}: others can reach it there; give --users FILE")
    if not secure:
        raise InputError(
            f"--host {host}: needs --tls-cert and --tls-key, or --behind ADDRESS of a proxy with HTTPS"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _print_secret(new_token: bool) -> None:
    from sesq.console.web.people import hash_token
    from sesq.console.web.people import new_token as make_token

    if new_token:
        token = make_token()
        typer.echo(f'token: {token}\nfor the users file: token = "{hash_token(token)}"')
        return
    print_password_hash()
