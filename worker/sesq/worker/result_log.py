"""Logs the results of messages: as text, or with `log_format = "json"` as fields. It logs no addresses.

A line costs ten times as much as a message in it, so messages that were settled together share a line.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sesq.queue.addresses import masked
from sesq.queue.results import SendResult
from sesq.queue.states import State

log = logging.getLogger("sesq.messages")

MOST_IN_A_LINE = 50
"""About 5,000 characters. Collectors of logs may cut lines of more than 8,000."""


def log_results(account: str, results: Sequence[SendResult]) -> None:
    """Logs messages at INFO; those that go back into their queue, at DEBUG."""
    if not log.isEnabledFor(logging.INFO):
        return
    sent = [result for result in results if result.state is State.SENT]
    for start in range(0, len(sent), MOST_IN_A_LINE):
        _log_sent(account, sent[start : start + MOST_IN_A_LINE])
    for result in results:
        if result.state is not State.SENT:
            _log_unsent(account, result)


def _log_sent(account: str, results: Sequence[SendResult]) -> None:
    ses_ids = {result.grant.id: result.message_id or "" for result in results}
    pairs = " ".join(f"{id}={ses_id}" for id, ses_id in ses_ids.items())
    fields = {"account": account, "state": State.SENT.value, "ses_ids": ses_ids}
    log.info("account %s: sent %s", account, pairs, extra=fields)


def _log_unsent(account: str, result: SendResult) -> None:
    id, state, reason = result.grant.id, result.state.value, masked(result.reason)
    fields: dict[str, Any] = {"id": id, "account": account, "state": state, "reason": reason}
    level = logging.DEBUG if result.state is State.QUEUED else logging.INFO
    log.log(level, "message %s: %s: %s", id, state, reason, extra=fields)
