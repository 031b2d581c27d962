"""A batch whose producer and workers are killed at any moment reaches everybody exactly once."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from agreement import assert_agreement
from batch import write_rows, write_template
from sesq.queue.batches import Batches
from sesq.queue.states import State
from system import System, eventually

SEED = 7
RECIPIENTS = 5000 if os.environ.get("SESQ_TEST_CHAOS") == "long" else 1200
PEOPLE = [f"person{i}@example.org" for i in range(RECIPIENTS)]
SHORT = {"SESQ_LEASE_SECONDS": "5", "SESQ_CONCURRENCY": "16"}


def kill_the_producer(s: System, command: list[str]) -> int:
    """Starts it again and again, each time killed when it has queued some more; how often it had not ended."""
    kills = 0
    for chunks in (1, 2, 3):
        producer = s.start(*command)
        while producer.poll() is None and sum(batch.chunks for batch in Batches(s.redis).all()) < chunks:
            pass
        producer.kill()
        producer.wait()
        kills += not all(batch.filled for batch in Batches(s.redis).all())
    return kills


def kill_workers(s: System, until: int) -> int:
    """Kills one of two workers after another, at moments that a seed gives, until so many mails are accepted."""
    dice, workers, kills = random.Random(SEED), s.start_workers(2), 0
    while s.ses.report()["accepted"] < until:
        time.sleep(dice.uniform(0.05, 0.6))  # anywhere between two mails
        victim = dice.randrange(2)
        if s.ses.report()["accepted"] > 200 and kills < 8:
            workers[victim].kill()
            workers[victim].wait()
            (workers[victim],) = s.start_workers(1)
            kills += 1
    return kills


def test_thousands_get_it_once_whatever_is_killed(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=500, max_24_hour_send=50_000, settings=SHORT) as s:
        folder = write_template(tmp_path / "news", body__txt="Hello {{ name }}.\n{{ note }}")
        rows = write_rows(tmp_path / "rows.csv", PEOPLE, note_length=1000)
        command = ["sesq.console", "batch", "send", str(folder), str(rows), "--from", "shop@example.com"]

        # When producer and workers are killed again and again, and the same command is given again
        assert kill_the_producer(s, command) >= 1
        is_whole = all(
            batch.filled for batch in Batches(s.redis).all()
        )  # the last one was quicker than its end
        producer = s.start(*command)
        kills = kill_workers(s, until=RECIPIENTS * 9 // 10)
        assert (producer.wait(timeout=60), "is not sent twice" in s.log()) == (int(is_whole), is_whole)
        (batch,) = Batches(s.redis).all()
        eventually(lambda: Batches(s.redis).get(batch.id).left == 0, "nothing is left to go", 180)

        # Then nobody got two mails, and who got none is known to be unknown
        assert kills >= 3
        report = s.ses.report()
        assert (report["duplicates"], report["throttles"]) == (0, 0)
        assert report["refused"].keys() <= {"unreadable"}  # a worker killed while it wrote a request
        accepted = {mail["tags"]["sesq-id"]: mail for mail in s.ses.messages() if mail["accepted"]}
        recipients = {each.id: each for each in Batches(s.redis).recipients(batch.id)}
        assert len(recipients) == RECIPIENTS
        unknown = {id for id, each in recipients.items() if each.state is State.UNKNOWN}
        sent = {id for id, each in recipients.items() if each.state is State.SENT}
        assert sent | unknown == set(recipients)
        assert sent <= set(accepted)
        assert all(recipients[id].message_id == accepted[id]["id"] for id in sent)

        # When each that is unknown is settled by what SES's record says
        for id in unknown:
            s.messages.resolve(id, "sent" if id in accepted else "queued", "test")
        eventually(lambda: Batches(s.redis).get(batch.id).state == "done", "the batch is done")

        # Then everybody has got it, once
        mails = [mail for mail in s.ses.messages() if mail["accepted"]]
        assert s.ses.report()["duplicates"] == 0
        assert sorted(mail["to"][0] for mail in mails) == sorted(PEOPLE)
        assert_agreement(s.redis)
        # and the same command sends nothing
        again = s.start(*command)
        assert again.wait(timeout=60) == 1
        assert f"batch {batch.id}, which is done" in s.log()
        told = json.loads(s.run("sesq.console", "batch", "show", batch.id, "--json"))
        assert (told["state"], told["sent"], told["left"]) == ("done", RECIPIENTS, 0)
