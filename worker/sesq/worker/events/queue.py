"""Reads events from an SQS queue by long polling. Deletes a message after its event had its effect."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any

from sesq.config.errors import QueueUnavailable
from sesq.worker.control.calls import ControlRefused, ControlUnavailable, asked
from sesq.worker.events.feedback import Feedback, Handled

log = logging.getLogger("sesq.events")

MOST = 10
POLL_SECONDS = 20
"""The longest that SQS lets a reader wait."""
AGAIN_SECONDS = 30
"""After how long a message is read again if it came too early, or if Redis was away."""
BACKOFF_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)


def count_waiting(sqs: Any, queue_url: str) -> int:
    """Returns about how many messages wait in a queue. Raises ControlRefused, ControlUnavailable."""
    name = "ApproximateNumberOfMessages"
    answer = asked(
        "get_queue_attributes",
        lambda: sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name]),
    )
    return int(answer["Attributes"][name])


class QueueReader:
    """Reads the queue: `run()` until `stop()`, or with `until_empty` until it is empty. `counts`: results."""

    def __init__(self, sqs: Any, queue_url: str, feedback: Feedback) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._feedback = feedback
        self._stop = threading.Event()
        self.polling = False
        """Whether it waits for SQS and has no message. It may then be stopped at any moment."""
        self.counts: Counter[Handled] = Counter()

    def stop(self) -> None:
        """Ends `run` after the messages that it has, or when the poll is over."""
        self._stop.set()

    def run(self, *, until_empty: bool = False) -> None:
        """Reads until it is stopped. If AWS or Redis is away, it waits, and goes on by itself."""
        troubles = 0
        while not self._stop.is_set():
            try:
                read = self.read(0 if until_empty else POLL_SECONDS)
                troubles = 0
            except (ControlRefused, ControlUnavailable, QueueUnavailable) as error:
                if until_empty:
                    raise
                if self._stop.is_set():  # `stop` cut the poll short
                    return
                wait = BACKOFF_SECONDS[min(troubles, len(BACKOFF_SECONDS) - 1)]
                troubles += 1
                log.warning("events: %s; trying again in %g s", error, wait)
                self._stop.wait(wait)
                continue
            if until_empty and not read:
                return

    def read(self, seconds: int) -> int:
        """Polls the queue for so many seconds. Returns how many messages it brought. Raises what AWS or Redis says."""
        asked_for = {
            "MaxNumberOfMessages": MOST,
            "WaitTimeSeconds": seconds,
            "VisibilityTimeout": AGAIN_SECONDS,
        }
        self.polling = True
        try:
            answer = asked(
                "receive_message", lambda: self._sqs.receive_message(QueueUrl=self._url, **asked_for)
            )
        finally:
            self.polling = False
        self._feedback.note_reading()
        messages = answer.get("Messages", ())
        done = []
        try:
            for message in messages:
                handled = self._feedback.handle(message["Body"])
                self.counts[handled] += 1
                if handled is not Handled.EARLY:
                    done.append(message["ReceiptHandle"])
            if messages:
                # a Send may come after its bounce, and changes the rates
                self._feedback.mind_the_reputation()
        finally:
            self._delete(done)
        return len(messages)

    def _delete(self, receipts: list[str]) -> None:
        if not receipts:
            return
        entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
        answer = asked(
            "delete_message_batch",
            lambda: self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries),
        )
        for failed in answer.get("Failed", ()):
            # it comes again, but has no second effect
            log.info("events: a message was not deleted: %s", failed.get("Code", ""))
