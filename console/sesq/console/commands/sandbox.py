"""`sesq sandbox`: shows what the account may do, and asks for production access."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sesq.config.errors import InputError
from sesq.config.parts import part
from sesq.config.quotas import format_daily, format_rate
from sesq.console.consent import Wait, Yes, agree, follow, seconds_of
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, load_settings, note, open_redis
from sesq.console.output import complain, print_json, show
from sesq.console.tables import wrapped
from sesq.queue.addresses import parse_address

if TYPE_CHECKING:
    from sesq.worker.control import Access, SesControl

POLL_SECONDS = 60.0
STATUS_EXAMPLES = """Examples

  sesq sandbox status
"""
LEAVE_EXAMPLES = """Examples

  sesq sandbox leave --mail-type transactional --website https://example.com --use-case @use-case.txt
  sesq sandbox leave … --yes --wait 1d --json
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show what the account may do, and ask for production access.\n\nA person at AWS answers within about a day.",
)


@app.command(epilog=STATUS_EXAMPLES)
def status(account: Account = DEFAULT_ACCOUNT, json: Json = False) -> None:
    """Show whether the account is in the sandbox, what it may do, and what is missing to leave."""
    control = _open(account)
    from sesq.worker.control import Access, IdentityBook

    access = Access.read(control)
    missing = _missing(access, any(each.verified for each in IdentityBook(control).list()))
    if json:
        print_json(access.as_json() | {"missing": missing})
        return
    show(wrapped(("", ""), _facts(access)))
    for sentence in missing:
        typer.echo(f"Missing: {sentence}")


def _facts(access: Access) -> list[tuple[str, str]]:
    facts = [
        ("mode", "production" if access.production else "sandbox: only verified recipients get mail"),
        ("sending", "on" if access.sending else f"off ({access.enforcement})"),
        ("rate", format_rate(access.rate)),
        ("quota", f"{format_daily(access.daily)}, {access.sent:,.10g} sent in 24 hours"),
        ("review", f"{access.review.status} {access.review.case_id}".strip() or "not asked for"),
    ]
    return facts + [(name, str(value)) for name, value in access.details.items()]


def _missing(access: Access, has_identity: bool) -> list[str]:
    missing = [] if has_identity else ["a verified sender: sesq identities verify DOMAIN"]
    if not access.production and access.review.status == "PENDING":
        missing.append("AWS's answer")
    elif not access.production:
        missing.append("production access: sesq sandbox leave")
    return missing


@app.command(epilog=LEAVE_EXAMPLES)
def leave(
    mail_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="marketing or transactional: what most of the mail is.")
    ] = None,
    website: Annotated[
        str | None, typer.Option(metavar="URL", help="Where a reviewer sees what you do.")
    ] = None,
    use_case: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|@FILE", help="To whom you write, why, and what you do with bounces and complaints."
        ),
    ] = None,
    language: Annotated[str, typer.Option(metavar="EN|JA", help="The language in which AWS answers.")] = "EN",
    contact: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Also gets AWS's answers; up to four.")
    ] = None,
    yes: Yes = False,
    wait: Wait = None,
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
) -> None:
    """Ask AWS for production access. The command shows the request, and sends it if you say yes.

    A person at AWS reads it. With --wait the command follows the review; exit 1 if denied, or not granted in time.
    """
    seconds, control = seconds_of(wait), _open(account)
    from sesq.worker.control import Access, Application
    from sesq.worker.control.access import apply

    before = Access.read(control)
    if before.production:
        raise InputError(f"account {account} is out of the sandbox already")
    application = Application(
        mail_type=_needed(mail_type, before, "MailType", "--mail-type").upper(),
        website=_needed(website, before, "WebsiteURL", "--website"),
        use_case=_needed(_text(use_case), before, "UseCaseDescription", "--use-case"),
        language=language.upper(),
        contacts=tuple(parse_address(each, "--contact").spec for each in contact or ()),
    )
    if not json:
        show(
            wrapped(("request to AWS", ""), [(name, value) for name, value in application.request().items()])
        )
    agree("Send this request?", yes)
    apply(control, application)
    note(open_redis(load_settings()), account, "ask for production access")
    complain("the request is sent")
    after = follow(lambda: Access.read(control), _answered, seconds, every=POLL_SECONDS)
    _tell(after, json)
    if after.review.status in ("DENIED", "FAILED") or (wait and not after.production):
        raise typer.Exit(1)


def _answered(access: Access) -> bool:
    return access.production or access.review.settled


def _tell(access: Access, json: bool) -> None:
    if json:
        print_json(access.as_json())
    elif access.production:
        typer.echo("granted: the account is out of the sandbox. `sesq quota request` asks for larger quotas.")
    else:
        review: dict[str, Any] = asdict(access.review)
        case = f", support case {review['case_id']}" if review["case_id"] else ""
        typer.echo(
            f"{(review['status'] or 'PENDING').lower()}{case}: `sesq sandbox status` shows how it goes on."
        )


def _needed(given: str | None, before: Access, detail: str, option: str) -> str:
    """Returns what was given; else what the account has told AWS before; else what the person at the terminal types.

    Raises InputError if there is none.
    """
    value = given or before.details.get(detail)
    if not value and sys.stdin.isatty():
        value = typer.prompt(f"{detail} ({option})", err=True)
    if not value:
        raise InputError(f"{option} is needed for the request: `sesq sandbox leave --help`")
    return str(value)


def _text(value: str | None) -> str | None:
    """Returns the text itself, or that of @FILE. Raises InputError."""
    if value is None or not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--use-case: {value[1:]} cannot be read: {error}") from error


def _open(account: str) -> SesControl:
    settings = load_settings()
    with part("worker"):
        from sesq.worker.aws_clients import open_control
    return open_control(open_redis(settings), account, settings)
