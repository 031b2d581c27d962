"""`sesq-sendmail`: takes a mail as sendmail does. Its exit status is sendmail's, from sysexits.h."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from sesq.config.errors import InputError, InvalidMessage, SesqError, SettingsError
from sesq.config.essentials import Essentials
from sesq.producer.mail_domain import NoDomain, mail_domain
from sesq.producer.mend import Domain, addresses, full_address
from sesq.producer.raw import RawMail
from sesq.producer.rules import MAX_MESSAGE_BYTES
from sesq.producer.sendmail.arguments import Request, parse
from sesq.producer.sendmail.conversation import Conversation
from sesq.producer.sendmail.letter import compose
from sesq.producer.sendmail.spooling import SpoolingOutbox
from sesq.producer.ses_headers import HeaderRule
from sesq.producer.written_mail import messages_of, sorted_recipients
from sesq.queue.addresses import spec_of

if TYPE_CHECKING:
    from sesq.producer.message import Message

RULE = HeaderRule(cure="remove the header; `sesq send --raw` has options --tenant and --contact-list")
"""It is not known who calls, so the mail may name neither a tenant nor a contact list."""

EX_USAGE, EX_DATAERR, EX_NOHOST, EX_TEMPFAIL, EX_CONFIG = 64, 65, 68, 75, 78
HELP = """Usage: sesq-sendmail [OPTION]... [--] [RECIPIENT]... < MAIL

Reads a mail as sendmail does, and puts it into the queue. While Redis is away the mail is kept in a folder of its own;
each later call puts some of what waits there into the queue too.

  -t          the recipients are those of To, Cc and Bcc
  -i, -oi     a line with a dot alone does not end the mail
  -f ADDRESS  the sender, if the mail has no From
  -F NAME     the sender's name, if the mail has no From
  -q          put all that is kept into the queue; -q15m and -qf do the same, once
  -bp         say how many are kept, and where
  -bs         speak SMTP on standard input and output
  -bv         check the recipients' addresses, and send nothing

Examples

  printf 'To: ada@example.org\\nSubject: Hi\\n\\nHello.\\n' | sesq-sendmail -t -f shop@example.com
  sesq-sendmail ada@example.org < mail.eml

Settings: SESQ_REDIS_URL, or redis_url in sesq.toml. Headers of the mail set the lane and more: X-Sesq-Lane, -Tags,
-Key, -Send-At, -Expires. The exit status is sendmail's, from sysexits.h: 0 if the mail is taken, 64 to 78 if not."""


def main() -> None:
    """Runs `sys.argv`, and ends the process."""
    stdin: BinaryIO = sys.stdin.buffer if sys.stdin else BytesIO()  # None if the caller has closed it
    stdout: BinaryIO = sys.stdout.buffer if sys.stdout else BytesIO()
    sys.exit(run(sys.argv[1:], stdin, stdout))


def run(arguments: Sequence[str], stdin: BinaryIO, stdout: BinaryIO | None = None) -> int:
    """Runs one call, and returns its exit status. An error is one line on stderr. `stdout` is where -bs answers."""
    try:
        request = parse(arguments)
        if request.help:
            print(HELP)  # noqa: T201
            return 0
        if request.mode == "i":
            return 0
        return _obey(request, Essentials.load(), stdin, stdout or BytesIO())
    except InvalidMessage as error:
        return _complain(EX_DATAERR, error)
    except SettingsError as error:
        return _complain(EX_CONFIG, error)
    except InputError as error:
        return _complain(EX_USAGE, error)
    except NoDomain as error:
        return _complain(EX_NOHOST, error)
    except (SesqError, OSError) as error:
        return _complain(EX_TEMPFAIL, error)


def _obey(request: Request, settings: Essentials, stdin: BinaryIO, stdout: BinaryIO) -> int:
    outbox, domain = SpoolingOutbox(settings), partial(mail_domain, settings.mail_domain)
    if request.mode == "p":
        print(f"{len(outbox.spool)} mails wait for Redis in {outbox.spool.folder}")  # noqa: T201
        return 0
    if request.mode == "v":
        return _verify(_named(request, domain))
    if request.mode == "s":
        whole = Conversation(stdin, stdout, partial(_take, request, outbox, domain), domain).run()
        return 0 if whole else _complain(EX_TEMPFAIL, "the input ended inside a mail, which is not queued")
    if request.deliver_spool:
        return _told(outbox.deliver())
    return _told(outbox.send(_messages(request, stdin, domain)))


def _verify(named: Sequence[str]) -> int:
    """Does sendmail's -bv, and sends nothing. It checks the form of addresses, not whether a mailbox exists."""
    for address in named:
        print(f"{spec_of(address)}... is an address")  # noqa: T201
    return 0


def _take(
    request: Request,
    outbox: SpoolingOutbox,
    domain: Domain,
    content: bytes,
    sender: str,
    recipients: list[str],
) -> str:
    """Queues one mail of a conversation. Returns the text of the reply."""
    origin = request if not sender else replace(request, sender=sender)
    written = compose(content, sender=partial(_sender, origin, domain), dot_ends=False)
    mail = RawMail.read(written, domain)
    return (
        "; ".join(outbox.send(messages_of(mail, sorted_recipients(mail, recipients), rule=RULE))) or "queued"
    )


def _messages(request: Request, stdin: BinaryIO, domain: Domain) -> list[Message]:
    named = [] if request.from_headers and not request.recipients else _named(request, domain)
    data = stdin.read(MAX_MESSAGE_BYTES + 1)
    sender = partial(_sender, request, domain)
    mail = RawMail.read(compose(data, sender=sender, dot_ends=request.dot_ends), domain)
    if not request.from_headers:
        return messages_of(mail, sorted_recipients(mail, named), rule=RULE)
    shown = {field: list(mail.addresses(field)) for field in ("to", "cc", "bcc")}
    return messages_of(mail, {**shown, "bcc": [*shown["bcc"], *named]}, rule=RULE)


def _named(request: Request, domain: Domain) -> list[str]:
    """Returns the recipients on the command line. Raises InputError if there is none."""
    named = [address for argument in request.recipients for address in addresses(argument, domain)]
    if not named:
        raise InputError("there are no recipients: name them, or use -t if the mail names them")
    return named


def _sender(request: Request, domain: Domain) -> str:
    """Returns the sender of a mail without a From: -f, else the user who calls."""
    named = addresses(request.sender or "", domain)
    return full_address(request.name or "", spec_of(named[0]) if named else _user(), domain)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user may have no name
        return str(os.geteuid())


def _told(problems: Sequence[str]) -> int:
    """Prints problems with the spool. The exit status is 0, since the call itself has done its work."""
    for problem in problems:
        _complain(0, problem)
    return 0


def _complain(status: int, problem: object) -> int:
    text = "".join(character if character.isprintable() else " " for character in str(problem))
    print(f"sesq-sendmail: {text}", file=sys.stderr)  # noqa: T201
    return status
