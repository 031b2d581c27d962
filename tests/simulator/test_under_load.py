"""Many clients at once, on a clock that runs: the record is checked by counting it all again."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

from sesq.simulator import Simulator
from sesq.simulator.clock import GRACE

RATE, BURST = 200.0, 20.0
CLIENTS, CALLS = 8, 60


def test_no_client_gets_past_the_bucket(mail):
    body = json.dumps(mail("a@x.org", "b@x.org", "c@x.org", tags={"sesq-id": "same"})).encode()

    def client(_number: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", ses.port, timeout=20)
        statuses = []
        for _ in range(CALLS):
            connection.request("POST", "/v2/email/outbound-emails", body)
            reply = connection.getresponse()
            reply.read()
            statuses.append(reply.status)
        connection.close()
        return statuses.count(200)

    # When eight clients send as fast as they can
    with Simulator(
        production=True, max_send_rate=RATE, burst=BURST, max_24_hour_send=150, verified=["example.com"]
    ) as ses:
        with ThreadPoolExecutor(CLIENTS) as clients:
            accepted = sum(clients.map(client, range(CLIENTS)))
        messages, report = ses.messages(), ses.report()
    # Then each call is in the record once, in order of time
    assert len(messages) == CLIENTS * CALLS
    times = [message["at"] for message in messages if message["accepted"]]
    assert times == sorted(times)
    assert report["accepted"] == len(times) == accepted
    # And a bucket that is replayed from what was accepted was never short of a token, nor the day of a recipient
    level, at = BURST, messages[0]["at"]
    for now in times:
        level, at = min(BURST, level + (now - at) * RATE), now
        assert level + GRACE * RATE >= 3
        level -= 3
    assert report["recipients"] == 3 * accepted <= 150
    assert report["duplicates"] == accepted - 1
    assert report["max_recipients_in_24h"] == 3 * accepted
    assert report["max_recipients_in_1s"] == max(
        3 * sum(1 for at in times if start <= at < start + 1) for start in times
    )
