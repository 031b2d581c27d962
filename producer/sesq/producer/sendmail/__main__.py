"""`python -m sesq.producer.sendmail`: the same as `sesq-sendmail`."""

from __future__ import annotations

from sesq.producer.sendmail.command import main

if __name__ == "__main__":
    main()
