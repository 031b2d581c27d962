"""`--account`: what a command shows or changes is of that account, and the other accounts stay as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from batch import write_rows, write_template
from sesq.producer import Message, Outbox
from sesq.queue.batches import Batches
from sesq.queue.gate import SYNC, Gate
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.results import SendResult
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.simulator import Simulator
from sesq.worker.events import Feedback

Run = Callable[..., Result]
SHOP = Keys("shop")
HOLD = "recipient:bob@example.org"


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SES as the account shop sees it; the account default has none."""
    for name, value in {
        "ACCESS_KEY_ID": "AKIDEXAMPLE",
        "SECRET_ACCESS_KEY": "s",
        "DEFAULT_REGION": "",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    with Simulator(control_rate=None, max_send_rate=7, verified=["example.com"]) as simulator:
        monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__REGION", "us-east-1")
        monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__ENDPOINT_URL", simulator.endpoint_url)
        yield simulator


@pytest.fixture
def ids(redis: Redis, run: Run, here: Path, ses: Simulator) -> dict[str, str]:
    """What stands in the account shop: a message in each state that a command acts on, a batch, and more."""
    told = {"rate": 1000, "daily": -1, "sent": 0, "production": 1, "sending": 1, "readable": 1}
    SYNC.run(
        redis,
        "shop",
        json.dumps({**told, "paused_because": "", "enforcement": "", "identities": {"example.com": 1}}),
    )
    gate, found = Gate(redis, "shop"), {}
    for state in (State.FAILED, State.HELD, State.UNKNOWN, State.QUEUED):
        mail = {"sender": "shop@example.com", "to": "ada@example.com", "text": "Hello"}
        found[state.value] = Outbox(redis).send(Message(**mail, account="shop"))
        if state is not State.QUEUED:
            claim = gate.claim("w", state.value, want=1, lease=30)
            gate.start(claim.grants)
            hold = {"hold": HOLD, "held_because": "not verified"} if state is State.HELD else {}
            gate.settle([SendResult(claim.grants[0], state, **hold)])
    write_template(here / "news")
    write_rows(here / "rows.csv", ["ada@example.org", "bob@example.org"])
    batch = ("batch", "send", "news", "rows.csv", "--from", "shop@example.com", "--account", "shop")
    found["batch"] = run(*batch).stdout.strip()
    SuppressionList(redis, "shop").add([Suppressed("eve@example.org", "manual", 5.0, "ada")])
    Feedback(redis, "shop").handle("no event")
    Feedback(redis, "shop").handle("Successfully validated SNS topic for Amazon SES event publishing.")
    redis.hset(SHOP.reputation, mapping={f"{int(redis_now(redis) // 3600)}:sent": 41})
    Policy(redis, "shop").set({"burst": "3"}, by="ada")
    (here / "list.csv").write_text("email\nmallory@example.org\n")
    return found


def default_account(redis: Redis) -> dict[bytes, Any]:
    return {key: redis.dump(key) for key in redis.scan_iter("*:default:*")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("status --json", '"failed": 1'),
        ("messages list", "{failed}"),
        ("messages show {failed}", "{failed}"),
        ("messages cancel {queued}", "{queued} cancelled"),
        ("messages retry {failed}", "{failed} queued"),
        ("messages release {held}", "{held} queued"),
        ("messages release --waiting-for " + HOLD, "1 queued"),
        ("messages resolve {unknown} --as failed", "{unknown} failed"),
        ("quota show", "1000/second"),
        ("quota set --rate 2", "2/second"),
        ("quota reset burst", "500"),
        ("quota history", "burst"),
        ("quota pause enough", "account shop: paused"),
        ("quota pause --bulk enough", "account shop: bulk mail paused"),
        ("quota resume", "account shop: open"),
        ("quota sync", "account shop: sandbox"),
        ("batch list", "{batch}"),
        ("batch show {batch}", "{batch}"),
        ("batch pause {batch}", "{batch} paused"),
        ("batch resume {batch}", "{batch} running"),
        ("batch cancel {batch}", "{batch} cancelled"),
        ("batch report {batch}", "queued"),
        ("batch check news rows.csv --from shop@example.com --json", '"account_known": true'),
        ("suppression list", "eve@example.org"),
        ("suppression add mallory@example.org --local", "1 added"),
        ("suppression remove eve@example.org --local", "1 removed"),
        ("suppression import list.csv", "1 added"),
        ("suppression import --from-ses", "0 added"),
        ("suppression export", "eve@example.org"),
        ("events poison", "no event"),
        ("events notices", "greeting"),
        ("events standing --json", '"sent": 41'),
        ("identities list", "example.com"),
        ("identities verify ada@example.org --yes", "ada@example.org"),
        ("identities check list.csv --json", '"production": true'),
        ("sandbox status", "7/second"),
        ("send --from shop@example.com --to ada@example.org --text Hi --json", '"id"'),
    ],
)
def test_a_command_is_about_the_account_that_is_named(
    words: str, said: str, run: Run, redis: Redis, ids: dict[str, str]
) -> None:
    if words == "batch resume {batch}":
        Batches(redis, "shop").pause(ids["batch"], "ada")
    before, stood = default_account(redis), sum(Messages(redis, "shop").counts().values())
    ran = run(*words.format(**ids).split(), "--account", "shop")
    assert said.format(**ids) in ran.stdout, ran.output
    assert default_account(redis) == before
    assert sum(Messages(redis, "shop").counts().values()) == stood + words.startswith("send ")
    # what was changed is changed there
    there = Policy(redis, "shop")
    assert (there.paused, there.bulk_paused) == (
        "enough" if words == "quota pause enough" else "",
        "enough" if words == "quota pause --bulk enough" else "",
    )
    state = {"pause": "paused", "cancel": "cancelled"}.get(words.removeprefix("batch ").split()[0], "running")
    if words.startswith("batch "):
        assert Batches(redis, "shop").get(ids["batch"]).state == state
