"""One question about the whole of Redis: does all that an account keeps there agree, by the auditor?"""

from __future__ import annotations

from collections import Counter

from redis import Redis

from sesq.queue.audit import audit
from sesq.queue.messages import Messages, accounts
from sesq.queue.states import State


def assert_agreement(redis: Redis, *, settled: bool = True) -> dict[State, int]:
    """Nothing is wrong, of no account; returns how many messages are in each state. For systems at rest.

    `settled`: what RQ was told, and what its workers had, has been seen to as well.
    """
    total: Counter[State] = Counter()
    for account in accounts(redis):
        findings = audit(redis, account, settled=settled, sleep=lambda _: None)
        assert findings == [], "\n".join(map(str, findings))
        total.update(Messages(redis, account).counts())
    return {state: total[state] for state in State}
