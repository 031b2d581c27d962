"""`sesq-sendmail -bs`: SMTP on standard input and output (RFC 5321), for programs that start sendmail to talk to it.

If a client ends its lines with CR LF, only CR LF . CR LF ends a mail. So no text inside a mail can end it and begin
another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

from sesq.config.errors import InvalidMessage, SesqError
from sesq.producer.mend import Domain, full_address
from sesq.producer.rules import MAX_MESSAGE_BYTES

MOST_RECIPIENTS = 1000
MOST_REPLY = 400  # characters; a reply's line holds 512
LINE_BYTES = 64 * 1024

Take = Callable[[bytes, str, list[str]], str]
"""Queues or spools a mail, and says which: (mail, sender or "", recipients) -> text of the reply."""

_path = re.compile(r"(?:FROM|TO):\s*<([^<>]*)>.*", re.IGNORECASE).fullmatch


class Conversation:
    """One client's mails, one after the other. `run` returns whether the client ended it between two mails."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, take: Take, domain: Domain) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._take, self._domain = take, domain
        self._sender: str | None = None
        self._recipients: list[str] = []

    def run(self) -> bool:
        self._say("220 sesq-sendmail ESMTP")
        while line := self._stdin.readline(LINE_BYTES):
            verb, _, argument = line.decode(errors="replace").strip().partition(" ")
            if verb.upper() == "DATA":
                if not self._data(b"\r\n" if line.endswith(b"\r\n") else b"\n"):
                    return False
            else:
                self._say(self._reply(verb.upper(), argument.strip()))
            if verb.upper() == "QUIT":
                break
        return True

    def _reply(self, verb: str, argument: str) -> str:
        if verb in ("HELO", "EHLO", "RSET"):
            self._reset()
        if verb == "EHLO":
            offers = (
                "sesq-sendmail",
                "8BITMIME",
                "SMTPUTF8",
                "ENHANCEDSTATUSCODES",
                f"SIZE {MAX_MESSAGE_BYTES}",
            )
            return "\r\n".join([*(f"250-{offer}" for offer in offers), "250 PIPELINING"])
        if verb in ("MAIL", "RCPT"):
            return self._address(verb, argument)
        return {
            "HELO": "250 sesq-sendmail",
            "RSET": "250 2.0.0 Ok",
            "NOOP": "250 2.0.0 Ok",
            "VRFY": "252 2.5.0 send to it, and see",
            "QUIT": "221 2.0.0 Bye",
        }.get(verb, "500 5.5.2 this command is not known")

    def _address(self, verb: str, argument: str) -> str:
        """Takes the address of MAIL or RCPT. Parameters after it have no effect: SES makes its own notifications."""
        path = _path(argument)
        if path is None:
            return f"501 5.5.4 write {verb} {'FROM' if verb == 'MAIL' else 'TO'}:<user@example.com>"
        if verb == "RCPT" and self._sender is None:
            return "503 5.5.1 MAIL comes first"
        try:
            address = full_address("", path[1], self._domain) if path[1] or verb == "RCPT" else ""
        except SesqError as error:
            return _line("553 5.1.3", error)
        if verb == "MAIL":
            self._reset()
            self._sender = address
        elif len(self._recipients) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients; the rest can go with another copy of the mail"
        else:
            self._recipients.append(address)
        return "250 2.1.0 Ok"

    def _data(self, end: bytes) -> bool:
        """Reads and answers one mail. Returns whether the input went on to its end."""
        sender, recipients = self._sender, self._recipients
        if sender is None or not recipients:
            self._say("503 5.5.1 MAIL and RCPT come first")
            return True
        self._say("354 go on; a line with a dot alone ends the mail")
        content = self._content(end)
        if content is None:
            return False
        self._reset()
        self._say(self._answer(content, sender, recipients))
        return True

    def _answer(self, content: bytes, sender: str, recipients: list[str]) -> str:
        if len(content) > MAX_MESSAGE_BYTES:
            return f"552 5.3.4 the mail has more than {MAX_MESSAGE_BYTES:,} bytes"
        try:
            return _line("250 2.0.0", self._take(content, sender, recipients))
        except InvalidMessage as error:
            return _line("554 5.6.0", error)
        except (SesqError, OSError) as error:
            return _line("451 4.3.0", error)

    def _content(self, end: bytes) -> bytes | None:
        """Reads a mail, without the dots that SMTP adds; None if the input ends before the mail does.

        Of a mail that is too large, only the beginning is kept.
        """
        content, last = bytearray(), end
        while line := self._stdin.readline(LINE_BYTES):
            begins = last.endswith(end)
            if begins and line == b"." + end:
                return bytes(content)
            last = (last + line)[-2:]
            if len(content) <= MAX_MESSAGE_BYTES:
                content += line[1:] if begins and line.startswith(b".") else line
        return None

    def _reset(self) -> None:
        self._sender, self._recipients = None, []

    def _say(self, reply: str) -> None:
        self._stdout.write(reply.encode("ascii", "backslashreplace") + b"\r\n")
        self._stdout.flush()


def _line(code: str, text: object) -> str:
    """Returns one line of a reply, also if the text has several lines or is too long."""
    return f"{code} " + "".join(c if c.isprintable() else " " for c in str(text))[:MOST_REPLY]
