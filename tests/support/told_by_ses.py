"""Calls the script of feedback directly, without an event of SES."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from sesq.worker.events.feedback import FEEDBACK

NOTHING = {
    "event": "e", "remember": 60, "count": {}, "suppress": {}, "take_off": [], "note": "", "delayed": "",
    "reason": "", "message_id": "m",
}  # fmt: skip
RANKS = {"sent": 1, "delivered": 3, "bounced": 4, "complained": 5}


def tell(redis: Redis, id: str, to: str, **told: Any) -> None:
    """Reports that a message came into the state `to`, as an event of SES does."""
    given = {**NOTHING, "id": id, "to": to, "rank": RANKS[to], **told}
    FEEDBACK.run(redis, "default", json.dumps(given))
