"""For an application's own tests: records what would be queued, and needs no Redis.

    from sesq.producer.testing import outbox

    def test_a_receipt_is_sent():
        with outbox() as recorded:
            shop.pay(order)
        assert recorded.messages[0].to == ("ada@example.org",)

With pytest the fixture `sesq_outbox` does the same for one test. Within the block each `Outbox` of the process records,
however it was made, also that of Django's backend. Messages are checked as always, and idempotency keys hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from sesq.config.errors import InvalidMessage
    from sesq.producer.message import Message
    from sesq.producer.outbox import Outbox


@dataclass
class Recorded:
    """What was queued, in order. `batches` are (template, rows, options) of `send_batch`."""

    messages: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    batches: list[tuple[Any, list[Mapping[str, Any]], dict[str, Any]]] = field(default_factory=list)
    _keys: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def add(self, message: Message) -> str | InvalidMessage:
        """Records a message. Returns its id, or for a known idempotency key what the queue would answer."""
        from sesq.producer.enqueue_arguments import key_is_taken
        from sesq.queue.ids import new_id

        id = message.id or new_id()
        if id in self.ids:
            return id
        if message.idempotency_key:
            key, print_ = (message.account, message.idempotency_key), message.fingerprint()
            known, same = self._keys.setdefault(key, (id, print_))
            if same != print_:
                return key_is_taken(known)
            if known != id:
                return known
        self.messages.append(message)
        self.ids.append(id)
        return id

    def clear(self) -> None:
        """Forgets everything."""
        self.messages.clear()
        self.ids.clear()
        self.batches.clear()
        self._keys.clear()


@contextmanager
def outbox() -> Iterator[Recorded]:
    """Records what any Outbox of this process queues within the block. Whatever asks Redis raises QueueUnavailable."""
    from sesq.config.errors import QueueUnavailable
    from sesq.producer.batch.batch_intake import BatchIntake
    from sesq.producer.enqueue_arguments import refuse_key
    from sesq.producer.outbox import Outbox
    from sesq.queue.ids import new_id

    recorded = Recorded()

    def enqueue(_self: Outbox, messages: list[Message]) -> list[str | InvalidMessage]:
        return [recorded.add(message) for message in messages]

    def enqueue_in(_self: Outbox, _pipeline: object, message: Message) -> str:
        refuse_key(message)
        return str(recorded.add(message))

    def send_batch(
        _self: Outbox, template: Any, rows: Iterable[Mapping[str, Any]], **options: Any
    ) -> BatchIntake:
        read = list(rows)
        recorded.batches.append((template, read, options))
        return BatchIntake(new_id(), rows=len(read), queued=len(read))

    def make(self: Outbox, redis: object = None, **_: Any) -> None:
        self.redis = redis  # type: ignore[assignment]

    def ready(_self: Outbox) -> None:
        raise QueueUnavailable("mail is only recorded here (sesq.producer.testing): there is no Redis to ask")

    own: dict[str, Any] = {
        "__init__": make,
        "_enqueue": enqueue,
        "_enqueue_in": enqueue_in,
        "send_batch": send_batch,
        "_problems": lambda _self, _messages: [],
        "_ready": ready,
    }
    with mock.patch.multiple(Outbox, **own):
        yield recorded
