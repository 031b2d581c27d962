"""The audit trail: each act, wherever it is done, with who did it, from what to what, and for how long."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from batch import write_rows, write_template
from sesq.console.trail import Deed, read_trail
from sesq.queue.events import listen
from sesq.queue.policy import Policy
from sesq.queue.states import State

Run = Callable[..., Result]
Queued = Callable[..., str]
Becomes = Callable[..., None]
HOLD = {"hold": "recipient:bob@x.org", "held_because": "recipient bob@x.org is not verified"}


@pytest.fixture(autouse=True)
def _open(ses_says: Callable[..., None]) -> None:
    ses_says(rate=100)


@pytest.fixture
def trail(redis: Redis) -> Callable[..., list[tuple[str, str]]]:
    """`trail()`: what each act was, and what it changed, the newest first; all of them by who runs the tests."""

    def read(**wanted: str) -> list[tuple[str, str]]:
        deeds = read_trail(redis, "default", 100, **wanted)
        assert all(deed.by.startswith(f"{getpass.getuser()}@") for deed in deeds)
        return [(deed.what, deed.change) for deed in deeds]

    return read


def test_what_is_done_to_messages(
    run: Run, trail: Callable[..., Any], queue: Queued, becomes: Becomes
) -> None:
    held, failed = queue(), queue()
    becomes(held, State.HELD, **HOLD)
    becomes(failed, State.FAILED)
    run("messages", "release", held)
    run("messages", "retry", failed)
    run("messages", "cancel", held, failed)
    assert run("messages", "cancel", held).exit_code == 1
    assert trail() == [
        (f"cancel 2: {held}, {failed}", "state queued → cancelled"),
        (f"retry: {failed}", "state failed → queued"),
        (f"release: {held}", "state held → queued"),
    ]


def test_all_that_wait_for_one_thing(
    run: Run, trail: Callable[..., Any], queue: Queued, becomes: Becomes
) -> None:
    becomes(queue(), State.HELD, **HOLD)
    run("messages", "release", "--waiting-for", HOLD["hold"])
    assert trail() == [
        ("release: 1 of 1 that are held, waiting for recipient:bob@x.org", "state held → queued")
    ]


def test_what_is_done_to_a_batch(run: Run, trail: Callable[..., Any], tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.csv", [f"p{i}@example.org" for i in range(3)])
    folder = str(write_template(tmp_path / "autumn"))
    id = run("batch", "send", folder, str(rows), "--from", "shop@example.com").stdout.strip()
    for verb in ("pause", "resume", "cancel"):
        assert run("batch", verb, id).exit_code == 0
    assert trail() == [
        (f"cancel batch {id}", "state running → cancelled"),
        (f"resume batch {id}", "state paused → running"),
        (f"pause batch {id}", "state running → paused"),
        (f"send batch {id}: 3 recipients", ""),
    ]


def test_who_gets_no_mail(run: Run, trail: Callable[..., Any], tmp_path: Path) -> None:
    run("suppression", "add", "ada@example.org", "--reason", "bounce", "--local")
    run("suppression", "remove", "ada@example.org", "eve@example.org", "--local")
    (tmp_path / "list.txt").write_text("a@example.org\nb@example.org\n")
    run("suppression", "import", str(tmp_path / "list.txt"))
    assert trail() == [
        ("suppress 2 addresses of list.txt", ""),
        ("no longer suppress eve@example.org", "suppressed no → no"),
        ("no longer suppress ada@example.org", "suppressed bounce → no"),
        ("suppress (bounce) ada@example.org", "suppressed no → bounce"),
    ]


def test_limits_and_pauses_with_how_long_they_hold(run: Run, trail: Callable[..., Any]) -> None:
    run("quota", "set", "--rate", "10/second")
    run("quota", "set", "--rate", "5/second", "--for", "2h")
    run("quota", "pause", "a look")
    run("quota", "resume")
    run("quota", "pause", "bounces", "--bulk")
    run("quota", "set", "--tenant", "acme", "--daily", "500")
    run("quota", "ramp", "--from", "20", "--to", "100", "--over", "3d")
    run("quota", "reset", "rate")
    told = trail()
    assert told[0] == ("reset rate", "rate 5/second → not set")
    assert told[1][0] == "ramp"
    assert "20/day to 100/day" in told[1][1]
    assert told[2:] == [
        ("set daily of tenant acme", "daily not set → 500/day"),
        ("pause bulk mail", "pause not set → bounces"),
        ("resume all mail", "pause a look → not set"),
        ("pause all mail", "pause not set → a look"),
        ("set rate", "rate 10/second → 5/second, for 2 h"),
        ("set rate", "rate not set → 10/second"),
    ]


def test_a_consumer_that_is_forgotten(run: Run, redis: Redis, trail: Callable[..., Any]) -> None:
    listen(redis, "default", "shop")
    run("events", "forget", "shop")
    assert trail() == [("forget consumer shop", "")]


def test_it_is_filtered_by_who_and_what(run: Run, redis: Redis, queue: Queued) -> None:
    run("messages", "cancel", queue())
    Policy(redis).set({"rate": "5"}, by="ada (console)")
    Policy(redis).pause("Bounces are high", by="eve (console)", bulk_only=True)

    def found(**wanted: str) -> list[str]:
        return [deed.by.partition(" ")[0] for deed in read_trail(redis, "default", 100, **wanted)]

    assert found(by="ADA") == ["ada"]
    assert found(text="bounces are") == ["eve"]
    assert found(by="(console)", text="rate") == ["ada"]
    assert len(read_trail(redis, "default", 2)) == 2


def test_the_newest_come_first_whatever_they_are(run: Run, redis: Redis, queue: Queued) -> None:
    ids = [queue(), queue()]
    run("messages", "cancel", ids[0])
    run("quota", "set", "--rate", "5")
    run("messages", "cancel", ids[1])
    deeds: list[Deed] = read_trail(redis, "default", 100)
    assert [deed.what.partition(":")[0] for deed in deeds] == ["cancel", "set rate", "cancel"]
    assert [deed.at for deed in deeds] == sorted((deed.at for deed in deeds), reverse=True)
    assert json.loads(json.dumps(deeds[1].as_json()))["after"] == {"rate": "5/second"}
