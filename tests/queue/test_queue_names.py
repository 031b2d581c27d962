"""What the RQ queues of an account are called."""

from __future__ import annotations

from sesq.queue.keys import Keys
from sesq.queue.states import Lane


def test_a_lane_and_a_tenants_mail_in_it_have_queues_of_their_own() -> None:
    assert Keys("shop").queue(Lane.BULK) == "sesq.shop.bulk"
    assert Keys("shop").queue(Lane.BULK, "acme") == "sesq.shop.bulk.acme"
