"""Batches: one template, many recipients."""

from sesq.producer.batch.template import Template

__all__ = ["Template"]
