"""The parent of several worker processes: who is started again, when it gives up, and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from sesq.worker import start as module
from sesq.worker.start import Processes

CHILD = """
import os, pathlib, signal, sys, time
lives = pathlib.Path(sys.argv[1])
number = len(lives.read_text()) if lives.exists() else 0
lives.write_text("." * (number + 1))
if number == int(sys.argv[3]):  # the last one stands for whoever stops the parent, and stays until it is told
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
time.sleep(float(sys.argv[2]) if number == 0 else 0)
sys.exit(1)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A parent of this script, that is in a hurry; it leaves no signal handler behind."""
    monkeypatch.setattr(module, "PROGRAM", (sys.executable, "-c", CHILD))
    monkeypatch.setattr(module, "HOPELESS_SECONDS", 0.5)
    monkeypatch.setattr(module, "RESTART_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_children_that_once_worked_are_started_again_however_soon_they_end(tmp_path: Path) -> None:
    # Given one that worked for a while; its successors end at once, as they do while Redis is away
    lives = tmp_path / "lives"
    status = Processes([str(lives), "1.0", "5"], 1).run()
    # Then each got a successor, until the parent was stopped
    assert (status, len(lives.read_text())) == (0, 6)


def test_where_none_ever_worked_the_parent_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given one that ends at once, however long a busy machine takes for its start
    monkeypatch.setattr(module, "HOPELESS_SECONDS", 3600.0)
    lives = tmp_path / "lives"
    assert Processes([str(lives), "0", "5"], 1).run() == 1
    assert len(lives.read_text()) == 1


def test_it_ends_well_though_children_had_ended_badly_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a child that has ended, and is to be replaced much later
    monkeypatch.setattr(module, "RESTART_SECONDS", (60.0,))
    parent = Processes([str(tmp_path / "lives"), "1.0", "5"], 1)
    monkeypatch.setattr(parent, "_note_end", lambda place, child: _note_and_stop(parent, place, child))
    # When the parent is stopped meanwhile
    assert parent.run() == 0


def _note_and_stop(parent: Processes, place: int, child: object) -> None:
    Processes._note_end(parent, place, child)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGTERM)


BUSY = """
import os, signal
both = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, both)  # it looks at no signal for a while
signal.alarm(20)
os.kill(os.getppid(), signal.SIGTERM)
while not signal.sigpending() >= both:
    pass
"""


def test_two_signals_reach_a_busy_child_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a parent that gets two before it passes one on
    parent = Processes([], 1)
    monkeypatch.setattr(module, "PROGRAM", (sys.executable, "-c", BUSY))
    monkeypatch.setattr(parent, "_count", lambda *_: setattr(parent, "signals", 2))
    # Then the child ends when it has both
    assert parent.run() == 0


def test_the_sooner_one_ends_the_longer_its_successor_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a parent of two, of which the other one has worked for long
    monkeypatch.setattr(module, "RESTART_SECONDS", (1.0, 2.0, 5.0, 10.0))
    parent, ages = Processes([], 2), iter([0.1, 0.1, 0.1, 0.1, 0.1, 0.6, 0.1])
    parent.proven = True
    monkeypatch.setattr(parent, "_age", lambda _place: next(ages))
    # When one ends soon, again and again, and once after it has worked
    for status in range(1, 8):
        parent._note_end(1, Mock(pid=40 + status, returncode=status))
    # Then each waits for longer than the one before it, up to ten seconds, and begins anew after the one that worked
    assert [record.getMessage() for record in caplog.records] == [
        f"worker process {40 + status} ended with status {status}; starting another in {pause} s"
        for status, pause in enumerate((1, 2, 5, 10, 10, 1, 2), 1)
    ]
    assert not parent.hopeless
