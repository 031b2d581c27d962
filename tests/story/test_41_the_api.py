"""A program runs the queue through the console's API, on a live system: what it asks for happens, here and at SES."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from batch import write_template
from sesq.queue.states import State
from system import System, eventually

Ask = Callable[..., Any]


@pytest.fixture
def live(system: Any) -> Iterator[tuple[System, Ask]]:
    s: System
    with system(production=False, max_send_rate=20, max_24_hour_send=500) as s:
        s.start_workers(1)
        s.start("sesq.console", "console", "--port", "0", PYTHONUNBUFFERED="1")
        site = eventually(lambda: re.search(r"listening on (\S+)", s.log()), "the console listens")[1]
        eventually(lambda: s.redis.exists(s.keys.snapshot), "the account is known")
        with requests.Session() as session:
            yield s, partial(_ask, session, f"{site}/api/v1/accounts/default")


def _ask(session: requests.Session, api: str, method: str, path: str, body: Any = None) -> Any:
    answer = session.request(method, api + path, json=body, timeout=30)
    assert answer.ok, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


def suppressed_at_ses(s: System) -> list[str]:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    ses = boto3.client("sesv2", endpoint_url=s.ses.endpoint_url, **keys)
    listed = ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]
    ses.close()
    return [each["EmailAddress"] for each in listed]


def test_out_of_the_sandbox(live: tuple[System, Ask]) -> None:
    s, ask = live
    # Given mail that waits for one recipient
    mail = {"from": "shop@example.com", "to": ["bob@example.net"], "text": "x"}
    ids = {ask("POST", "/messages", mail)["id"] for _ in range(2)}
    s.wait_for(State.HELD, 2)
    [held] = ask("GET", "/waiting")
    assert (held["waiting"], held["messages"]) == ("recipient:bob@example.net", 2)
    # When it is let go too early, SES still refuses it
    assert ask("POST", "/waiting/release", {"waiting": held["waiting"], "number": 2})["done"] == 2
    s.wait_for(State.HELD, 2)
    assert s.ses.report()["accepted"] == 0
    # and when the request for production access is shown, it is not sent
    wish = {"mail_type": "TRANSACTIONAL", "website": "https://example.com", "use_case": "Receipts."}
    assert ask("POST", "/sandbox/leave", wish)["sent"] is False
    assert ask("GET", "/sandbox")["review"]["status"] == ""
    assert ask("POST", "/sandbox/leave", {**wish, "sure": True})["sent"] is True
    assert ask("GET", "/sandbox")["review"]["status"] == "PENDING"
    # When it is granted and the account is read again
    s.ses.set_account(review="GRANTED")
    assert ask("POST", "/sync")["mode"] == "production"
    # Then it goes by itself
    s.wait_for(State.SENT, 2)
    assert {call["tags"]["sesq-id"] for call in s.ses.messages()} == ids


def test_who_is_suppressed_through_it_is_suppressed_at_ses_too(live: tuple[System, Ask]) -> None:
    s, ask = live
    s.ses.set_account(production_access=True)
    ask("POST", "/sync")
    assert ask("POST", "/suppression", {"address": "bob@example.net"}) == {"added": 1, "problem": None}
    assert suppressed_at_ses(s) == ["bob@example.net"]
    id = ask("POST", "/messages", {"from": "shop@example.com", "to": ["bob@example.net"], "text": "x"})["id"]
    s.wait_for(State.SUPPRESSED, 1)
    assert ask("DELETE", "/suppression/bob@example.net") == {"removed": 1, "problem": None}
    assert suppressed_at_ses(s) == []
    assert ask("GET", f"/messages/{id}")["state"] == "suppressed"


def test_each_recipient_of_a_batch_is_told_of(live: tuple[System, Ask], tmp_path: Path) -> None:
    s, ask = live
    s.ses.set_account(production_access=True)
    ask("POST", "/sync")
    rows = [{"email": f"person{i}@example.net", "name": f"Person {i}"} for i in range(30)]
    batch = s.outbox.send_batch(write_template(tmp_path / "letter"), rows, sender="shop@example.com")
    eventually(lambda: ask("GET", f"/batches/{batch.id}")["state"] == "done", "the batch is done")
    told = [json.loads(line) for line in ask("GET", f"/batches/{batch.id}/recipients").splitlines()]
    assert len({each["to"] for each in told}) == 30
    sent = {call["id"] for call in s.ses.messages()}
    assert {each["message_id"] for each in told} == sent
