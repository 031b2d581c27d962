"""Ways to hand a message to SES: one `send`, and one error with a verdict in it."""

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
