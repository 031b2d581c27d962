"""`sesq demo`: shows the queue's job on real parts, and compares the queue's record with SES's."""

from sesq.console.demo.demo import run

__all__ = ["run"]
