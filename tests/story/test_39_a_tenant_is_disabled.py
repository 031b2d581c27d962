"""SES stops one of two tenants amid sending: its mail waits with the reason, and all other mail goes."""

from __future__ import annotations

import json
from typing import Any

from agreement import assert_agreement
from judge import accepted
from sesq.queue.batches import Batches
from sesq.queue.states import State
from sesq.queue.tenant_states import SendingStatus, TenantStates
from sesq.worker.tenant_sync import ASK_SECONDS
from system import System, eventually

EACH, ROWS = 120, 100
HOLD = "tenant:acme"
WHY = "SES has stopped the tenant acme in us-east-1: its sending status is DISABLED."
IN_FLIGHT = 40
"""More than two workers have on their way at once."""


def send_a_batch(s: System) -> None:
    folder, rows = s.folder / "news", s.folder / "rows.csv"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello")
    (folder / "body.txt").write_text("Good day.")
    rows.write_text("email\n" + "".join(f"row{number}@example.org\n" for number in range(ROWS)))
    options = ("--from", "shop@example.com", "--tenant", "acme")
    s.run("sesq.console", "batch", "send", str(folder), str(rows), *options)


def accepted_of(s: System, tenant: str | None) -> int:
    return sum(call["tenant"] == tenant for call in accepted(s.ses.messages(limit=10_000)))


def waiting(s: System) -> int:
    """Mail that is held, and rows that wait in their batch."""
    (batch,) = Batches(s.redis).all()
    return s.count(State.HELD) + batch.compact_waiting


def wait_for_the_tenants_state(s: System, status: SendingStatus) -> None:
    """Until a sync has asked, some minutes later."""
    s.move_clocks(ASK_SECONDS + 1)

    def told() -> bool:
        state = TenantStates(s.redis).read().get("acme")
        return state is not None and state.status is status

    eventually(told, f"sync knows that acme is {status}\n{s.log()[-3000:]}")


def test_a_tenant_is_disabled_amid_sending_and_enabled_again(system: Any) -> None:
    s: System
    with system(max_send_rate=60, max_24_hour_send=50_000) as s:
        # Given two tenants and mail of each, of none too, in both lanes, and a batch
        s.ses.add_tenant("acme")
        s.ses.add_tenant("other")
        acme = s.send(EACH, tenant="acme") + s.send(EACH, tenant="acme", lane="bulk")
        others = s.send(EACH, tenant="other") + s.send(EACH) + s.send(EACH, tenant="other", lane="bulk")
        send_a_batch(s)
        s.start_workers(2)

        # When SES stops one of them amid sending
        eventually(lambda: accepted_of(s, "acme") >= 20, f"some of acme has gone\n{s.log()[-3000:]}")
        s.ses.set_tenant("acme", sending_status="DISABLED")

        # Then all other mail goes, and all of its mail that has not gone is held, or stays in its batch
        eventually(lambda: {s.outbox.status(id).state for id in others} == {State.SENT}, s.log()[-3000:])
        gone = accepted_of(s, "acme")
        eventually(lambda: waiting(s) == 2 * EACH + ROWS - gone, f"acme's mail waits\n{s.log()[-3000:]}")
        assert gone < 2 * EACH
        holds = s.messages.holds()
        assert holds.keys() == {HOLD}
        assert holds[HOLD].startswith(WHY)
        # SES has refused what was on its way, and nothing after that
        refused = s.ses.report()["refused"]
        assert refused.keys() == {"tenant_disabled"}
        assert refused["tenant_disabled"] <= IN_FLIGHT

        # And everybody is told why
        waits = next(id for id in acme if s.outbox.status(id).state is State.HELD)
        assert WHY in s.run("sesq.console", "messages", "show", waits)
        status = json.loads(s.run("sesq.console", "status", "--json"))
        assert any(WHY in sentence for sentence in status["why"])
        doctor = json.loads(s.run("sesq.console", "doctor", "--json", check=False))
        assert [WHY in check["detail"] for check in doctor if check["name"] == "tenant"] == [True]
        assert_agreement(s.redis)

        # While SES says so, no mail tries, however long that is
        wait_for_the_tenants_state(s, SendingStatus.DISABLED)
        s.wait_for_sync()
        assert waiting(s) == 2 * EACH + ROWS - gone
        refused = s.ses.report()["refused"]
        s.move_clocks(ASK_SECONDS + 1)
        s.wait_for_sync()
        assert s.ses.report()["refused"] == refused
        assert waiting(s) == 2 * EACH + ROWS - gone

        # When SES says that it may send again, then all of it goes by itself
        s.ses.set_tenant("acme", sending_status="ENABLED")
        wait_for_the_tenants_state(s, SendingStatus.ENABLED)
        total = 5 * EACH + ROWS
        eventually(lambda: s.ses.report()["accepted"] == total, f"all of it goes\n{s.log()[-3000:]}")
        eventually(lambda: s.messages.holds() == {}, "nothing waits any more")
        eventually(lambda: {s.outbox.status(id).state for id in acme} == {State.SENT}, s.log()[-3000:])

        # And nothing went twice, nothing was lost, and each went for its tenant
        report = s.ses.report()
        assert (report["duplicates"], report["refused"]) == (0, refused)
        assert accepted_of(s, "acme") == 2 * EACH + ROWS
        assert (accepted_of(s, "other"), accepted_of(s, None)) == (2 * EACH, EACH)
