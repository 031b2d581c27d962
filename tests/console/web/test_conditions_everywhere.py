"""Each condition that the gate knows, on each surface: the same words on all, and none where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq.suspension import suspend

from sesq.queue.conditions import Kind
from sesq.queue.policy import Policy
from sesq.queue.ramp import mind_ramp, start_ramp
from sesq.queue.reputation import BRAKE, Standing
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.queue.tenant_limits import TenantLimits
from stage import Stage

ALERTS = Path(__file__).parents[3] / "docs" / "monitoring" / "alerts.yml"
Condition = Callable[[Stage], None]


def _unsynced(stage: Stage) -> None:
    stage.queue()
    stage.redis.delete(stage.keys.snapshot)


def _throttled(stage: Stage) -> None:
    stage.queue()
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.QUEUED, throttled=True, front=True)])


def _still(stage: Stage) -> None:
    start_ramp(stage.redis, "default", 100, 400, 2 * 86_400, by="ada")
    mind_ramp(stage.redis, "default", Standing(1000, 90, 0))


def _outside_its_window(stage: Stage) -> None:
    stage.policy.configure({}, "Sat 03:00-04:00 UTC")


CONDITIONS: dict[Kind, tuple[Condition, str]] = {
    Kind.SUSPENDED: (
        lambda stage: suspend(stage.redis),
        "All workers are suspended (`rq suspend`). Nothing goes, of any account, until `rq resume`.",
    ),
    Kind.PAUSED: (
        lambda stage: stage.policy.pause("a look", by="ada@ox"),
        "The account is paused by ada@ox: a look. Nothing goes until `sesq quota resume`.",
    ),
    Kind.SES_PAUSED: (
        lambda stage: stage.sync(
            sending=0, paused_because="SES has paused sending for this account (SHUTDOWN)"
        ),
        "SES has paused sending for this account (SHUTDOWN). Workers ask again at each sync, and go on by themselves.",
    ),
    Kind.UNSYNCED: (
        _unsynced,
        "SES has not described this account yet. Nothing goes before that: start a worker, or `sesq quota sync`.",
    ),
    Kind.BULK_PAUSED: (
        lambda stage: stage.policy.pause("9.00% bounces", by=BRAKE, bulk_only=True),
        "Bulk mail is paused by the brake on bounces and complaints: 9.00% bounces. "
        "It waits until `sesq quota resume --bulk`.",
    ),
    Kind.BULK_WINDOW: (
        _outside_its_window,
        "Bulk mail is outside the send window Sat 03:00-04:00 UTC, which opens at 2023-11-18 03:00+00:00.",
    ),
    Kind.TENANT_PAUSED: (
        lambda stage: TenantLimits(stage.redis).pause("acme", "", by="ada@ox"),
        "Bulk mail of tenant acme is paused by ada@ox. It waits until `sesq quota resume --tenant acme`.",
    ),
    Kind.TENANT_STOPPED: (
        lambda stage: stage.redis.hset(
            stage.keys.blocks, "tenant:acme", json.dumps([1, "SES has disabled acme"])
        ),
        "SES has disabled acme. Its mail goes by itself once SES takes it again.",
    ),
    Kind.UNREADABLE: (
        lambda stage: stage.sync(readable=0),
        "These credentials may not read the account (ses:GetAccount): the limits of sesq.toml count.",
    ),
    Kind.RAMP: (
        lambda stage: start_ramp(stage.redis, "default", 100, 400, 2 * 86_400, by="ada"),
        "The ramp allows 100 recipients in 24 hours, on day 1 of 2; 200 from 15 Nov 22:13:22 (in 24 h), "
        "and 400 from 16 Nov 22:13:22 (in 2 d).",
    ),
    Kind.RAMP_STANDS_STILL: (
        _still,
        "The ramp allows 100 recipients in 24 hours and stands still since 22:13:22 (now): 9.00% bounces",
    ),
    Kind.THROTTLED: (_throttled, "SES throttled lately, so the pace is 90/second for a while."),
}
ALERTING = (
    Kind.SUSPENDED,
    Kind.PAUSED,
    Kind.SES_PAUSED,
    Kind.UNSYNCED,
    Kind.BULK_PAUSED,
    Kind.TENANT_PAUSED,
    Kind.TENANT_STOPPED,
    Kind.RAMP_STANDS_STILL,
)
"""Of these a person should know."""


def _spaced(text: str) -> str:
    return " ".join(text.replace("`", "").replace("“", "").replace("”", "").split())


class Surfaces:
    """All places that say how an account stands."""

    def __init__(self, run: Callable[..., Any], visit: Any) -> None:
        self.run, self.visit = run, visit
        visit.session.cookies.set("sesq_zone", "Etc%2FUTC")

    def pages(self) -> dict[str, str]:
        """Text for people, without the marks around commands."""
        told = {words: self.run(*words.split()).stdout for words in ("status", "quota show")}
        for page in ("overview", "quota"):
            told[page] = unescape(re.sub(r"<[^>]+>", " ", self.visit.get(page).text))
        return {name: _spaced(text) for name, text in told.items()}

    def json(self) -> dict[str, list[dict[str, Any]]]:
        """Conditions as scripts have them."""
        told = {
            words: json.loads(self.run(*words.split()).stdout)
            for words in ("status --json", "quota show --json")
        }
        for path in ("overview", "quota"):
            told[f"API {path}"] = self.visit.get(f"/api/v1/accounts/default/{path}").json()
        return {name: found["conditions"] for name, found in told.items()}

    def metric(self) -> dict[str, float]:
        """Kind -> how many."""
        families = text_string_to_metric_families(self.visit.get("/metrics").text)
        (found,) = [family for family in families if family.name == "sesq_condition"]
        return {sample.labels["kind"]: sample.value for sample in found.samples}

    def checks(self) -> list[tuple[str, str]]:
        """What `sesq doctor` found that is not well."""
        checks = json.loads(self.run("doctor", "--json").stdout)
        return [(each["detail"], each["cure"]) for each in checks if each["status"] != "ok"]


@pytest.fixture
def surfaces(
    run: Callable[..., Any], console: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Surfaces:
    monkeypatch.setenv("TZ", "UTC")
    return Surfaces(run, console())


@pytest.mark.parametrize("kind", list(Kind), ids=str)
def test_each_condition_is_told_on_each_surface(redis: Redis, surfaces: Surfaces, kind: Kind) -> None:
    stage = Stage(redis)
    bring_about, words = CONDITIONS[kind]
    # Given an account of which there is nothing to say
    assert [*surfaces.json().values()] == [[], [], [], []]
    assert set(surfaces.metric().values()) == {0}
    # When that has come about
    bring_about(stage)
    # Then every page says it
    for page, text in surfaces.pages().items():
        assert _spaced(words) in text, page
    # and every program is told the kind, and those words
    for surface, found in surfaces.json().items():
        (told,) = found
        assert (told["kind"], told["says"].startswith(words)) == (kind, True), surface
    assert surfaces.metric() == {each.value: float(each is kind) for each in Kind}
    # and of what a person should know there is an alert, with its cure
    found = [cure for detail, cure in surfaces.checks() if _spaced(words).rstrip(".") in _spaced(detail)]
    assert bool(found and found[0]) is (kind in ALERTING)


def test_who_has_paused_and_since_when_is_told(redis: Redis, surfaces: Surfaces) -> None:
    stage = Stage(redis)
    stage.policy.pause("a look", by="ada@ox")
    stage.policy.set({"rate": "5"}, by="bob@ox")
    (told,) = surfaces.json()["status --json"]
    assert (told["reason"], told["by"], told["since"]) == ("a look", "ada@ox", "2023-11-14T22:13:22.000Z")


def test_several_conditions_are_all_told_the_worst_first(redis: Redis, surfaces: Surfaces) -> None:
    stage = Stage(redis)
    stage.sync(sending=0, paused_because="SES has paused this account")
    stage.policy.pause("a look", by="ada")
    stage.policy.pause("complaints", by="ada", bulk_only=True)
    for found in surfaces.json().values():
        assert [told["kind"] for told in found] == ["paused", "ses_paused", "bulk_paused"]
    # and to resume ends one of them alone
    stage.policy.resume(by="ada")
    assert [told["kind"] for told in surfaces.json()["API quota"]] == ["ses_paused", "bulk_paused"]


@pytest.mark.parametrize("kind", ALERTING, ids=str)
def test_prometheus_has_an_alert_for_each_of_which_a_person_should_know(kind: Kind) -> None:
    asked = re.findall(r'sesq_condition\{kind=~?"([^"]+)"\}', ALERTS.read_text())
    assert kind.value in "|".join(asked).split("|")


@pytest.mark.parametrize("kind", [Kind.BULK_PAUSED, Kind.BULK_WINDOW], ids=str)
def test_no_screen_says_that_bulk_mail_goes_now_while_it_waits(
    redis: Redis, surfaces: Surfaces, kind: Kind
) -> None:
    stage = Stage(redis)
    stage.queue(lane="bulk")
    CONDITIONS[kind][0](stage)
    opens = "2023-11-18T03:00:00.000Z" if kind is Kind.BULK_WINDOW else None
    assert json.loads(surfaces.run("status", "--json").stdout)["lanes"]["bulk"]["next_at"] == opens
    (lane,) = re.findall(r"<tr><td>bulk</td>.*?</tr>", surfaces.visit.get("overview").text, re.DOTALL)
    assert "(now)" not in lane


def test_many_tenants_are_counted_and_the_first_are_named(redis: Redis, surfaces: Surfaces) -> None:
    Stage(redis)
    for number in range(25):
        TenantLimits(redis).pause(f"t{number:02}", "a look", by="ada")
    assert surfaces.metric()["tenant_paused"] == 25
    *named, last = surfaces.json()["status --json"]
    assert (len(named), last["says"].startswith("Bulk mail of 5 more tenants waits too.")) == (20, True)


PAUSES = [
    ({"mail": "bulk"}, {"bulk": True}, "bulk_paused", ""),
    ({"mail": "all"}, {}, "paused", ""),
    ({"tenant": "acme"}, {"tenant": "acme"}, "tenant_paused", "acme"),
]


@pytest.mark.parametrize(("form", "given", "kind", "tenant"), PAUSES, ids=[row[2] for row in PAUSES])
@pytest.mark.parametrize("by_program", [False, True], ids=["page", "API"])
def test_all_mail_bulk_mail_and_that_of_a_tenant_pause_and_go_on(
    redis: Redis, surfaces: Surfaces, form: Any, given: Any, kind: str, tenant: str, *, by_program: bool
) -> None:
    Stage(redis)
    visit = surfaces.visit

    def do(verb: str, **more: str) -> None:
        if by_program:
            url = f"{visit.site}/api/v1/accounts/default/{verb}"
            assert visit.session.post(url, json={**given, **more}, timeout=20).status_code == 200
        else:
            assert visit.post(f"quota/{verb}", {**form, **more}).status_code == 200

    do("pause", reason=" a look ")
    (told,) = surfaces.json()["API overview"]
    assert (told["kind"], told["tenant"] or "") == (kind, tenant)
    assert (told["reason"], told["by"]) == ("a look", "ops@here (console)")
    do("resume")
    assert surfaces.json()["API overview"] == []
    assert [entry["by"] for entry in Policy(redis).history()] == ["ops@here (console)"] * 2


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "All mail is paused until somebody resumes it. Nothing goes."),
        ({"mail": "bulk"}, "Bulk mail is paused until somebody resumes it. Transactional mail goes on."),
        (
            {"tenant": " Acme ", "mail": "bulk"},
            "Bulk mail of tenant Acme is paused until somebody resumes it. All other mail goes on.",
        ),
    ],
)
def test_the_page_names_the_mail_that_was_paused_and_that_goes_again(
    redis: Redis, surfaces: Surfaces, form: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    Stage(redis)
    caplog.set_level("INFO", "sesq.console")
    mail, _, _ = words.partition(" is paused")
    assert words in surfaces.visit.post("quota/pause", form).text
    assert f"{mail} goes again." in surfaces.visit.post("quota/resume", form).text
    of = f"{mail[0].lower()}{mail[1:]}"
    assert [line.rpartition(": ")[2] for line in caplog.messages] == [f"pause {of}", f"resume {of}"]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_empty_tenant_does_not_mean_all_mail(redis: Redis, surfaces: Surfaces, verb: str) -> None:
    url = f"{surfaces.visit.site}/api/v1/accounts/default/{verb}"
    assert surfaces.visit.session.post(url, json={"tenant": ""}, timeout=20).status_code == 422
    assert Policy(redis).history() == []


def test_bulk_mail_is_stopped_with_two_clicks_and_pausing_asks_first(
    redis: Redis, surfaces: Surfaces
) -> None:
    Stage(redis)
    visit = surfaces.visit
    assert "/accounts/default/quota/pause?mail=bulk" in visit.get("overview").text
    question = visit.get("quota/pause?mail=bulk&reason=complaints").text
    assert "Pause bulk mail?" in question
    assert 'value="complaints"' in question
    assert "Pause all mail?" in visit.get("quota/pause?mail=all").text
    assert Policy(redis).history() == []
