"""The command line: the list of commands, the options that all have, and how errors are shown.

A command's module is imported when the command is called, so `sesq --help` and `sesq send` load no AWS library.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from sesq.config import __version__
from sesq.config.errors import InputError, QueueUnavailable, SesqError, in_words
from sesq.console.output import complain, option_of
from sesq.console.streams import ENDED_BY_PIPE, give_up_stdout

SUMMARIES = {
    "demo": "Watch the queue do its job against a simulated SES, in under a minute.",
    "send": "Put one message into the queue.",
    "worker": "Send what is queued, within the limits of SES.",
    "status": "Show the limits, the queue, and why mail waits.",
    "messages": "List and show messages; cancel, retry, release or resolve them.",
    "batch": "Send one template to many recipients.",
    "quota": "Show and change the limits while the queue runs; pause and resume.",
    "submission": "Take mail by SMTP and put it into the queue.",
    "events": "Read what SES reports of sent mail.",
    "webhooks": "Report to your endpoints what becomes of messages.",
    "identities": "Show and verify addresses and domains.",
    "sandbox": "Show what the account may do, and ask for production access.",
    "suppression": "Show and change who gets no mail.",
    "smtp-password": "Derive the password for SES's SMTP interface from this account's AWS secret access key.",
    "console": "Show the queue in a browser, and change its limits; with an API and metrics for programs.",
    "simulator": "Run SES on localhost, with its rules and its limits.",
    "doctor": "Check all that sending needs, and name the cure of what is wrong.",
}
"""Command -> its first sentence. The module of the same name in `commands` (_ for -) has an `app` with it."""

EXAMPLES = """Examples

  sesq send --from shop@example.com --to ada@example.org --subject Hello --text "It is on its way."
  sesq worker
  sesq status --watch
  sesq quota set --help
"""


class LazyGroup(TyperGroup):
    """Lists the commands by their summaries, and imports the one that is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=summary) for name, summary in SUMMARIES.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        meant = _meant(args[0]) if args and args[0] not in SUMMARIES else ""
        if meant:
            raise InputError(f"there is no command sesq {args[0]}; write {meant}")
        name, summary, rest = super().resolve_command(ctx, args)
        if name not in SUMMARIES:
            return name, summary, rest
        command = typer.main.get_command(import_module(_module_of(name)).app)
        command.name = name
        _unwrap(command)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. Errors of sesq become a line on stderr instead of a traceback."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            give_up_stdout(error)
            raise typer.Exit(ENDED_BY_PIPE) from error
        except SesqError as error:
            where = "; redis_url (SESQ_REDIS_URL) names it, sesq doctor checks it"
            said = in_words(str(error), option_of)
            complain(f"{said}{where if isinstance(error, QueueUnavailable) else ''}")
            raise typer.Exit(2 if isinstance(error, InputError) else 1) from error


def _meant(word: str) -> str:
    """Names the commands that end with `word`: `sesq batch pause` and `sesq quota pause`. Empty: there is none."""
    groups = ((name, typer.main.get_command(import_module(_module_of(name)).app)) for name in SUMMARIES)
    found = [f"`sesq {name} {word}`" for name, group in groups if word in getattr(group, "commands", {})]
    return " or ".join(found)


def _module_of(command: str) -> str:
    return f"sesq.console.commands.{command.replace('-', '_')}"


def _unwrap(command: Any) -> None:
    """Joins each paragraph of a help text into one line, so that the terminal breaks it, and not the source."""
    paragraphs = (command.help or "").split("\n\n")
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for inner in getattr(command, "commands", {}).values():
        _unwrap(inner)


app = typer.Typer(
    cls=LazyGroup,
    name="sesq",
    no_args_is_help=True,
    epilog=EXAMPLES,
    # a traceback with local variables would show the content of mail
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sesq {__version__}")
        raise typer.Exit


@app.callback()
def sesq(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The settings file, instead of the one that is found.")
    ] = None,
    version: Annotated[  # noqa: ARG001  (the callback answers)
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A sending queue for Amazon SES that knows SES's rules."""
    if config is not None:
        os.environ["SESQ_CONFIG"] = str(config)
