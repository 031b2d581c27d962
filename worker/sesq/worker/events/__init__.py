"""What SES tells back: `document` reads an event, `meaning` says what it means, `feedback` acts on it, once."""

from sesq.worker.events.document import Event, NotAnEvent, read_event
from sesq.worker.events.feedback import Feedback, Handled
from sesq.worker.events.meaning import Meaning, meaning_of

__all__ = ["Event", "Feedback", "Handled", "Meaning", "NotAnEvent", "meaning_of", "read_event"]
