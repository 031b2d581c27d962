"""`python -m sesq`: the same as `sesq`. A namespace package may have this module, and needs no `__init__.py` for it."""

from __future__ import annotations

from sesq.console.cli import main

if __name__ == "__main__":
    main()
