"""A batch is checked and created by one upload; what cannot be is refused, and nothing is queued then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.console.web.guard import MAX_BODY_BYTES, MAX_UPLOAD_BYTES
from sesq.console.web.people import hash_token
from sesq.queue.batches import Batches
from sesq.queue.keys import Keys

API = "/api/v1/accounts/default/batches"
ROWS = "email,name\nada@example.org,Ada\nbob@example.org,Bob\ncarl@example.org,Carl\nada@example.org,Twice\n"
NEWS: dict[str, Any] = {
    "from": "Shop <news@example.com>",
    "subject": "News for {{ name }}",
    "html": "<p>Dear {{ name }}</p>",
    "name": "autumn",
    "tag": ["campaign=autumn", "kind=all"],
    "reply_to": ["help@example.com"],
    "header": ["List-Unsubscribe: <mailto:leave@example.com?subject={{ name }}>"],
}
Post = Callable[..., tuple[int, Any]]


@pytest.fixture
def post(console: Callable[..., Any], redis: Redis) -> Post:
    """`post(API, rows, attachments=[...], window="…")`: the status, and what is answered."""
    visit = console()

    def ask(path: str, rows: bytes | str = ROWS, files: Any = (), **more: Any) -> tuple[int, Any]:
        form = {name: value for name, value in {**NEWS, **more}.items() if value is not None}
        sent = [("rows", ("rows.csv", rows)), *(("attachments", each) for each in files)]
        answer = visit.session.post(visit.site + path, data=form, files=sent, timeout=60)
        return answer.status_code, answer.json()

    return ask


def test_a_check_says_what_would_happen_and_queues_nothing(post: Post, redis: Redis) -> None:
    status, told = post(f"{API}/check", files=[("note.txt", b"bytes")])
    assert (status, told["rows"], told["ready"], told["duplicates"]) == (200, 4, 3, 1)
    assert (told["previews"][0]["subject"], told["previews"][0]["html"]) == (
        "News for Ada",
        "<p>Dear Ada</p>",
    )
    assert told["attachments"] == [{"name": "note.txt", "size": 5}]
    assert Batches(redis, "default").all() == []


def test_an_upload_is_a_batch_and_the_same_again_is_refused(post: Post, redis: Redis) -> None:
    window = "Mon-Fri 09:00-17:00 Europe/Berlin"
    status, told = post(API, files=[("note.txt", b"bytes")], window=window, stop_bounces="5", tenant="acme")
    assert (status, told["queued"], told["duplicates"]) == (201, 3, 1)
    batch = Batches(redis, "default").get(told["id"])
    assert (batch.name, batch.total, batch.window, batch.stop_bounces) == ("autumn", 3, window, 5)
    envelope = batch.envelope
    assert (envelope.sender, envelope.tenant) == ("Shop <news@example.com>", "acme")
    assert envelope.tags == {"campaign": "autumn", "kind": "all"}
    assert envelope.reply_to == ("help@example.com",)
    assert next(each.to for each in Batches(redis, "default").recipients(told["id"])) == "ada@example.org"
    # the deed has its line, and the same rows are the same batch
    newest = json.loads(redis.lindex(Keys("default").audit, 0))
    assert (told["id"] in json.dumps(newest), "ops@here (console)" in json.dumps(newest)) == (True, True)
    again = {"window": window, "stop_bounces": "5", "tenant": "acme", "files": [("note.txt", b"bytes")]}
    status, problem = post(API, **again)
    assert (status, problem["code"], told["id"] in problem["detail"]) == (409, "taken-before", True)
    assert post(API, again="true", **again)[0] == 201


def test_rows_are_json_lines_where_they_look_so(post: Post, redis: Redis) -> None:
    rows = '{"email": "ada@example.org", "name": "Ada"}\n{"email": "bob@example.org", "name": "Bob"}\n'
    assert post(API, rows)[1]["queued"] == 2


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ("", {}, "the file is empty"),
        ("name\nAda\n", {}, "email"),
        ("email,name\nnobody,x\n", {}, "none of 1 rows can be sent"),
        (b"email,name\n\xff\xfe\xff,x\n", {}, "rows: "),
        (ROWS, {"html": None}, "there is no body"),
        (ROWS, {"subject": "{{ nam"}, "subject"),
        (ROWS, {"html": "{{ surname }}"}, "surname"),
        (ROWS, {"from": "nobody"}, "from: "),
        (ROWS, {"tag": ["campaign"]}, "tag: "),
        (ROWS, {"header": ["Sender: x@example.org"]}, "not set by hand"),
        (ROWS, {"reply_to": ["nobody"]}, "reply_to: "),
        (ROWS, {"window": "always"}, "window: "),
        (ROWS, {"stop_bounces": "101"}, "the request is not valid"),
        (ROWS, {"encoding": "no-such"}, "encoding"),
        (ROWS, {"files": [("a/b", b"x")]}, "attachments: "),
        (ROWS, {"starts_at": "tomorrow"}, "the request is not valid"),
        (ROWS, {"speed": "1"}, "the request is not valid"),
    ],
)
@pytest.mark.parametrize("path", [API, f"{API}/check"])
def test_what_cannot_be_a_batch_says_why(
    post: Post, redis: Redis, path: str, rows: bytes | str, more: dict[str, Any], said: str
) -> None:
    status, problem = post(path, rows, **more)
    if path != API and said.startswith("none of"):
        assert (status, problem["ready"], problem["invalid"]) == (200, 0, 1)
    else:
        assert (status, said in problem["detail"]) == (422, True), problem
    assert Batches(redis, "default").all() == []


def test_an_upload_may_be_large_and_only_of_who_may_send(
    console: Callable[..., Any], redis: Redis, tmp_path: Path
) -> None:
    file = tmp_path / "users.toml"
    tables = (
        f'[{name}]\ntoken = "{hash_token(name)}"\nrole = "{role}"\n{more}'
        for name, role, more in (
            ("ops", "operate", ""),
            ("bob", "view", ""),
            ("shop", "send", 'senders = ["*"]\n'),
        )
    )
    file.write_text("".join(tables))
    visit = console(file)

    def upload(name: str, size: int) -> int:
        headers = {"Authorization": f"Bearer {name}", "Connection": "close"}
        files = [("rows", ROWS.encode()), ("attachments", ("note.bin", b"x" * size))]
        answer = visit.session.post(
            f"{visit.site}{API}/check", data=NEWS, files=files, headers=headers, timeout=60
        )
        return int(answer.status_code)

    assert upload("ops", 2 * MAX_BODY_BYTES) == 200
    assert upload("ops", MAX_UPLOAD_BYTES) == 413
    assert upload("shop", 1) == 403
    assert upload("bob", 1) == 403
    assert upload("bob", 20_000) == 413
    assert upload("nobody", 20_000) == 401
