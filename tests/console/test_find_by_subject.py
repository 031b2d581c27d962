"""A search by subject finds what the mails had, and renders few subjects for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from jinja2 import Template as Jinja2Template
from redis import Redis

from batch import template
from batch_stage import BatchStage
from sesq.console.find import Finder
from sesq.console.subjects import Subjects
from sesq.console.web.search import Query
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.record import record_of_recipient

SUBJECTS = (
    "News for {{ name }}",
    "{{name}}{{   city }} - NEWS",
    "Hi {{ name }}, write to {{ email }}",
    "{{ name|upper }}: {{ city }}",
    "{% if city == 'Bern' %}Grüezi{% else %}Hello{% endif %} {{ name }}",
    "{{ name }}{# city #} news",
    "{{ 'name' }} {{ name }} }}",
    "{{ name }} {{ none }}",
    "{{- name }} and {{ true }}",
    "{{ name or city }}, {{ number }}",
    "  {{ city }}  ",
)
ROWS: tuple[dict[str, Any], ...] = (
    {"email": "ada@example.org", "name": "Ada", "city": "Bern", "number": "7"},
    {"email": "bob@example.org", "name": "", "city": "NEWS for Köln", "number": "none"},
    {"email": "eve@example.org", "name": "{{ city }}", "city": "x y", "number": "true"},
    {"email": "long@example.org", "name": "news" * 300, "city": "Rom", "number": ""},
    {"email": "Dan <dan@example.org>", "name": 12, "city": None, "number": 1.5},
    {"email": "list@example.org", "name": ["a", "b"], "city": True, "number": {"k": "v"}},
    {"email": "unsafe@example.org", "name": "a\u2028b", "city": "Paris", "number": "0"},
)
WORDS = (
    *("news", "ada", "bern", "for ada", "none", "name", "city", "{{", "12", "a b", "true", "email"),
    *("example.org", "grüezi", "hello", "newsnews", "köln news", "1.5", "k", "paris", "x y", "and", "7"),
)


def queue(redis: Redis, subject: str, rows: Iterable[dict[str, Any]]) -> str:
    return take(redis, batch_request(template(subject=subject), "shop@example.com", "k"), numbered(rows)).id


def finds(redis: Redis, words: str) -> list[str]:
    return [record.id for record in Finder(redis, "default", Query(subject=words)).all(10_000)]


@pytest.mark.parametrize("is_there", [True, False], ids=["", "template gone"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_found_is_what_is_shown(redis: Redis, subject: str, *, is_there: bool) -> None:
    # Given a batch with values of every kind
    stage = BatchStage(redis)
    id = queue(redis, subject, ROWS)
    if not is_there:
        redis.delete(stage.keys.template(id))
    batch, subjects = stage.batches.get(id), Subjects(redis, "default")
    shown = {
        each.id: subjects.of(record_of_recipient(each, batch)).envelope.subject.lower()
        for each in stage.batches.recipients(id)
    }
    # When words are looked for
    found = {words: finds(redis, words) for words in WORDS}
    # Then just those are found whose subject, as it is shown, has them
    assert shown
    assert found == {
        words: [id for id, subject in shown.items() if all(word in subject for word in words.split())]
        for words in WORDS
    }


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The texts that jinja2 renders."""
    texts: list[object] = []
    render = Jinja2Template.render

    def noted(self: Jinja2Template, *given: Any, **named: Any) -> str:
        texts.append(given)
        return render(self, *given, **named)

    monkeypatch.setattr(Jinja2Template, "render", noted)
    return texts


def test_only_what_matches_is_rendered(redis: Redis, rendered: list[object]) -> None:
    # Given a batch of thousands
    stage = BatchStage(redis)
    id = stage.take(5000).id
    rendered.clear()
    redis.config_resetstat()
    # When one of them is looked for by words of its subject
    assert finds(redis, "news p4321") == [f"{id}-8-321"]
    # Then its subject alone is rendered, and of chunks without a match only the rows are read
    assert len(rendered) == 1
    assert redis.info("commandstats")["cmdstat_smismember"]["calls"] == 1


def test_records_of_other_subjects_are_not_read_whole(redis: Redis) -> None:
    # Given messages with a record
    stage = BatchStage(redis)
    ids = [stage.queue(subject=f"Receipt {number}") for number in range(300)]
    redis.config_resetstat()
    # When one is looked for
    assert finds(redis, "217 receipt") == [ids[217]]
    # Then its record alone is read whole
    assert redis.info("commandstats")["cmdstat_hgetall"]["calls"] == 1
