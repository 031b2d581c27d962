"""Turns an error into a verdict: reads the answer, finds whom it concerns, and takes the first row that fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sesq.queue.envelope import Envelope
from sesq.worker.verdicts.client_errors import read, read_parsed
from sesq.worker.verdicts.identities import means, named_identities
from sesq.worker.verdicts.model import Answer, Channel, Kind, Verdict
from sesq.worker.verdicts.outcomes import DEFAULT, Outcome
from sesq.worker.verdicts.table import ROWS, Concern

MAX_TEXT = 300  # characters of SES's words that are kept
SET_IN_TEXT = re.compile(r"configuration set <([\w-]+)>|:configuration-set/([\w-]+)", re.IGNORECASE)


def judge(error: Exception, *, envelope: Envelope, region: str) -> Verdict:
    """Returns what an exception of the AWS client means for this message. Never raises."""
    return weigh(read(error), envelope=envelope, region=region)


def weigh(answer: Answer, *, envelope: Envelope, region: str) -> Verdict:
    """Returns what an answer means for this message, for transports that read answers themselves (SMTP)."""
    identities = named_identities(answer.text)
    configuration_set = _set_in(answer.text) or envelope.configuration_set
    concern = _concern(identities, configuration_set, envelope)
    rows = (row for row in ROWS if envelope.tenant or not row.of_tenant)
    outcome = next((row.outcome for row in rows if row.fits(answer, concern)), DEFAULT)
    failing = _meant(identities, envelope.recipients) or envelope.recipients
    senders = (
        _meant(identities, envelope.senders) or _unknown_identities(identities, envelope) or envelope.senders
    )
    words = {
        "region": region,
        "tenant": envelope.tenant or "",
        "sender": senders[0],
        "recipient": failing[0] if failing else "",
        "recipients": _few(failing),
        "configuration_set": configuration_set or "",
        "code": answer.code,
        "text": _short(answer.text) or "no text",
    }
    return _verdict(outcome, answer, identities, words)


def refuses_credentials(parsed: Mapping[str, Any]) -> bool:
    """Whether a reply of any AWS service says that AWS does not accept the credentials (any more)."""
    if "Error" not in parsed:
        return False
    answer = read_parsed(parsed, Channel.API)
    return weigh(answer, envelope=Envelope(sender=""), region="").kind is Kind.CREDENTIALS


def _verdict(outcome: Outcome, answer: Answer, identities: tuple[str, ...], words: dict[str, str]) -> Verdict:
    return Verdict(
        kind=outcome.kind,
        code=answer.code,
        text=_short(answer.text),
        reason=outcome.reason.format(**words),
        hold=outcome.hold and outcome.hold.format(**words),
        identities=identities,
    )


def _concern(identities: tuple[str, ...], configuration_set: str | None, envelope: Envelope) -> Concern:
    if identities:
        of_recipients = _meant(identities, envelope.recipients) and not _meant(identities, envelope.senders)
        return Concern.RECIPIENT if of_recipients else Concern.SENDER
    return Concern.CONFIGURATION_SET if configuration_set else Concern.NOBODY


def _meant(identities: Iterable[str], addresses: Iterable[str]) -> tuple[str, ...]:
    """Returns the addresses that SES has named."""
    return tuple(address for address in addresses if any(means(name, address) for name in identities))


def _unknown_identities(identities: Iterable[str], envelope: Envelope) -> tuple[str, ...]:
    """Returns the identities that SES has named, without those of recipients."""
    return tuple(name for name in identities if not _meant((name,), envelope.recipients))


def _set_in(text: str) -> str | None:
    found = SET_IN_TEXT.search(text)
    return (found[1] or found[2]) if found else None


def _few(addresses: Sequence[str]) -> str:
    """Returns the first three addresses and the number of others, because people read the reason, and it is logged."""
    rest = len(addresses) - 3
    return ", ".join(addresses[:3]) + (f" and {rest} more" if rest > 0 else "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"
