"""SES on localhost that enforces SES's rules. It imports no other floor, so that it can judge them."""

from sesq.simulator.clock import Clock
from sesq.simulator.errors import SesError
from sesq.simulator.simulator import Simulator, read_account_file, serve

__all__ = ["Clock", "SesError", "Simulator", "read_account_file", "serve"]
