"""What became of messages, as lines of the log: for people, and with `log_format = "json"` as fields. No addresses."""

from __future__ import annotations

import logging
from typing import Any

from sesq.queue.addresses import masked
from sesq.queue.results import SendResult
from sesq.queue.states import State

log = logging.getLogger("sesq.messages")


def log_result(account: str, result: SendResult) -> None:
    """Logs what was sent or has ended at INFO, and what just goes back to its place at DEBUG."""
    level = logging.DEBUG if result.state is State.QUEUED else logging.INFO
    if not log.isEnabledFor(level):
        return
    id = result.grant.id
    fields: dict[str, Any] = {"id": id, "account": account, "state": result.state.value}
    if result.state is State.SENT:
        fields["ses_id"] = result.message_id or ""
        log.log(level, "message %s: sent %s", id, fields["ses_id"], extra=fields)
    else:
        fields["reason"] = masked(result.reason)
        log.log(level, "message %s: %s: %s", id, result.state, fields["reason"], extra=fields)
