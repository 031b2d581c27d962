"""Sends messages to SES: each transport has `send`, and raises one error, which has a verdict."""

from sesq.worker.transports.base import NotCleared, Outgoing, SendFailed, Transport
from sesq.worker.transports.ses import SesTransport
from sesq.worker.transports.smtp import SmtpTransport

__all__ = [
    "NotCleared",
    "Outgoing",
    "SendFailed",
    "SesTransport",
    "SmtpTransport",
    "Transport",
]
