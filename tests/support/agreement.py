"""Checks with the auditor that all that is in Redis agrees."""

from __future__ import annotations

from collections import Counter

from redis import Redis

from sesq.queue.audit import audit
from sesq.queue.messages import Messages, accounts
from sesq.queue.states import State


def assert_agreement(redis: Redis, *, settled: bool = True) -> dict[State, int]:
    """Asserts that the auditor finds nothing in any account. Returns how many messages are in each state.

    Nothing may run meanwhile. `settled`: RQ's lists and jobs must be tidy too, as `audit` expects of a settled account.
    """
    total: Counter[State] = Counter()
    for account in accounts(redis):
        findings = audit(redis, account, settled=settled, sleep=lambda _: None)
        assert findings == [], "\n".join(map(str, findings))
        total.update(Messages(redis, account).counts())
    return {state: total[state] for state in State}
