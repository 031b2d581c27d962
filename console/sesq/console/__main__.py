"""`python -m sesq.console`: the same as `sesq`."""

from __future__ import annotations

from sesq.console.cli import main

if __name__ == "__main__":
    main()
