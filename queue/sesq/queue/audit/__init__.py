"""Audits an account: reads every key of it, and reports what does not agree."""

from sesq.queue.audit.auditor import Repaired, audit, repair
from sesq.queue.audit.finding import Finding, Kind

__all__ = ["Finding", "Kind", "Repaired", "audit", "repair"]
