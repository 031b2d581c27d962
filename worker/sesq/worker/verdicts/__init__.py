"""What an answer from SES means: `judge` an error, or `weigh` an answer already read, into a `Verdict`."""

from sesq.worker.verdicts.judge import judge, refuses_credentials, weigh
from sesq.worker.verdicts.model import Answer, Channel, Kind, Verdict

__all__ = ["Answer", "Channel", "Kind", "Verdict", "judge", "refuses_credentials", "weigh"]
