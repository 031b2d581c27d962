"""`sesq demo` as a person starts it, and the comparison that its exit status rests on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from sesq.console.demo import demo
from sesq.console.demo.compare import Row, SesRecord, compare
from sesq.console.demo.parts import Part, PartFailed
from sesq.console.demo.patience import Patience, TooLate
from sesq.console.demo.view import View, look
from sesq.producer import Message, Outbox
from sesq.queue.envelope import Envelope
from sesq.queue.messages import Messages
from sesq.queue.record import Event, Record
from sesq.queue.states import State

ROOT = Path(__file__).parents[2]
MARK = "DEMO_OF_THIS_TEST"
SECONDS = "150"
"""More than a demo takes, for a machine that runs other tests beside it."""


class Demo:
    """One run of the command. Whatever it starts inherits a mark in its environment."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.mark = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sesq.console", "demo", "--seconds", SECONDS, *options],
            cwd=folder,
            env={**os.environ, name: value, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        assert any(text in line for line in self.process.stdout), self.process.communicate()

    def running(self) -> list[str]:
        """The command lines of all that it started and that still runs."""
        return list(marked(self.mark.encode()))


def marked(mark: bytes) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                yield (process / "cmdline").read_text().replace("\0", " ")


@pytest.fixture
def start(short_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start_one(*options: str) -> Demo:
        started.append(Demo(short_path, *options))
        return started[-1]

    yield start_one
    for run in started:
        with run.process as process:
            process.terminate()


def test_the_demo_plays_to_its_end_and_both_records_agree(
    start: Callable[..., Demo], short_path: Path
) -> None:
    # When somebody plays the demo
    run = start("--json")
    told, complaints = run.process.communicate()
    # Then both records agree, and nothing is left
    assert (run.process.returncode, complaints) == (0, "")
    result = json.loads(told)
    rows = {row["fact"]: row for row in result["rows"]}
    assert result["agrees"] is all(row["agrees"] for row in rows.values()) is True
    assert rows["messages accepted"]["queue"] == rows["messages accepted"]["ses"] == 105
    assert rows["recipients accepted"]["ses"] == 107
    assert rows["recipients in the fullest day"]["ses"] == 106  # without the mailbox simulator's
    assert rows["calls that SES throttled"]["ses"] == rows["mails sent twice"]["ses"] == 0
    assert rows["… in the fastest second at 1/s"]["ses"] == 3  # the mail to three
    assert "stranger@example.net" in [to for held in result["held"] for to in held["to"]]
    assert "lin@example.net" not in [to for held in result["held"] for to in held["to"]]
    assert [pace["limit"] for pace in result["paces"]] == [1, 20, 5]
    assert run.running() == []
    assert list(short_path.iterdir()) == []


@pytest.mark.parametrize(
    ("moment", "number"), [("are starting", signal.SIGINT), ("password resets are queued", signal.SIGHUP)]
)
def test_stopped_at_any_moment_it_leaves_nothing(
    start: Callable[..., Demo], short_path: Path, moment: str, number: signal.Signals
) -> None:
    run = start()
    run.read_until(moment)
    assert len(run.running()) > 3  # itself with the simulator, Redis and its supervisor, two workers
    run.process.send_signal(number)
    _, complaints = run.process.communicate()
    assert run.process.returncode == 130
    assert complaints == "sesq demo: stopped; everything it had started has ended\n"
    assert run.running() == []
    assert list(short_path.iterdir()) == []


def test_the_wheel_holds_what_the_demo_plays_with(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = [ROOT / "Procfile", *(path for path in (ROOT / "docs/examples").rglob("*") if path.is_file())]
    wanted = {f"sesq/console/demo/shipped/{path.relative_to(ROOT)}" for path in files}
    assert len(wanted) > 5
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


# the comparison --------------------------------------------------------------------------------------------------


def a_record(id: str, claimed: float, answered: float, *to: str) -> Record:
    history = (
        Event(0.0, State.QUEUED, ""),
        Event(claimed, State.SENDING, "w"),
        Event(answered, State.SENT, f"ses-{id}"),
    )
    envelope = Envelope(sender="hello@shop.example", to=to or ("ada@example.org",))
    return Record(
        id,
        "default",
        State.SENT,
        "",
        "bulk",
        envelope,
        1,
        0.0,
        answered,
        None,
        None,
        f"ses-{id}",
        None,
        "w",
        history,
    )


def a_call(id: str, at: float, recipients: int = 1) -> dict[str, Any]:
    return {"id": f"ses-{id}", "accepted": True, "at": at, "recipients": recipients, "tags": {"sesq-id": id}}


def a_view(*records: Record, throttles: int = 0) -> View:
    """With what the comparison asks of the gate, and no more."""
    usage: Any = SimpleNamespace(now=9.0, last_24h=3, throttles=throttles)
    return View({record.id: record for record in records}, usage)


HELD = replace(a_record("c", 3.0, 3.1), state=State.HELD, attempts=0, message_id=None, history=())
RECORDS = a_record("a", 1.0, 1.1), a_record("b", 1.9, 2.1, "x@y.example", "z@y.example"), HELD
VIEW = a_view(*RECORDS)
REPORT = {
    "accepted": 2,
    "recipients": 3,
    "refused": {},
    "throttles": 0,
    "max_recipients_in_1s": 3,
    "max_recipients_in_24h": 3,
    "duplicates": 0,
}
CALLS = [a_call("a", 1.05), a_call("b", 2.0, 2)]


def disagreements(view: View = VIEW, calls: list[dict[str, Any]] = CALLS, **report: Any) -> list[str]:
    rows = compare(view, SesRecord({**REPORT, **report}, calls, raised_at=5.0))
    return [row.fact for row in rows if not row.agrees]


def test_two_true_records_agree() -> None:
    assert disagreements() == []


@pytest.mark.parametrize(
    ("tampered", "fact"),
    [
        ({"accepted": 3}, "messages accepted"),
        ({"recipients": 2}, "recipients accepted"),
        ({"refused": {"unverified": 1}}, "calls that SES refused"),
        ({"max_recipients_in_24h": 4}, "recipients in the fullest day"),
        ({"max_recipients_in_1s": 4}, "… in the fastest second of all"),
        ({"throttles": 1, "refused": {"throttle": 1}}, "calls that SES throttled"),
        ({"duplicates": 1}, "mails sent twice"),
        ({"calls": [CALLS[0], a_call("b", 4.0, 4)]}, "… in the fastest second at 1/s"),
        ({"calls": [*CALLS, {**a_call("c", 4.0), "accepted": False}]}, "held, and never offered to SES"),
        ({"calls": [CALLS[0], {**CALLS[1], "id": "ses-x"}]}, "accepted under the same MessageId"),
    ],
)
def test_whatever_is_tampered_with_shows(tampered: dict[str, Any], fact: str) -> None:
    assert disagreements(**tampered) == [fact]


def test_a_throttled_call_is_wrong_even_where_both_know_of_it() -> None:
    facts = disagreements(a_view(*RECORDS, throttles=1), throttles=1, refused={"throttle": 1})
    assert facts == ["calls that SES throttled"]


def test_a_mail_on_its_way_across_a_second_may_count_on_either_side() -> None:
    # Given b, claimed 0.9 s after a and answered 1.1 s after it, Then SES may have seen 2 or 3 in one second
    assert disagreements(max_recipients_in_1s=2) == []
    assert disagreements(max_recipients_in_1s=1) == ["… in the fastest second of all"]


def test_records_that_differ_make_it_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row("messages accepted", 2, 2), Row("mails sent twice", 0, 1, allowed=0)]
    monkeypatch.setattr(demo, "play", lambda *_: demo.Result(VIEW, rows, [], 1.0, 20.0))
    assert demo.run(as_json=True) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["agrees"], [row["agrees"] for row in result["rows"]]) == (False, [True, False])
    # in words too
    assert demo.run() == 1
    assert "differs" in capsys.readouterr().out


# its parts -------------------------------------------------------------------------------------------------------


def test_a_message_that_moves_while_states_are_listed_is_not_missed(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = Outbox(redis).send(Message(sender="a@shop.example", to="ada@example.org", subject="Hi", text="Hi"))
    monkeypatch.setattr(Messages, "list", lambda *_, **__: [])
    assert look(redis, [id]).records[id].state is State.QUEUED


def test_no_wait_goes_beyond_the_deadline() -> None:
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    patience = Patience(60, clock=lambda: time[0], sleep=sleep)
    patience.wait(59)
    with pytest.raises(TooLate, match="60 seconds"):
        patience.wait(2)
    assert time[0] == pytest.approx(60, abs=0.2)


def test_a_part_that_ends_too_early_says_its_last_words(tmp_path: Path) -> None:
    part = Part("worker-1", [sys.executable, "-c", "raise SystemExit('no region')"], os.environ, tmp_path)
    part.process.wait()
    with pytest.raises(PartFailed, match="worker-1 ended with status 1: no region"):
        part.check()
