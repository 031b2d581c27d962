"""The auditor: walks over every key of an account and says what does not agree."""

from sesq.config.audit.auditor import Repaired, audit, repair
from sesq.config.audit.finding import Finding, Kind

__all__ = ["Finding", "Kind", "Repaired", "audit", "repair"]
