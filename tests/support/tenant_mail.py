"""Mail of tenants, queued by the application."""

from __future__ import annotations

from batch_stage import BatchStage
from sesq.producer import Message


def queue(
    stage: BatchStage, tenant: str, count: int = 1, recipients: int = 1, lane: str = "bulk"
) -> list[str]:
    """Queues messages of a tenant, or of none if it is "". Returns their ids."""
    to = [f"p{number}@example.org" for number in range(recipients)]
    new = Message(sender="a@example.com", to=to, subject="s", text="t", lane=lane, tenant=tenant or None)
    return list(map(str, stage.outbox.send_many([new] * count)))
