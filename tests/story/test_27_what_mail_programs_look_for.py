"""Unsubscribe headers, text made from HTML and an invitation arrive as the how-to writes them."""

from __future__ import annotations

from typing import Any

from arrived import arrived
from pages import code_on
from sesq.producer import Attachment
from sesq.producer.unsubscribe import one_click
from sesq.queue.states import State
from system import System

LEAVE = one_click("https://shop.example/leave?who=7f3a", mailto="leave@example.com?subject=7f3a")


def test_the_mails_of_the_page_arrive(system: Any) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given the code of the page, and the first mail once more as a whole mail, since it has a file
        page = s.folder / "page.py"
        page.write_text("\n\n".join(code_on("how-to/write-a-mail.md")), "utf-8")
        s.environment["PYTHONPATH"] = str(s.folder)
        s.outbox.send(s.mail("dan@example.org", headers=LEAVE, attachments=[Attachment("a.txt", b"a")]))
        # When it runs, and a worker sends
        s.run("page")
        s.start_workers(1)
        s.wait_for(State.SENT, 4)
        mails = {mail.recipients[0]: mail for mail in arrived(s.ses)}
        # Then both forms of SES's API have brought both headers, in their order
        simple = mails["ada@example.org"].simple
        assert [(header["Name"], header["Value"]) for header in simple["Headers"]] == list(LEAVE.items())
        whole = mails["dan@example.org"].mail
        assert [(name, value) for name, value in whole.items() if name in LEAVE] == list(LEAVE.items())
        assert mails["dan@example.org"].bytes_of("a.txt") == b"a"
        # and who reads no HTML has text
        text = mails["bob@example.org"].simple["Body"]["Text"]["Data"]
        assert text == "Thank you\n\nYour order is on its way: [see where](https://shop.example/7).\n"
        # and the invitation is the last of the alternatives
        body, file = list(mails["cy@example.org"].mail.iter_parts())
        assert body.get_content_type() == "multipart/alternative"
        invitation = list(body.iter_parts())[-1]
        assert invitation["Content-Type"].params == {"method": "REQUEST", "charset": "utf-8"}
        assert "SUMMARY:Führung" in invitation.get_content()
        assert file.get_filename() == "visit.ics"
        assert file.get_payload(decode=True) == invitation.get_payload(decode=True)
