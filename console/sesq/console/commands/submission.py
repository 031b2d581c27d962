"""`sesq submission`: takes mail by SMTP, for programs that can send mail but do not know the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sesq.config.parts import part
from sesq.console.context import load_settings, open_redis, start_logging
from sesq.console.hash_password import print_password_hash
from sesq.producer import Outbox

EXAMPLES = """Examples

  sesq submission
  sesq submission --host 0.0.0.0 --port 587 --tls-cert mail.pem --tls-key mail.key --users users.toml
  sesq submission --hash-password < password.txt
  curl smtp://127.0.0.1:2525 --mail-from shop@example.com --mail-rcpt ada@example.org -T mail.eml --crlf
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def submission(
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="The port, with STARTTLS if there is a certificate; 0 takes a free one."
        ),
    ] = 2525,
    tls_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The port with TLS from the first byte; none if not given."),
    ] = None,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="The certificate, with its chain, in PEM."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, in PEM.")
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The users file: names, hashed passwords, senders, lanes."),
    ] = None,
    hostname: Annotated[str, typer.Option(help="The name of this server in its greeting.")] = "localhost",
    max_connections: Annotated[
        int, typer.Option(min=1, help="Connections at the same time; others are asked to try again later.")
    ] = 100,
    max_per_host: Annotated[
        int | None,
        typer.Option(
            min=1, help="Connections from one host; if not given, a quarter of all, on loopback all."
        ),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            min=1000, help="The largest size of a mail; if not given, what SES takes, which is also the most."
        ),
    ] = None,
    idle: Annotated[
        float, typer.Option(min=1, help="Seconds of silence after which it ends a connection.")
    ] = 60.0,
    hash_password: Annotated[
        bool,
        typer.Option("--hash-password", help="Print the hash of a password for the users file, and end."),
    ] = False,
) -> None:
    """Take mail by SMTP and put it into the queue.

    A 250 means that the mail is safely in Redis. If Redis is away, the answer is 451, and the sender tries again.
    On loopback, without --users, every program of this machine may send. On all other addresses it needs a users file
    and a certificate.
    """
    with part("submission"):
        from sesq.producer.submission.server import Options, SubmissionServer, serve
    if hash_password:
        return print_password_hash()
    settings = load_settings()
    start_logging(settings)
    given: dict[str, Any] = {"max_bytes": max_bytes} if max_bytes is not None else {}
    options = Options(
        host=host,
        port=port,
        tls_port=tls_port,
        certificate=tls_cert,
        key=tls_key,
        users=users,
        hostname=hostname,
        max_connections=max_connections,
        max_per_host=max_per_host,
        idle_seconds=idle,
        **given,
    )

    def announce(server: SubmissionServer) -> None:
        for listener in server.listeners:
            typer.echo(f"listening on {host}:{listener.port}{' (TLS)' if listener.wrapped else ''}")

    outbox = Outbox(open_redis(settings), keep_days=settings.keep_days, smtp_accounts=settings.smtp_accounts)
    serve(outbox, options, announce)
    return None
