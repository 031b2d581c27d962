"""Puts mail into the queue, or into the spool while Redis is away; a mail that is in neither has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sesq.config.errors import InputError, QueueUnavailable, SesqError
from sesq.config.essentials import Essentials
from sesq.producer.sendmail.spool import Spool, new_name, with_keys

if TYPE_CHECKING:
    from sesq.producer.message import Message
    from sesq.producer.outbox import Outbox

AT_ONCE = 50
"""Mails of the spool that each call queues; `-q` queues all."""


class NotKept(SesqError):
    """A mail is neither in the queue nor in the spool."""


class SpoolingOutbox:
    """An outbox by the settings, with a spool beside it. Its methods return problems, which belong on stderr."""

    def __init__(self, settings: Essentials) -> None:
        self._settings = settings
        self.spool = Spool(settings.data_dir)

    def send(self, messages: list[Message]) -> list[str]:
        """Queues the messages of one mail, or spools them. Raises InputError and NotKept: then nothing is kept."""
        name = new_name()
        messages = with_keys(messages, name)
        try:
            outbox = self._outbox()
            outbox.send_many(messages)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  (no error may lose a good mail)
            return [self._keep(name, messages, error)]
        try:
            return self.spool.deliver(outbox, AT_ONCE)
        except Exception as error:  # noqa: BLE001  (after an error the caller would send the mail again)
            return [f"the mail is queued, but not what waits in {self.spool.folder}: {error}"]

    def deliver(self) -> list[str]:
        """Queues all that waits in the spool. Raises QueueUnavailable, which says how much still waits."""
        try:
            return self.spool.deliver(self._outbox())
        except QueueUnavailable as error:
            raise QueueUnavailable(
                f"{_away(error)}; {len(self.spool)} mails wait in {self.spool.folder}"
            ) from error

    def _keep(self, name: str, messages: list[Message], reason: Exception) -> str:
        try:
            self.spool.keep(name, messages)
        except (SesqError, OSError) as error:
            raise NotKept(
                f"{_away(reason)}; the mail is NOT kept, since the spool failed: {error}"
            ) from error
        return f"{_away(reason)}; the mail is kept in {self.spool.folder}, and queued by a later call"

    def _outbox(self) -> Outbox:
        from sesq.producer.outbox import Outbox
        from sesq.queue.careful_redis import connect

        return Outbox(connect(settings=self._settings), keep_days=self._settings.keep_days)


def _away(error: Exception) -> str:
    return f"Redis is away ({error})" if isinstance(error, QueueUnavailable) else f"not queued ({error})"
