"""What the shop does with what becomes of its mail: it writes each change down, and whose address is bad."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.dispatch import receiver

from sesq.producer.django.signals import ChangedMessage, message_changed


@receiver(message_changed)
def note_change(sender: type, event: ChangedMessage, **_: Any) -> None:
    bad = f" {event.recipient} is bad" if event.reject_reason == "bounced" else ""
    with Path(os.environ["SHOP_CHANGES"]).open("a", encoding="utf-8") as file:
        file.write(f"{event.sesq_id} {event.event_type}{bad}\n")
