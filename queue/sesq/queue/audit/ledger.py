"""Audits the ledger: its counts against the total that the gate uses."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import WatchError

from sesq.queue.audit.finding import Finding, Kind, Seen, for_a_person, marked, mendable
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import text

SLOTS, CELL_BYTES = 1442, 4
MOST_TOTAL = SLOTS * 2**32


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """Holds the packed counts of the ledger, and the gate's fields about it (None: not set)."""

    key: str
    packed: bytes
    minute: str | None
    total: int | None
    """None if it is no number."""

    @property
    def counted(self) -> int:
        """Recipients in all minutes."""
        whole = len(self.packed) // CELL_BYTES * CELL_BYTES
        return sum(each for (each,) in struct.iter_unpack("<I", self.packed[:whole]))


def check_ledger(facts: LedgerFacts) -> Iterator[Finding]:
    """Checks that the total is the sum of all minutes: the gate clears minutes of more than a day ago at each write."""
    length = len(facts.packed)
    if length > SLOTS * CELL_BYTES or length % CELL_BYTES:
        cure = f"DEL {facts.key}: until the next account sync the day counts as unused, after that SES's count rules"
        yield for_a_person(Kind.LEDGER, facts.key, f"the ledger has {length} bytes, which is no ledger", cure)
    elif facts.minute is None and facts.counted:
        yield mendable(Kind.LEDGER, facts.key, f"the gate knows nothing of {facts.counted} recipients in it")
    elif facts.total is None:
        yield mendable(Kind.LEDGER, facts.key, "the gate's total is no number")
    elif facts.counted != facts.total:
        what = f"its minutes hold {facts.counted} recipients, and the gate's total says {facts.total}"
        yield mendable(Kind.LEDGER, facts.key, what)


def read_ledger(redis: Redis, keys: Keys) -> LedgerFacts:
    """Reads both keys at one moment."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.get(keys.ledger)
    pipeline.hmget(keys.gate, "minute", "total")
    packed, (minute, total) = pipeline.execute()
    told = Fields({"total": text(total)}).count("total", MOST_TOTAL) if total is not None else 0
    return LedgerFacts(keys.ledger, packed or b"", text(minute) if minute is not None else None, told)


def audit_ledger(redis: Redis, keys: Keys) -> Iterator[Seen]:
    """Checks the ledger against its total, in one read."""
    return marked(check_ledger(read_ledger(redis, keys)), "")


def mend_ledger(redis: Redis, keys: Keys) -> str:
    """Sets the total to the sum of the minutes. Deletes a ledger that the gate does not know, as the gate would."""
    with redis.pipeline() as pipeline:
        while True:
            try:
                pipeline.watch(keys.ledger, keys.gate)  # type: ignore[no-untyped-call]
                facts = read_ledger(redis, keys)
                if not any(finding.repairable for finding in check_ledger(facts)):
                    return ""
                pipeline.multi()
                if facts.minute is None:
                    pipeline.delete(keys.ledger)
                    pipeline.hset(keys.gate, "total", 0)
                    done = "the ledger is deleted"
                else:
                    pipeline.hset(keys.gate, "total", facts.counted)
                    done = f"the total is {facts.counted}"
                pipeline.execute()
            except WatchError:  # the gate was asked meanwhile
                continue
            return done
