"""`sesq-sendmail`: takes a mail as sendmail does. Its exit status is sendmail's, from sysexits.h."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from sesq.config.addresses import spec_of
from sesq.config.errors import InputError, InvalidMessage, SesqError, SettingsError
from sesq.config.essentials import Essentials
from sesq.producer.intake import messages_of, sorted_recipients
from sesq.producer.mail_domain import NoDomain, mail_domain
from sesq.producer.mend import Domain, addresses, full_address
from sesq.producer.raw import RawMail
from sesq.producer.rules import MAX_MESSAGE_BYTES
from sesq.producer.sendmail.arguments import Request, parse
from sesq.producer.sendmail.letter import compose
from sesq.producer.sendmail.spool import Spool, new_name, with_keys

if TYPE_CHECKING:
    from sesq.producer.message import Message
    from sesq.producer.outbox import Outbox

EX_USAGE, EX_DATAERR, EX_NOHOST, EX_TEMPFAIL, EX_CONFIG = 64, 65, 68, 75, 78
AT_ONCE = 50
"""Mails of the spool that a call takes along; `-q` takes all."""
HELP = """Usage: sesq-sendmail [OPTION]... [--] [RECIPIENT]... < MAIL

Reads a mail as sendmail does, and puts it into the queue. While Redis is away the mail is kept in a folder of its own;
each later call takes along what waits there.

  -t          the recipients are those of To, Cc and Bcc
  -i, -oi     a line with a dot alone does not end the mail
  -f ADDRESS  who it is from, where the mail has no From
  -F NAME     the sender's name, likewise
  -q          put all that is kept into the queue
  -bp         say how many are kept, and where

Examples

  printf 'To: ada@example.org\\nSubject: Hi\\n\\nHello.\\n' | sesq-sendmail -t -f shop@example.com
  sesq-sendmail ada@example.org < mail.eml

Settings: SESQ_REDIS_URL, or redis_url in sesq.toml. The lane and more are headers: X-Sesq-Lane, -Tags, -Key, -Send-At,
-Expires. The exit status is sendmail's, from sysexits.h: 0 taken, 64 to 78 not."""


def main() -> None:
    """Runs `sys.argv`, and ends the process."""
    stdin: BinaryIO = sys.stdin.buffer if sys.stdin else BytesIO()  # None where the caller has closed it
    sys.exit(run(sys.argv[1:], stdin))


def run(arguments: Sequence[str], stdin: BinaryIO) -> int:
    """One call; its exit status. What is wrong is a line on stderr."""
    if "--help" in arguments:
        print(HELP)  # noqa: T201
        return 0
    try:
        request = parse(arguments)
        return _obey(request, Essentials.load(), stdin)
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


def _obey(request: Request, settings: Essentials, stdin: BinaryIO) -> int:
    spool = Spool(settings.data_dir)
    if request.list_spool:
        print(f"{len(spool)} mails wait for Redis in {spool.folder}")  # noqa: T201
        return 0
    if request.deliver_spool:
        return _told(spool.deliver(_outbox(settings)))
    return _send(_messages(request, stdin, settings), spool, settings)


def _send(messages: list[Message], spool: Spool, settings: Essentials) -> int:
    """Into the queue, or else into the spool; a mail that is in neither has failed."""
    name = new_name()
    messages = with_keys(messages, name)
    try:
        outbox = _outbox(settings)
        outbox.send_many(messages)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever went wrong, a good mail is not lost by it)
        spool.keep(name, messages)
        return _complain(0, f"{error}; the mail is kept in {spool.folder}")
    try:
        return _told(spool.deliver(outbox, AT_ONCE))
    except Exception as error:  # noqa: BLE001  (who is told of a failure sends again)
        return _complain(0, f"the mail is queued, but not what waits in {spool.folder}: {error}")


def _messages(request: Request, stdin: BinaryIO, settings: Essentials) -> list[Message]:
    domain = partial(mail_domain, settings.mail_domain)
    named = [address for argument in request.recipients for address in addresses(argument, domain)]
    if not named and not request.from_headers:
        raise InputError("there are no recipients: name them, or use -t where the mail does")
    data = stdin.read(MAX_MESSAGE_BYTES + 1)
    sender = partial(_sender, request, domain)
    mail = RawMail.read(compose(data, sender=sender, dot_ends=request.dot_ends), domain)
    if not request.from_headers:
        return messages_of(mail, sorted_recipients(mail, named))
    shown = {field: list(mail.addresses(field)) for field in ("to", "cc", "bcc")}
    return messages_of(mail, {**shown, "bcc": [*shown["bcc"], *named]})


def _sender(request: Request, domain: Domain) -> str:
    """Who a mail without a From is from: -f, else the user who calls."""
    named = addresses(request.sender or "", domain)
    return full_address(request.name or "", spec_of(named[0]) if named else _user(), domain)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user may have no name
        return str(os.geteuid())


def _told(problems: Sequence[str]) -> int:
    """What stays in the spool, or is put aside, is told; the call itself has done its work."""
    for problem in problems:
        _complain(0, problem)
    return 0


def _complain(status: int, problem: object) -> int:
    text = "".join(character if character.isprintable() else " " for character in str(problem))
    print(f"sesq-sendmail: {text}", file=sys.stderr)  # noqa: T201
    return status


def _outbox(settings: Essentials) -> Outbox:
    from sesq.config.connection import connect
    from sesq.producer.outbox import Outbox

    return Outbox(connect(settings=settings), keep_days=settings.keep_days)
