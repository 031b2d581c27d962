"""What the shop does with what becomes of its mail: it writes down whose address is bad."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.dispatch import receiver

from sesq.producer.django.signals import ChangedMessage, message_changed


@receiver(message_changed)
def note_bounce(sender: type, event: ChangedMessage, **_: Any) -> None:
    if event.reject_reason == "bounced":
        with Path(os.environ["SHOP_BOUNCES"]).open("a", encoding="utf-8") as file:
            file.write(f"{event.sesq_id} {event.recipient}\n")
