"""Finding mail on the page of messages and by the API: everywhere, in steps, with the way to a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from busy_account import BusyAccount
from sesq.console import find

Ids = Callable[[str], list[str]]


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


@pytest.fixture
def visit(account: BusyAccount, console: Callable[..., Any]) -> Any:
    return console()


@pytest.fixture
def shown(account: BusyAccount, visit: Any) -> Ids:
    """`shown("q=ada")`: the messages on that page, named."""

    def ask(query: str) -> list[str]:
        return _ids(account, visit.get(f"messages?{query}").text)

    return ask


def _ids(account: BusyAccount, text: str) -> list[str]:
    links = re.findall(r'<td class="cut wide"><a href="/accounts/default/messages/([^"]+)"', text)
    return [account.named(id).strip("<").replace(">", "") for id in links]


def test_a_page_finds_in_batches_too(shown: Ids) -> None:
    everywhere = {"batch-later-0-1", "batch-cancelled-0-1", "batch-paused-0-1", "batch-running-0-1"}
    assert set(shown("q=p1@example.org")) == everywhere
    assert shown("message_id=ses-r1") == ["batch-running-0-1"]
    assert shown("subject=p6+news") == ["batch-running-0-6"]
    assert set(shown("tag=campaign%3Dpaused")) == {f"batch-paused-0-{row}" for row in range(3)}
    assert shown("since=2023-11-14T22:23:00Z&until=2023-11-14T22:24:00Z") == ["complained", "bounced"]


def test_what_has_no_record_cannot_be_chosen(visit: Any) -> None:
    assert visit.get("messages?q=p1@example").text.count('name="ids"') == 0
    assert visit.get("messages?q=p3@example").text.count('name="ids"') == 1


def test_none_is_said_when_all_were_looked_at(
    visit: Any, account: BusyAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given pages that have time for one step alone
    monkeypatch.setattr(find, "PAGE_SECONDS", 0)
    monkeypatch.setattr(find, "CHUNKS_AT_ONCE", 1)
    # When somebody looks for what is not there
    path, texts = "messages?q=nobody@nowhere.example", []
    while path:
        texts.append(visit.get(path).text)
        going_on = re.search(r'data-goes-on rel="next" href="/accounts/default/([^"]+)"', texts[-1])
        path = going_on[1].replace("&amp;", "&") if going_on else ""
    # Then each page but the last says how far it is, and the last alone that there is none
    assert len(texts) == 5
    for text in texts[:-1]:
        assert ("None so far." in text, " of 35 messages" in text) == (True, True)
        assert "No message matches" not in text
    assert "Looked through 35 messages: all that there are." in texts[-1]
    # And what is there is found across the pages, each once
    monkeypatch.undo()
    assert "No message matches" in visit.get("messages?q=nobody@nowhere.example").text


def test_a_search_for_a_message_id_says_where_it_has_looked(
    visit: Any, account: BusyAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "PAGE_SECONDS", 0)
    # Given a MessageId of 22:30 which no message has
    wanted = f"0102{int((account.now - 1800) * 1000):012x}-0123abcd-5678-4abc-8def-0123456789ab-000000"
    path, texts = f"messages?message_id={wanted}", []
    while path:
        texts.append(re.sub(r"<[^>]+>|\s+", " ", visit.get(path).text).replace("  ", " "))
        going_on = re.search(
            r'data-goes-on rel="next" href="/accounts/default/([^"]+)"', visit.get(path).text
        )
        path = going_on[1].replace("&amp;", "&") if going_on else ""
    # Then the search looks near that time first, and then says that it looks everywhere
    missed = ["It was not found near that time, so the search looks everywhere" in text for text in texts]
    assert missed == [*sorted(missed[:-1]), False]
    assert (missed[0], missed[-2]) == (False, True)
    assert "No message matches" in texts[-1]
    assert "Looked through 35 messages: all that there are" in texts[-1]
    # And one that is found ends the search, which has not looked at all
    monkeypatch.undo()
    assert ": no other mail has this MessageId." in visit.get("messages?message_id=ses-bounced").text


def test_the_beginning_of_an_id_leads_to_its_page(visit: Any, account: BusyAccount) -> None:
    for path, kind in (("held", "messages"), ("batch-running", "batches")):
        id = account.ids[path]
        answer = visit.get(f"{kind}/{id[:15]}", allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/accounts/default/{kind}/{id}")
    assert visit.get("messages/01ZZZ").status_code == 404


def test_what_is_shown_as_a_file(visit: Any, account: BusyAccount) -> None:
    # Given what is on the page
    text = visit.get("messages?q=p1@example.org").text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)" download', text)]
    csv, jsonl = (visit.get(link) for link in links)
    # Then the files have the same
    lines = [json.loads(line) for line in jsonl.text.splitlines()]
    assert {each["id"] for each in lines} == {
        f"{account.ids[name]}-0-1"
        for name in ("batch-running", "batch-later", "batch-cancelled", "batch-paused")
    }
    assert {line.partition(",")[0] for line in csv.text.splitlines()} == {
        "id",
        *(each["id"] for each in lines),
    }
    assert csv.headers["content-disposition"] == 'attachment; filename="messages.csv"'
    assert jsonl.headers["content-type"] == "application/jsonl; charset=utf-8"
    assert visit.get("messages.xml").status_code == 422


def test_the_api_finds_the_same(visit: Any, account: BusyAccount) -> None:
    def ask(**query: str) -> list[str]:
        answer = visit.session.get(f"{visit.site}/api/v1/accounts/default/messages", params=query, timeout=20)
        assert answer.status_code == 200, answer.text
        return [account.named(each["id"]) for each in answer.json()["messages"]]

    assert ask(message_id="ses-r1") == ["<batch-running>-0-1"]
    assert ask(subject="news p5") == ["<batch-running>-0-5"]
    assert ask(since="2023-11-14T22:33:00Z", until="2023-11-14T22:33:30Z") == ["<bulk>"]
    assert set(ask(to="p0@example.org")) == {
        f"<{name}>-0-0" for name in ("batch-running", "batch-later", "batch-cancelled", "batch-paused")
    }
