"""An account with mail in each state, batches, limits, holds and events. Its clock stands still."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import Worker

from batch_stage import BatchStage
from sesq.console.audit import Audit
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.events import Feedback

AT_2030 = datetime(2030, 1, 1, 9, tzinfo=timezone.utc)
BOB_WAITS = {"hold": "recipient:bob@example.org", "held_because": "recipient bob@example.org is not verified"}
ENDS: dict[State, dict[str, Any]] = {
    State.HELD: {"reason": BOB_WAITS["held_because"], **BOB_WAITS},
    State.UNKNOWN: {"reason": "no answer came", "attempts": 1},
    State.REFUSED: {"reason": "SES refused it", "attempts": 1},
    State.SUPPRESSED: {"reason": "everybody is suppressed", "refund_day": True},
    State.FAILED: {"reason": "all tries failed", "attempts": 8},
    State.RETRYING: {
        "reason": "SES had an error of its own",
        "attempts": 2,
        "delay": 600.0,
        "refund_day": True,
    },
}
"""State -> what a worker reports of a mail that it did not send."""


ROW_ENDS: list[tuple[State, dict[str, Any]]] = [
    (State.SENT, {"reason": "ses-r0", "message_id": "ses-r0"}),
    (State.SENT, {"reason": "ses-r1", "message_id": "ses-r1"}),
    (State.HELD, ENDS[State.HELD]),
    (State.UNKNOWN, ENDS[State.UNKNOWN]),
    (State.FAILED, ENDS[State.FAILED]),
]
ROWS = [
    *({"email": f"p{number}@example.org", "name": f"P{number}"} for number in range(7)),
    {"email": "p0@example.org", "name": "P0 again"},
    {"email": "nobody", "name": "No address"},
    {"email": "bounced@example.org", "name": "Suppressed"},
]
"""The rows of the running batch: the first five end as in ROW_ENDS, two wait, three are left out."""


class BusyAccount(BatchStage):
    """The account. `ids`: name -> id of each message and batch. Each step takes a minute; `now` ends at 23:00:00."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.ids: dict[str, str] = {}
        self.pass_time(60 - self.now % 60)
        self.sync(
            rate=10.0,
            daily=1000.0,
            production=0,
            enforcement="HEALTHY",
            identities={"example.com": True, "bob@example.org": False},
        )
        self._add_messages()
        self._add_batches()
        self._add_people()
        self.sync(
            rate=10.0,
            daily=1000.0,
            sent=31.0,
            production=0,
            enforcement="HEALTHY",
            identities={"example.com": True, "ada@example.org": True, "bob@example.org": False},
        )
        self.pass_time(datetime(2023, 11, 14, 23, tzinfo=timezone.utc).timestamp() - self.now)

    def _minute(self) -> None:
        self.pass_time(60 - self.now % 60)

    def _write(self, name: str, **options: Any) -> str:
        self._minute()
        self.ids[name] = self.queue(subject=f"This is {name}", **options)
        return self.ids[name]

    def _ends(self, state: State, **result: Any) -> None:
        """Claims, starts and settles the mail at the head of the lanes."""
        _, (started,) = self.claim(1)
        self.gate.settle([SendResult(started.grant, state, **result)])

    def _add_messages(self) -> None:
        for state, result in ENDS.items():
            self._write(state.value)
            self._ends(state, **result)
        feedback = Feedback(self.redis, "default")
        for state in (State.SENT, State.DELIVERED, State.BOUNCED, State.COMPLAINED):
            id = self._write(state.value, tags={"campaign": "autumn"}, configuration_set="news")
            self._ends(State.SENT, reason=f"ses-{state.value}", message_id=f"ses-{state.value}", attempts=1)
            if state is not State.SENT:
                feedback.handle(json.dumps(_event(state, id)))
        self._write("expired", expires_at=datetime.fromtimestamp(self.now + 90, timezone.utc))
        self.pass_time(100)
        self.ask(1)
        self.messages.cancel(self._write("cancelled"), "ada@ox")
        self._write("sending")
        self.claim(1)
        self._write("scheduled", send_at=AT_2030, contact_list="news", topic="weekly")
        self._write(
            "queued",
            to=["Ada <ada@example.org>", "b@example.com"],
            cc=["c@example.com"],
            bcc=["d@example.com"],
            reply_to=["help@example.com"],
            tags={"campaign": "autumn", "kind": "all"},
            configuration_set="news",
            tenant="acme",
            feedback_to="bounces@example.com",
            track=False,
            headers={"X-Note": "n"},
            idempotency_key="order-1",
            on_unknown="resend",
            expires_at=datetime.fromtimestamp(self.now + 86_400, timezone.utc),
        )
        feedback.handle("no event")

    def _add_batches(self) -> None:
        self._minute()
        self.ids["batch-running"] = self.take(0, rows=ROWS, key="running", tags={"campaign": "all"}).id
        self._minute()
        ends = zip(self.gate.start(self.ask(len(ROW_ENDS), lanes=[Lane.BULK]).grants), ROW_ENDS, strict=True)
        self.gate.settle([SendResult(row.grant, state, **result) for row, (state, result) in ends])
        self._write("bulk", lane="bulk")
        for name in ("cancelled", "later", "paused"):
            self._minute()
            starts = {"starts_at": AT_2030} if name == "later" else {}
            limits = {"stop_bounces": 5.0, "stop_complaints": 0.1} if name == "paused" else {}
            taken = self.take(3, key=name, tags={"campaign": name}, **starts, **limits)
            self.ids[f"batch-{name}"] = taken.id
        self.batches.cancel(self.ids["batch-cancelled"], "a wrong link")
        self.batches.pause(self.ids["batch-paused"], "a look")

    def _add_people(self) -> None:
        self._minute()
        ours = SuppressionList(self.redis, "default")
        ours.add([Suppressed("eve@example.org", "manual", self.now, "ada@ox")])
        self._minute()
        self.policy.set({"rate": "5", "reserve": "10%"}, by="ada@ox")
        self._minute()
        self.policy.set({"burst": "3"}, by="bob@ox", for_seconds=7200)
        self._minute()
        self.policy.set({"margin": "0.1"}, by="bob@ox")
        self.policy.reset(["margin"], by="ada@ox")
        Audit(self.redis, "default").note("ada (console)", "limits: rate 5, reserve 10%")
        queues = [
            Queue(self.keys.queue(lane), connection=self.redis, serializer=JSONSerializer) for lane in Lane
        ]
        worker = Worker(queues, name="ox.1", connection=self.redis, serializer=JSONSerializer)
        worker.hostname, worker.pid = "ox", 4711
        worker.register_birth()
        worker.set_state("busy")

    # what is compared

    def named(self, text: str) -> str:
        """Returns the text with names instead of ids, such as `<held>` for the id of the held message."""
        for name, id in self.ids.items():
            text = text.replace(id, f"<{name}>")
        return text

    def asked(self, run: Callable[..., Any], words: str) -> Any:
        """Runs a command and returns its JSON, or its lines of JSON. `<held>` stands for the id of the held message."""
        ran = run(*(self.unnamed(word) for word in words.split()))
        assert ran.exit_code == 0, ran.output
        text = self.named(ran.stdout)
        return json.loads(text) if "--json" in words else [json.loads(line) for line in text.splitlines()]

    def unnamed(self, text: str) -> str:
        """Returns the text with ids instead of names."""
        for name, id in self.ids.items():
            text = text.replace(f"<{name}>", id)
        return text

    def lines(self, text: str) -> list[str]:
        """Returns the lines of a text for people, with two spaces between columns and without rules."""
        return list(_lines(self.named(text)))


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        shown = re.sub(r" {2,}", "  ", line.strip())
        if shown.strip("─"):
            yield shown


def _event(state: State, id: str) -> dict[str, Any]:
    name = {"delivered": "Delivery", "bounced": "Bounce", "complained": "Complaint"}[state.value]
    mail = {"messageId": f"ses-{state.value}", "destination": ["ada@example.org"], "tags": {"sesq-id": [id]}}
    to = [{"emailAddress": f"{state.value}@example.org"}]
    detail: dict[str, Any] = {
        "Delivery": {"timestamp": "t", "smtpResponse": "250 ok", "recipients": ["ada@example.org"]},
        "Bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "feedbackId": "f-1",
            "bouncedRecipients": to,
        },
        "Complaint": {"complaintFeedbackType": "abuse", "feedbackId": "f-2", "complainedRecipients": to},
    }[name]
    return {"eventType": name, "mail": mail, name.lower(): detail}


def read_transcript(file: Path) -> dict[str, list[str]]:
    """Reads questions and their answers: below each question are the lines of its answer, up to an empty line."""
    parts = (part.splitlines() for part in file.read_text("utf-8").strip().split("\n\n"))
    return {asked: answer for asked, *answer in parts}
