"""`manage.py sesq_events`: sends the signal `message_changed` for each change of a message, until it is ended."""

from __future__ import annotations

import logging
import signal
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, close_old_connections

from sesq.config.errors import SesqError
from sesq.producer.django.backend import backend_outbox
from sesq.producer.django.signals import ChangedMessage, message_changed, tell
from sesq.queue.events import MessageEvent

TRIES = 5
log = logging.getLogger("sesq.django")


class Command(BaseCommand):
    """Ctrl-C or SIGTERM ends it; the next run goes on with the event that was being handled."""

    help = (
        "Sends the signal sesq.producer.django.signals.message_changed for each change of a message: queued, sent, "
        "delivered, bounced … Run it beside the workers, once for each --consumer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--consumer", default="django", help="the consumer's name, if not django")
        parser.add_argument("--account", default="", help="the account: SESQ_ACCOUNT, else default")
        parser.add_argument(
            "--idle", type=float, default=None, help="end so many seconds after the last event"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if not message_changed.has_listeners(ChangedMessage):
            raise CommandError(
                "nothing receives message_changed: import your receivers in an AppConfig.ready()"
            )
        outbox, account = backend_outbox()
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            for event in outbox.events(
                consumer=options["consumer"],
                account=options["account"] or account,
                recipients=True,
                idle=options["idle"],
            ):
                tell_with_patience(event)
        except SesqError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("ended; the next run begins with the event that was being handled")
        finally:
            signal.signal(signal.SIGTERM, before)


def tell_with_patience(event: MessageEvent, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Calls the receivers, and again if one of them raises: five times in all, and as long as the database is away.

    Returns whether none of them raised in the end. If one did, the event is passed over.
    """
    tried = 0
    while errors := _tell(event):
        tried += not any(isinstance(error, OperationalError | InterfaceError) for error in errors)
        if tried == TRIES:
            log.error("event %s is passed over: %d receivers failed %d times", event.id, len(errors), TRIES)
            return False
        sleep(2.0 ** max(0, tried - 1))
    return True


def _tell(event: MessageEvent) -> list[Exception]:
    close_old_connections()  # a connection to the database may have been lost since the last event
    return tell(event)
