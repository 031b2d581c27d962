"""The steps of the demo, in order. Each step waits for what it has caused, and says what that shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sesq.console.commands.status import as_text
from sesq.console.demo import load
from sesq.console.demo.parts import Part
from sesq.console.demo.patience import Patience
from sesq.console.demo.screen import Screen
from sesq.console.demo.view import View, look, sent_at
from sesq.console.overview import read_overview
from sesq.producer import Message, Outbox
from sesq.queue.policy import Policy
from sesq.queue.snapshot import read_snapshot
from sesq.queue.states import Lane
from sesq.simulator import Simulator

LOOK_SECONDS = 0.2
BY = "sesq demo"


@dataclass(frozen=True, slots=True)
class Pace:
    """The limit that held for a while (recipients a second), whose it was, and the pace in that time."""

    limit: float
    whose: str
    measured: float


class Story:
    """`play` does all steps and returns the last view. What was measured stays in the attributes."""

    def __init__(
        self, outbox: Outbox, ses: Simulator, workers: list[Part], screen: Screen, patience: Patience
    ) -> None:
        self.outbox, self.ses, self.workers = outbox, ses, workers
        self.screen, self.patience = screen, patience
        self.policy = Policy(outbox.redis)
        self.ids: list[str] = []
        self.paces: list[Pace] = []
        self.raised_at = 0.0
        self.freed_after = 0.0

    def play(self) -> View:
        """Does all steps. Raises Interrupted, TooLate and PartFailed."""
        self._wait_for_the_account()
        start = self._fill_the_lanes()
        self._overtake()
        self._verify()
        self._raise_the_quota(start)
        return self._let_it_end()

    def _wait_for_the_account(self) -> None:
        self._until(lambda _: read_snapshot(self.outbox.redis, "default").known)
        self._say("The workers have read the account: [b]sandbox[/], 1 recipient a second, 200 in 24 hours.")

    def _fill_the_lanes(self) -> float:
        batch = self._send(load.newsletters())
        self._say(f"A batch of {len(batch)} newsletters is queued (lane: bulk), from a CSV and a template.")
        mails = self._send(load.transactional())
        self._say(
            f"{len(mails)} transactional mails follow, one to three recipients, one a finished .eml file "
            "with a PDF. Their lane goes first."
        )
        start = self._look().now
        self._until(lambda view: view.are_sent(mails[:4]))
        self._say(
            "The mail to three took three seconds' worth of rate: SES counts recipients. Mail to addresses that "
            "are not verified is [yellow]held[/]: in the sandbox SES would refuse it, so it is not even tried."
        )
        return start

    def _overtake(self) -> None:
        waiting = self._look().waiting_for_limits
        ids = self._send(load.urgent())
        self._say(f"Two password resets are queued last, behind {waiting} newsletters.")
        view = self._until(lambda view: view.are_sent(ids))
        waits = [sent_at(record) - record.created for record in map(view.records.__getitem__, ids)]
        left = view.usage.lanes[list(Lane).index(Lane.BULK)]["queued"]
        self._say(
            f"They went out after {waits[0]:.1f} and {waits[1]:.1f} s, while {left} newsletters wait on."
        )

    def _verify(self) -> None:
        self.ses.verify(load.VERIFIED_LATER)
        held, asked = self._look().to(load.VERIFIED_LATER).id, self._look().now
        self._say(
            f"[b]{load.VERIFIED_LATER}[/] clicks SES's link and is verified now; nobody tells the queue."
        )
        view = self._until(lambda view: view.are_sent([held]))
        self.freed_after = sent_at(view.records[held]) - asked
        self._say(
            f"The next account sync saw it, and the held mail went out by itself, {self.freed_after:.1f} s later."
        )

    def _raise_the_quota(self, start: float) -> None:
        before = self._look()
        self.paces.append(Pace(1, "SES", before.pace(start, before.now)))
        self.raised_at = self.ses.advance(0)
        self.ses.set_account(max_send_rate=20, max_24_hour_send=1000)
        self._say("AWS raises the quota to 20 a second and 1000 a day; again nobody tells the queue.")
        self._until(lambda view: view.usage.rate == 20)
        self._say("Account sync has seen it, and the pace follows at once, after a first burst.")
        self._keep_pace(20, "SES", between=(72, 45))
        self.policy.set({"rate": "5/second"}, by=BY)
        self._say(
            "Somebody would rather go slowly: [b]sesq quota set --rate 5/second[/], from the next claim on."
        )
        self._keep_pace(5, "ours", between=(43, 25))
        self.policy.reset(by=BY)
        self._say("[b]sesq quota reset[/]: back to what SES allows.")

    def _keep_pace(self, limit: float, whose: str, between: tuple[int, int]) -> None:
        """Measures the pace while the queue shrinks from one length to another."""
        start, end = map(self._until_only, between)
        self.paces.append(Pace(limit, whose, end.pace(start.now, end.now)))

    def _until_only(self, left: int) -> View:
        return self._until(lambda view: view.waiting_for_limits <= left)

    def _let_it_end(self) -> View:
        view = self._until(lambda view: view.at_rest)
        self._say(f"All is sent that may be; {len(view.held())} mails stay held, each with its reason.")
        return view

    def _send(self, messages: list[Message]) -> list[str]:
        ids = self.outbox.send_many(messages)
        self.ids += ids
        return ids

    def _look(self) -> View:
        return look(self.outbox.redis, self.ids)

    def _say(self, text: str) -> None:
        self.screen.say(text)

    def _until(self, comes_true: Callable[[View], bool]) -> View:
        while True:
            view = self._look()
            self.screen.show(lambda: as_text(read_overview(self.outbox.redis, "default")), view.in_a_line())
            if comes_true(view):
                return view
            for worker in self.workers:
                worker.check()
            self.patience.wait(LOOK_SECONDS)
