"""`sesq doctor`: checks all that sending needs; with `--deep`, whether all keys in Redis agree."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from sesq.config.errors import InputError, MissingPart, QueueUnavailable
from sesq.config.settings import Settings
from sesq.console.checkup import (
    CURE,
    Check,
    Status,
    check_account,
    check_events,
    check_queue,
    check_redis,
    check_unknown_accounts,
    check_webhooks,
)
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, load_settings, note, open_redis
from sesq.console.output import print_json, show
from sesq.console.tables import wrapped
from sesq.queue.addresses import parse_address
from sesq.queue.audit import Finding, Repaired, audit, repair
from sesq.queue.audit.survey import Progress

EXAMPLES = """Examples

  sesq doctor
  sesq doctor --from shop@example.com
  sesq doctor --json | jq '.[] | select(.status == "fail")'
  sesq doctor --deep
  sesq doctor --deep --repair
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def doctor(
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Check whether this address may send.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every key of the account, and check that they agree.")
    ] = False,
    mends: Annotated[
        bool, typer.Option("--repair", help="With --deep: correct what can be derived from other keys.")
    ] = False,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Check all that sending needs, and name the cure of what is wrong.

    Sends nothing. Exit 1 when anything fails.
    """
    if mends and not deep:
        raise InputError("--repair: is for --deep; give both")
    if sender is not None:
        parse_address(sender, "--from")
    settings = load_settings()
    settings.account(account)
    if deep:
        _look_deep(settings, account, mends=mends, json=json)
        return
    checks = list(examine(settings, account, sender))
    if json:
        print_json([{"name": c.name, "status": c.status, "detail": c.detail, "cure": c.cure} for c in checks])
    else:
        show(wrapped(("check", "", "found", "cure"), [(c.name, c.status, c.detail, c.cure) for c in checks]))
    if any(check.status is Status.FAIL for check in checks):
        raise typer.Exit(1)


def _look_deep(settings: Settings, account: str, *, mends: bool, json: bool) -> None:
    """Prints what does not agree, and what was done about it."""
    redis = open_redis(settings)
    with _progress() as progress:
        if mends:
            told = repair(redis, account, progress=progress)
            if told.done:
                note(redis, account, f"repair: {len(told.done)} findings")
        else:
            told = Repaired([], audit(redis, account, progress=progress))
    if json:
        done = [{**_as_json(finding), "done": deed} for finding, deed in told.done]
        print_json({"found": [_as_json(finding) for finding in told.left], "mended": done})
    else:
        _print(told)
    if told.left:
        raise typer.Exit(1)


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "key": finding.key,
        "what": finding.what,
        "cure": finding.cure,
        "repairable": finding.repairable,
    }


def _print(told: Repaired) -> None:
    if told.done:
        rows = [(finding.kind, finding.key, finding.what, deed) for finding, deed in told.done]
        show(wrapped(("mended", "key", "what was wrong", "what was done"), rows))
    if told.left:
        show(wrapped(("kind", "how many", "example", "what is wrong", "cure"), _grouped(told.left)))
    elif not told.done:
        show("All agrees.")


def _grouped(findings: list[Finding]) -> list[tuple[object, ...]]:
    """Makes a row for each kind and cure, with the first finding as the example."""
    groups: dict[tuple[str, bool], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind.value, finding.repairable), []).append(finding)
    return [
        (kind, len(those), those[0].key, those[0].what, those[0].cure)
        for (kind, _), those in sorted(groups.items())
    ]


@contextmanager
def _progress() -> Iterator[Progress]:
    """Shows a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bars = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    with bars:
        task = bars.add_task("keys", total=None)
        yield lambda what, done, total: bars.update(
            task, description=what, completed=done, total=total or None
        )


def examine(settings: Settings, account: str, sender: str | None) -> Iterator[Check]:
    """Checks Redis first. If it does not answer, nothing else can be checked."""
    try:
        redis = open_redis(settings)
    except (MissingPart, QueueUnavailable) as error:
        yield Check("redis", Status.FAIL, str(error), "set SESQ_REDIS_URL, or install redis-server")
        return
    try:
        embedded_in = None if settings.redis_url else settings.data_dir / "redis"
        of_redis = list(check_redis(redis, embedded_in))
        yield from of_redis
        if of_redis[0].status is Status.OK:
            yield from check_account(redis, account, settings, sender)
            yield from check_queue(redis, account)
            yield from check_events(redis, account, settings)
            yield from check_webhooks(redis, account, settings.account(account).webhooks)
            yield from check_unknown_accounts(redis, settings.accounts)
    except QueueUnavailable as error:  # it answered the first check, but refuses or fails later
        yield Check("redis", Status.FAIL, str(error), CURE)
