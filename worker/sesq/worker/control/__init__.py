"""Asks SES what a person wants for an account: identities, production access, larger quotas."""

from sesq.worker.control.access import Access, Application, Review
from sesq.worker.control.calls import ControlRefused, ControlUnavailable, SesControl
from sesq.worker.control.identities import DnsRecord, Identity, IdentityBook
from sesq.worker.control.quotas import Quota, QuotaRequests

__all__ = [
    "Access",
    "Application",
    "ControlRefused",
    "ControlUnavailable",
    "DnsRecord",
    "Identity",
    "IdentityBook",
    "Quota",
    "QuotaRequests",
    "Review",
    "SesControl",
]
