"""Handles events of SES: `document` reads an event, `table` has the meaning of each value, `meaning` that of one event.

`feedback` acts on the event, once. `notices` has the known messages that are no events.
"""

from sesq.worker.events.document import Event, NotAnEvent, read_event
from sesq.worker.events.feedback import Feedback, Handled
from sesq.worker.events.meaning import Meaning, meaning_of
from sesq.worker.events.notices import Kind, Notice
from sesq.worker.events.passed_on import PassedOn

__all__ = [
    "Event",
    "Feedback",
    "Handled",
    "Kind",
    "Meaning",
    "NotAnEvent",
    "Notice",
    "PassedOn",
    "meaning_of",
    "read_event",
]
