"""In the sandbox: what may not go waits by name, goes by itself once it may, and no log line tells who or what."""

from __future__ import annotations

from typing import Any

from agreement import assert_agreement
from sesq.queue.states import State
from system import System, eventually


def test_what_waits_for_a_verification_goes_by_itself(system: Any) -> None:
    s: System
    with system(production=False, max_send_rate=20, max_24_hour_send=200) as s:
        s.ses.verify("ada@example.org")
        # Given mail to a verified address, to the mailbox simulator, to one that is not verified, and to both
        goes = [s.outbox.send(s.mail()), s.outbox.send(s.mail("bounce@simulator.amazonses.com"))]
        bob = [s.outbox.send(s.mail("bob@example.org", subject=f"Secret {i}")) for i in range(3)]
        both = s.outbox.send(s.mail(["ada@example.org", "cleo@example.org"]))
        # and from a sender that is not verified
        stranger = s.outbox.send(s.mail(sender="x@elsewhere.example"))
        s.start_workers(2)

        # Then what may go goes; the others are held by name, without a call to SES
        s.wait_for(State.SENT, 2)
        s.wait_for(State.HELD, 5)
        assert {s.outbox.status(id).state for id in goes} == {State.SENT}
        assert s.messages.holds() == {
            "recipient:bob@example.org": "recipient bob@example.org is not verified in us-east-1",
            "recipient:cleo@example.org": "recipient cleo@example.org is not verified in us-east-1",
            "sender:x@elsewhere.example": "sender x@elsewhere.example is not verified in us-east-1",
        }
        assert s.ses.report()["refused"] == {}
        assert_agreement(s.redis)

        # When bob clicks on his link, then all that waited for him goes, once each
        s.ses.verify("bob@example.org")
        eventually(lambda: {s.outbox.status(id).state for id in bob} == {State.SENT}, "bob's mail is sent")
        assert s.outbox.status(both).state is State.HELD
        s.ses.verify("elsewhere.example")
        eventually(lambda: s.outbox.status(stranger).state is State.SENT, "the stranger's mail is sent")

        # When the account gets production access, the rest goes too
        s.ses.set_account(production_access=True)
        s.wait_for(State.SENT, 7)
        report = s.ses.report()
        assert (report["accepted"], report["refused"], report["duplicates"]) == (7, {}, 0)
        assert all(s.outbox.status(id).attempts == 1 for id in (*goes, *bob, both, stranger))
        assert_agreement(s.redis)

        # And the log says by ids what happened, and nobody's name
        log = s.log()
        assert stranger in log
        for private in ("ada@", "bob@", "cleo@", "x@elsewhere", "shop@", "Secret", "Hello", "AWS_SECRET"):
            assert private not in log
