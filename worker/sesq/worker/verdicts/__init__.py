"""Turns an answer of SES into a `Verdict`: `judge` takes an error, `weigh` an answer that was read before."""

from sesq.worker.verdicts.judge import judge, refuses_credentials, weigh
from sesq.worker.verdicts.model import Answer, Channel, Kind, Verdict

__all__ = ["Answer", "Channel", "Kind", "Verdict", "judge", "refuses_credentials", "weigh"]
