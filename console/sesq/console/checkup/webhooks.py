"""Checks whether the webhooks of an account get its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from redis import Redis

from sesq.config.webhook_settings import WebhookSettings
from sesq.console.checkup.check import Check, fail, ok, warn
from sesq.console.webhook_view import DELIVERING, DISABLED, FAILING, UNKNOWN, WebhookView, read_webhooks

CHECK = "webhooks"
RUN = "sesq webhooks run delivers; keep it running"


def check_webhooks(redis: Redis, account: str, configured: Mapping[str, WebhookSettings]) -> Iterator[Check]:
    """Reads Redis alone. Nothing if there is no webhook."""
    views = read_webhooks(redis, account, configured)
    option = f" --account {account}" if account != "default" else ""
    for view in views:
        if view.state != DELIVERING:
            yield _judge(view, option)
        if view.health.dead:
            what = f"{view.name}: {view.health.dead:,} events were tried for a day and given up"
            yield warn(CHECK, what, f"sesq webhooks dead {view.name}{option}, then sesq webhooks retry")
    if views and all(view.state == DELIVERING for view in views):
        yield ok(CHECK, f"{', '.join(view.name for view in views)}: delivering")


def _judge(view: WebhookView, option: str) -> Check:
    if view.state == DISABLED:
        what = f"webhook {view.name} is disabled: {view.why}"
        return fail(CHECK, what, f"cure the endpoint, then sesq webhooks enable {view.name}{option}")
    if view.state == FAILING:
        cure = f"see the endpoint's log; sesq webhooks test {view.name}{option}"
        return warn(
            CHECK, f"webhook {view.name} fails: {view.why}; {view.health.waiting:,} events wait", cure
        )
    if view.state == UNKNOWN:
        what = f"webhook {view.name} is not in sesq.toml here, and events are kept for it"
        return warn(CHECK, what, f"name it in sesq.toml, or sesq webhooks forget {view.name}{option}")
    return warn(CHECK, f"webhook {view.name}: no process delivers", RUN)
