"""Runs the benchmarks in turn: `python -m benchmarks [NAME…] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

HELPERS = {
    "__main__",
    "measure",
    "bare_loop",
    "console_pile",
    "peer_apps",
    "rules_mail",
    "rules_rq",
    "rules_celery",
    "rules_django",
}
NAMES = sorted({module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - HELPERS)
"""Every other module here has a `main(scale)` that prints its tables and returns them."""

QUICK = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all, if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="fewer mails and less time, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the tables as JSON, too")
    given = parser.parse_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(
            f"there is no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    tables: list[dict[str, Any]] = []
    for name in given.names or NAMES:
        print(f"{name} …", flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        tables += module.main(QUICK if given.quick else 1.0)
        if given.json:
            given.json.write_text(json.dumps(tables, indent=2) + "\n")


if __name__ == "__main__":
    main()
