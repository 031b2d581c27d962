"""Threads that accounts share: made when needed, ended when idle, and nobody waits for another one's task."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from sesq.worker import threads as module
from sesq.worker.threads import Threads
from system import eventually


def test_a_task_that_waits_holds_up_no_other() -> None:
    threads, go_on, done = Threads(), threading.Event(), threading.Event()
    for _ in range(20):
        threads.run(lambda: go_on.wait(30) and None)
    threads.run(done.set)
    assert done.wait(30)
    go_on.set()


def test_a_thread_that_is_free_takes_the_next_task() -> None:
    threads, names, taken = Threads(), [], threading.Semaphore(0)

    def task() -> None:
        names.append(threading.current_thread().ident)
        taken.release()

    for _ in range(20):
        threads.run(task)
        assert taken.acquire(timeout=30)
        eventually(lambda: threads._idle, "the thread is free")
    assert len(set(names)) == 1


def test_threads_that_are_idle_end_and_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    before, threads = threading.active_count(), Threads()
    for _ in range(3):
        together = threading.Barrier(5)
        for _ in range(4):
            threads.run(partial(together.wait, 30))
        together.wait(30)
        eventually(lambda: threading.active_count() == before, "all have ended")


def test_where_the_system_has_no_more_threads_those_that_are_there_do_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, go_on, done = Threads(), threading.Event(), threading.Event()
    threads.run(lambda: go_on.wait(30) and None)

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    threads.run(done.set)
    go_on.set()
    assert done.wait(30)
    # and where it has none at all, that is said
    with pytest.raises(RuntimeError):
        Threads().run(done.set)


def test_a_task_that_fails_takes_its_thread_with_it_and_no_other_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed, done, threads = threading.Event(), threading.Event(), Threads()
    monkeypatch.setattr(threading, "excepthook", lambda _: failed.set())

    def broken() -> None:
        raise ZeroDivisionError

    threads.run(broken)
    assert failed.wait(30)
    threads.run(done.set)
    assert done.wait(30)
