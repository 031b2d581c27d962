"""Every page in Chromium, wide and narrow, light and dark: axe finds nothing that keeps somebody from using it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from redis import Redis

from browser import HEIGHT, WIDTHS, Browser, chromium
from busy_account import BusyAccount
from sesq.console import many
from sesq.console.web.filters import write_filter
from sesq.console.web.pages import ROUTERS
from sesq.console.web.search import Query
from sesq.producer.submission.users import hash_password
from sesq.queue.states import State

AXE = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
RUN = """
const [rules, done] = arguments, only = rules ? {runOnly: {type: 'rule', values: rules}} : {};
const isEmptyHeader = each => each.id === 'empty-table-header'; // axe is not sure of these
axe.run(document, {iframes: false, resultTypes: ['violations', 'incomplete'], ...only}).then(
  found => done([...found.violations, ...found.incomplete.filter(isEmptyHeader)].flatMap(each => each.nodes.map(
    node => `${each.id}: ${each.help}: ${node.target} ${node.html.slice(0, 120)}`))),
  error => done([String(error)]));
"""
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules whose answer depends on the theme."""
NO_PAGES = {
    "/": "leads to the overview",
    "/accounts/{account}/messages.{form}": "a file",
    "/accounts/{account}/messages/{id}/html": "a mail, in a frame of its page",
    "/accounts/{account}/messages/{id}/raw": "a file",
    "/accounts/{account}/batches/{id}/report.csv": "a file",
}
ALL_HELD = write_filter(Query(states=(State.HELD,)))
EXAMPLES: dict[str, list[str]] = {
    "messages": ["messages", "messages?state=held", "messages?q=nobody-at-all"],
    "messages/{id}": ["messages/<queued>", "messages/<held>", "messages/<sent>", "messages/none"],
    "acts/ask": [f"acts/ask?verb=release&which={ALL_HELD}", f"acts/ask?verb=cancel&which={ALL_HELD}"],
    "acts/{id}": ["acts/<interrupted>", "acts/<ended>"],
    "quota/pause": ["quota/pause?mail=all", "quota/pause?mail=bulk"],
    "identities/verify": ["identities/verify?name=bob@example.org"],
    "identities/{name}": ["identities/example.com"],
    "batches/{id}": ["batches/<batch-running>", "batches/<batch-paused>"],
}
"""Path of a page that needs more, or looks different -> examples of it."""
PRESSED = [
    ("quota", {"rate": "4/second"}, "Show what it does"),
    ("test", {"sender": "shop@example.com", "to": "nobody"}, "Send"),
    ("sandbox", {"website": "https://shop.example.com", "use_case": "Receipts."}, "Show the request"),
]
"""Pages that a form shows: the page of the form, what is typed, and the button."""


class Ses:
    """In place of SES's control calls."""

    def call(self, operation: str, **_parameters: Any) -> dict[str, Any]:
        if operation == "get_account":
            quota = {"MaxSendRate": 1.0, "Max24HourSend": 200.0, "SentLast24Hours": 5.0}
            return {"ProductionAccessEnabled": False, "SendQuota": quota}
        return {"IdentityType": "DOMAIN", "VerificationStatus": "PENDING"}


def account_of(redis: Redis) -> BusyAccount:
    """One in which everything has happened; also an act that was interrupted, and one that has ended."""
    account = BusyAccount(redis)
    for name, state in (("ended", State.REFUSED), ("interrupted", State.FAILED)):
        act = many.begin(redis, "default", many.ask(redis, "default", "retry", Query((state,))), "ada")
        account.ids[name] = act.id
        if name == "ended":
            many.run(redis, "default", act)
    account.pass_time(60)
    return account


def pages() -> Iterator[str]:
    """The address of each page of the app, and of its examples. A new page is here by itself."""
    routes = [route for router in ROUTERS for route in router.routes if "GET" in route.methods]
    for path in sorted({route.path for route in routes} - NO_PAGES.keys()):
        short = path.removeprefix("/accounts/{account}/")
        for example in EXAMPLES.get(short, [short]):
            assert "{" not in example.partition("?")[0], f"{path} needs an example"
            yield example


def findings(browser: Browser, name: str) -> list[str]:
    """What axe finds on the page that is open, in both widths and both themes."""
    browser.driver.execute_script(AXE)
    found = []
    for size, width in WIDTHS.items():
        for theme, rules in (("light", None), ("dark", OF_COLOURS)):
            browser.show_as(width, HEIGHT, theme)
            told = browser.driver.execute_async_script(RUN, rules)
            found += [f"{name}, {size}, {theme}: {each}" for each in told]
    browser.show_as(WIDTHS["wide"], HEIGHT, "light")
    return found


def test_no_page_keeps_anybody_out(console: Callable[..., Any], redis: Redis, tmp_path: Path) -> None:
    account = account_of(redis)
    settings = {"accounts": {"default": {"webhooks": {"app": {"url": "https://app.example.com/hook"}}}}}
    site = console(settings=settings, control=lambda _account: Ses()).site
    users = tmp_path / "users.toml"
    users.write_text(f"[ada]\npassword = {json.dumps(hash_password('x' * 12))}\n")
    found = []
    with chromium(site) as browser:
        for path in pages():
            browser.open(account.unnamed(path))
            found += findings(browser, path)
        for path, fields, button in PRESSED:
            browser.open(path)
            browser.fill(**fields)
            browser.press(button)
            found += findings(browser, f"{path}, {button}")
        browser.driver.get(console(users).site)
        assert "Password" in browser.text
        found += findings(browser, "login")
    assert found == []
