"""What became of messages, as lines of the log: for people, and with `log_format = "json"` as fields. No addresses."""

from __future__ import annotations

import logging
from typing import Any

from sesq.queue.addresses import masked
from sesq.queue.states import State
from sesq.worker.courier import Outcome

log = logging.getLogger("sesq.messages")


def tell_outcome(account: str, outcome: Outcome) -> None:
    """What was sent or has ended at INFO, with why it was not sent; what just goes back to its place at DEBUG."""
    level = logging.DEBUG if outcome["to"] == State.QUEUED else logging.INFO
    if not log.isEnabledFor(level):
        return
    fields: dict[str, Any] = {"id": outcome["id"], "account": account, "state": outcome["to"]}
    if outcome["to"] == State.SENT:
        fields["ses_id"] = outcome.get("message_id", "")
        log.log(level, "message %s: sent %s", outcome["id"], fields["ses_id"], extra=fields)
    else:
        fields["reason"] = masked(outcome.get("reason") or "")
        log.log(level, "message %s: %s: %s", outcome["id"], outcome["to"], fields["reason"], extra=fields)
