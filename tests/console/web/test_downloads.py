"""What the console serves beside its pages: a mail as it is, its HTML, a report, style and script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from batch_stage import BatchStage
from busy_account import BusyAccount
from sesq.console.web.guard import MAIL_POLICY, PAGE_POLICY
from sesq.console.web.pieces import in_pieces
from sesq.producer import Message

RAW = b"From: shop@example.com\r\nTo: ada@example.com\r\nSubject: Hi\r\n\r\nHello\r\n"
REPORT = [
    "id,email,state,message_id,at,reason",
    "<batch-running>-0-0,p0@example.org,sent,ses-r0,2023-11-14T22:32:00.000Z,",
    "<batch-running>-0-1,p1@example.org,sent,ses-r1,2023-11-14T22:32:00.000Z,",
    "<batch-running>-0-2,p2@example.org,held,,2023-11-14T22:32:00.000Z,recipient bob@example.org is not verified",
    "<batch-running>-0-3,p3@example.org,unknown,,2023-11-14T22:32:00.000Z,no answer came",
    "<batch-running>-0-4,p4@example.org,failed,,2023-11-14T22:32:00.000Z,all tries failed",
    "<batch-running>-0-5,p5@example.org,queued,,,",
    "<batch-running>-0-6,p6@example.org,queued,,,",
]
ALWAYS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""On every answer, unless it says otherwise."""


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


def test_a_report(account: BusyAccount, console: Callable[..., Any]) -> None:
    answer = console().get(account.unnamed("batches/<batch-running>/report.csv"))
    assert account.named(answer.text).splitlines() == REPORT
    expected = ALWAYS | {
        "content-type": "text/csv; charset=utf-8",
        "content-disposition": 'attachment; filename="report.csv"',
    }
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in expected} == expected


def test_a_long_file_goes_out_in_few_pieces(redis: Redis, console: Callable[..., Any]) -> None:
    # Given a batch of 3,000 recipients
    id = BatchStage(redis).take(3000).id
    visit = console()
    for path in (
        f"batches/{id}/report.csv",
        f"/api/v1/accounts/default/batches/{id}/recipients",
        "messages.jsonl?q=p",
    ):
        # When a file with a line for each is read as it comes
        answer = visit.get(path, stream=True)
        pieces = list(answer.raw.read_chunked())
        # Then a piece has many lines: each costs a change of threads, more than its lines
        assert b"".join(pieces).count(b"p2999@example.org") == 1
        assert len(pieces) < 300
        # And no line is lost or comes twice
        ids = [
            line.split(b'"')[3] if b"{" in line else line.split(b",")[0]
            for line in b"".join(pieces).splitlines()
        ]
        assert len(set(ids) - {b"id"}) == len(ids) - (b"id" in ids) == 3000


def test_a_line_does_not_wait_for_the_next_ones() -> None:
    # Given lines that come far apart, and then some at once
    moments = iter([0.0, 1.0, 1.0, 2.0, 2.0, 2.01, 2.02])
    told = list(in_pieces(["a", "b", "c", "d"], lambda: next(moments)))
    # Then each of the first goes out when it comes
    assert told == ["a", "b", "cd"]


def test_a_mail_as_it_is_and_its_html(account: BusyAccount, console: Callable[..., Any]) -> None:
    raw = account.outbox.send(Message.from_bytes(RAW))
    html = account.queue(html="<p>Hello</p>")
    visit = console()
    download, page = visit.get(f"messages/{raw}/raw"), visit.get(f"messages/{html}/html")
    assert (download.content, page.text) == (RAW, "<p>Hello</p>")
    for answer, headers in (
        (
            download,
            {
                "content-type": "application/octet-stream",
                "content-disposition": 'attachment; filename="message.eml"',
            },
        ),
        (page, {"content-type": "text/html; charset=utf-8"}),
    ):
        expected = ALWAYS | {"content-security-policy": MAIL_POLICY} | headers
        assert answer.status_code == 200
        assert {name: answer.headers[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("console.css", "text/css; charset=utf-8"),
        ("console.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_style_and_script_may_be_kept_for_a_while(console: Callable[..., Any], name: str, kind: str) -> None:
    answer = console().get(f"/assets/{name}")
    expected = ALWAYS | {"content-type": kind, "cache-control": "max-age=300"}
    assert answer.status_code == 200
    assert answer.content
    assert {header: answer.headers[header] for header in expected} == expected


def test_nothing_else_is_served(console: Callable[..., Any]) -> None:
    visit = console()
    for path in (
        "/assets/base.html",
        "/assets/../app.py",
        "/docs",
        "/openapi.json",
        "/api/v1/docs",
        "/redoc",
    ):
        answer = visit.get(path)
        assert (path, answer.status_code) == (path, 404)
        assert {header: answer.headers[header] for header in ALWAYS} == ALWAYS
