"""`python -m sesq.simulator`: the simulator without the command line's dependencies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sesq.simulator.settings import explain

if TYPE_CHECKING:
    from sesq.simulator.simulator import Simulator


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sesq.simulator", description="SES on localhost")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9797, help="0 takes a free one")
    parser.add_argument(
        "--allowed-host", action="append", help="a host name for which the page is served too"
    )
    parser.add_argument("--smtp-port", type=int, help="SMTP with STARTTLS (none)")
    parser.add_argument("--smtp-tls-port", type=int, help="SMTP over TLS (none)")
    parser.add_argument("--account", type=Path, metavar="FILE", help="options as a JSON object")
    parser.add_argument("--production", action="store_true", default=None, help="out of the sandbox")
    parser.add_argument("--rate", type=float, help="recipients a second (1; in production 14)")
    parser.add_argument(
        "--daily", type=float, help="recipients in 24 hours (200; in production 50000; -1 is unlimited)"
    )
    parser.add_argument("--burst", type=float, help="recipients at once (one second's worth)")
    given = parser.parse_args(arguments)
    try:
        from sesq.simulator import serve

        serve(given.host, given.port, on_ready=_announce, **_options(given))
    except (ModuleNotFoundError, OSError, TypeError, ValueError) as error:
        reason = explain(error) if isinstance(error, ValueError) else error
        print(f"sesq.simulator: {reason}", file=sys.stderr)  # noqa: T201  (a command speaks)
        return 2
    return 0


def _options(given: argparse.Namespace) -> dict[str, Any]:
    from sesq.simulator import read_account_file

    options = read_account_file(given.account) if given.account else {}
    flags = {
        "production": given.production,
        "max_send_rate": given.rate,
        "max_24_hour_send": given.daily,
        "burst": given.burst,
        "allowed_hosts": given.allowed_host,
        "smtp_port": given.smtp_port,
        "smtp_tls_port": given.smtp_tls_port,
    }
    return options | {name: value for name, value in flags.items() if value is not None}


def _announce(simulator: Simulator) -> None:
    print(*simulator.listening, sep="\n", flush=True)  # noqa: T201  (a command speaks)


if __name__ == "__main__":
    sys.exit(main())
