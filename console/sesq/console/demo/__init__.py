"""`sesq demo`: the queue does its job on real parts, in front of your eyes, and its own record is checked by SES's."""

from sesq.console.demo.demo import run

__all__ = ["run"]
