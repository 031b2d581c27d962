"""`sesq simulator`: SES on localhost."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from sesq.config.errors import InputError
from sesq.config.parts import part

SMTP_PORT = 9798
PORTS_CURE = ". Another simulator may be running: --port 0 --smtp-port 0 take free ones"
EXAMPLES = """Examples

  sesq simulator
  sesq simulator --production
  sesq simulator --production --rate 100 --daily 1000000
  export AWS_ENDPOINT_URL_SESV2=http://127.0.0.1:9797 AWS_DEFAULT_REGION=us-east-1
  AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated sesq worker
  curl -X POST http://127.0.0.1:9797/_sim/identities/ada@example.org/verify
"""

OPTIONS = {"max_send_rate": "--rate", "max_24_hour_send": "--daily", "burst": "--burst"}
"""The simulator's names of settings -> the options here. A file uses the simulator's names."""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def simulator(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")] = 9797,
    smtp_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help=f"SMTP with STARTTLS; {SMTP_PORT} if not given.")
    ] = None,
    smtp_tls_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="SMTP over TLS; none if not given.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    account: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON object of settings; options given here replace them."),
    ] = None,
    production: Annotated[
        bool | None, typer.Option("--production/--sandbox", help="Whether the account is out of the sandbox.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Recipients a second; if not given 1, in production 14.")
    ] = None,
    daily: Annotated[
        float | None,
        typer.Option(help="Recipients in 24 hours; -1: unlimited; if not given 200, in production 50000."),
    ] = None,
    burst: Annotated[
        float | None, typer.Option(help="Recipients at once; those of one second if not given.")
    ] = None,
) -> None:
    """Run SES on localhost, with its rules and its limits.

    The account starts in the sandbox. What the simulator accepted is at /_sim/report and /_sim/messages.
    """
    with part("simulator"):
        from sesq.simulator import Simulator, read_account_file, serve
        from sesq.simulator.settings import problems_of

    def announce(running: Simulator) -> None:
        typer.echo("\n".join(running.listening))

    given = {
        "smtp_port": smtp_port,
        "smtp_tls_port": smtp_tls_port,
        "production": production,
        "max_send_rate": rate,
        "max_24_hour_send": daily,
        "burst": burst,
    }
    try:
        options: dict[str, Any] = {"smtp_port": SMTP_PORT}
        options |= read_account_file(account) if account else {}
        options |= {name: value for name, value in given.items() if value is not None}
        with part("simulator"):
            serve(host, port, on_ready=announce, **options)
    except ValidationError as error:
        wrong = problems_of(error)
        told = "; ".join(f"{OPTIONS.get(name, name)}: {problem}" for name, problem in wrong)
        raise InputError(f"the simulator cannot be set up so: {told}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"the simulator cannot be set up so: {error}") from error
    except OSError as error:
        cure = PORTS_CURE if error.errno == errno.EADDRINUSE else ""
        raise InputError(f"{error}{cure}") from error
