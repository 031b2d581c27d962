"""What it costs that somebody is told of each change of a message: the same mails with the stream off and on."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.measure import Bench, bench, show
from benchmarks.peers import SENDERS, Sender, queue_mails, run_once
from sesq.queue.events import listen

ROUNDS = 9
COLUMNS = ("stream", "mails a second", "of off", "CPU ms a mail", "Redis ms a mail")


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Returns one table; medians of rounds, off and on by turns."""
    count = round(4000 * scale)
    off = next(sender for sender in SENDERS if sender.name == "sesq")
    senders: dict[str, Sender] = {"off": off, "on": replace(off, put=_queue_told_of)}
    with bench() as b:
        starts = {name: run_once(b, sender, 1, 0.0) for name, sender in senders.items()}
        rounds = [
            {name: run_once(b, senders[name], count, 0.0) for name in _in_turn(senders, number)}
            for number in range(ROUNDS)
        ]
    rows = [
        (
            name,
            median(each[name].pace for each in rounds),
            median(each[name].pace / each["off"].pace for each in rounds),
            median(each[name].cpu - starts[name].cpu for each in rounds) / count * 1000,
            median(each[name].redis - starts[name].redis for each in rounds) / count * 1000,
        )
        for name in senders
    ]
    return [show("Telling each change; SES answers at once, two processes", COLUMNS, rows)]


def _in_turn(names: Iterable[str], number: int) -> list[str]:
    """Gives each the first place in every other round: what a run leaves behind may slow the one after it."""
    return list(names) if number % 2 == 0 else list(names)[::-1]


def _queue_told_of(b: Bench, count: int) -> None:
    """With a consumer that has not read yet."""
    listen(b.redis, "default", "bench")
    queue_mails(b, count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of mails")
    main(parser.parse_args().scale)
