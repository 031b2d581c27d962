"""`manage.py receipts FILE`: an order's mail, sent inside the transaction that books it."""

from __future__ import annotations

from email.mime.image import MIMEImage
from pathlib import Path
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction


class Command(BaseCommand):
    """Books two orders; the second one fails."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        with transaction.atomic():
            receipt("Ihre Bestellung: Grüße aus der Bücherei", file).send()
        with transaction.atomic():
            receipt("Never booked", file).send()
            transaction.set_rollback(True)


def receipt(subject: str, file: Path) -> EmailMultiAlternatives:
    """Text, HTML with a logo in it, and a file."""
    message = EmailMultiAlternatives(
        subject,
        "Danke, Ada.",
        to=["Ada Łovelace <ada@example.org>"],
        bcc=["archive@example.com"],
        headers={"X-Sesq-Tags": "kind=receipt", "X-Sesq-Key": f"{subject} 7", "X-Order": "7"},
    )
    message.attach_alternative('<p>Danke, <b>Ada</b>.</p><img src="cid:logo">', "text/html")
    logo = MIMEImage(file.read_bytes()[:500], "png")
    logo.add_header("Content-ID", "<logo>")
    message.attach(logo)
    message.attach_file(str(file), "application/pdf")
    return message
