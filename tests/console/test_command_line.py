"""The list of commands, their help, and that a command loads no more than it needs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

import pytest
import typer
from typer.testing import Result

from sesq.console.app import SUMMARIES
from sesq.console.progress import progress_of

Run = Callable[..., Result]
GROUPS = {
    "messages": ("list", "show", "cancel", "retry", "release", "resolve"),
    "quota": ("show", "set", "reset", "sync", "history", "pause", "resume", "request"),
    "batch": ("check", "send", "list", "show", "pause", "resume", "cancel", "report"),
    "events": ("setup", "endpoint", "poison", "notices", "standing"),
    "suppression": ("list", "add", "remove", "import", "export"),
    "webhooks": ("run", "list", "test", "dead", "retry", "enable", "disable", "forget"),
    "identities": ("list", "verify", "check"),
    "sandbox": ("status", "leave"),
}
COMMANDS = [(name,) for name in SUMMARIES] + [
    (group, name) for group, names in GROUPS.items() for name in names
]


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in SUMMARIES:
        assert f" {name} " in result.stdout


@pytest.mark.parametrize("name", [name for name in SUMMARIES if name not in GROUPS])
def test_the_summary_is_the_first_sentence_of_the_command(name: str) -> None:
    command = typer.main.get_command(import_module(f"sesq.console.commands.{name.replace('-', '_')}").app)
    assert (command.help or "").split("\n")[0] == SUMMARIES[name]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert f"Usage: sesq {' '.join(words)}" in result.stdout
    if words[0] not in GROUPS or len(words) == 2:
        assert "Examples" in result.stdout
        assert f"sesq {' '.join(words)}" in result.stdout.partition("Examples")[2]


def test_the_version_is_that_of_the_distribution(run: Run) -> None:
    assert run("--version").stdout == f"sesq {version('sesq')}\n"


@pytest.mark.parametrize(
    "words", [["nonsense"], ["send", "--nonsense"], ["messages", "show"], ["quota", "nonsense"]]
)
def test_wrong_use_ends_with_2(run: Run, words: list[str]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_refuses_an_option_that_it_does_not_know(run: Run, words: tuple[str, ...]) -> None:
    ran = run(*words, "--nonsense")
    assert (ran.exit_code, "No such option: --nonsense" in ran.output) == (2, True)


ANY_PORT = (0, 65_535)
DEFAULTS: dict[str, dict[str, object]] = {
    "demo": {"--workers": 2, "--seconds": 60},
    "send": {"--lane": "transactional"},
    "worker": {"--lanes": "transactional,bulk", "--processes": 1},
    "messages list": {"--limit": 50},
    "batch pause": {"reason": ""},
    "batch cancel": {"reason": ""},
    "batch report": {"--format": "csv"},
    "quota history": {"--limit": 50},
    "quota pause": {"reason": ""},
    "submission": {
        "--port": 2525,
        "--host": "127.0.0.1",
        "--hostname": "localhost",
        "--max-connections": 100,
        "--idle": 60,
    },
    "events endpoint": {"--port": 8443, "--host": "127.0.0.1"},
    "events setup": {"--name": "sesq-events"},
    "sandbox leave": {"--language": "EN"},
    "suppression list": {"--limit": 1000},
    "suppression add": {"--reason": "manual"},
    "webhooks dead": {"--limit": 100},
    "webhooks disable": {"--reason": ""},
    "console": {"--port": 9796, "--host": "127.0.0.1"},
    "simulator": {"--port": 9797, "--host": "127.0.0.1"},
}
RANGES: dict[str, dict[str, tuple[object, object]]] = {
    "demo": {"--workers": (1, 16), "--seconds": (10, None)},
    "send": {"--wait": (0, None)},
    "worker": {"--concurrency": (1, None), "--processes": (1, None)},
    "messages list": {"--limit": (1, 100_000)},
    "batch send": {"--stop-bounces": (0, 100), "--stop-complaints": (0, 100)},
    "quota history": {"--limit": (1, None)},
    "submission": {
        "--port": ANY_PORT,
        "--tls-port": ANY_PORT,
        "--max-connections": (1, None),
        "--max-per-host": (1, None),
        "--max-bytes": (1000, None),
        "--idle": (1, None),
    },
    "events endpoint": {"--port": ANY_PORT},
    "suppression list": {"--limit": (1, None)},
    "webhooks dead": {"--limit": (1, 10_000)},
    "console": {"--port": ANY_PORT},
    "simulator": {"--port": ANY_PORT, "--smtp-port": ANY_PORT, "--smtp-tls-port": ANY_PORT},
}
OF_ACCOUNTS = {"send", "status", "doctor", "events", "smtp-password"} | {
    f"{group} {name}" for group, names in GROUPS.items() for name in names
}
OF_ACCOUNTS -= {"webhooks run"}  # which serves them all, as `worker` does


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_not_given_and_how_much_may_be(words: tuple[str, ...]) -> None:
    command = typer.main.get_command(import_module(f"sesq.console.commands.{words[0].replace('-', '_')}").app)
    if words[1:]:
        command = command.commands[words[1]]  # type: ignore[attr-defined]
    options, name = {each.opts[-1]: each for each in command.params}, " ".join(words)
    # An option that is not named here has no default, and any number is in its range
    given = {option: each.default for option, each in options.items() if each.default not in (None, False)}
    account = {"--account": "default"} if name in OF_ACCOUNTS else {}
    assert given == DEFAULTS.get(name, {}) | account
    ranges = {
        option: (each.min, each.max)  # type: ignore[attr-defined]
        for option, each in options.items()
        if {getattr(each, "min", None), getattr(each, "max", None)} != {None}
    }
    assert ranges == RANGES.get(name, {})


def test_a_mistyped_command_gets_a_hint(run: Run) -> None:
    assert "Did you mean 'status'" in run("statsu").output


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("sesq.console.app", ["redis", "rq", "pydantic", "boto3", "rich.live"]),
        ("sesq.console.commands.send", ["boto3", "botocore", "rich.live", "sesq.worker", "sesq.simulator"]),
        ("sesq.console.commands.status", ["boto3", "botocore", "rich.live", "sesq.simulator"]),
        ("sesq.console.commands.worker", ["boto3", "botocore", "sesq.simulator"]),
        ("sesq.console.commands.quota", ["boto3", "botocore"]),
        ("sesq.console.commands.doctor", ["boto3", "botocore"]),
        ("sesq.console.commands.simulator", ["starlette", "uvicorn", "boto3", "redis"]),
    ],
)
def test_a_command_loads_no_more_than_it_needs(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_without_typer_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from sesq.console.cli import main; main()"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr == "sesq: the command line needs typer and rich: pip install 'sesq[console]'\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["pause"], "write `sesq batch pause` or `sesq quota pause`"),
        (["ramp", "--from", "200"], "write `sesq quota ramp`"),
        (["cancel", "01M8Q5VJZMEKD"], "write `sesq messages cancel` or `sesq batch cancel`"),
    ],
)
def test_a_command_without_its_group_is_told_with_it(run: Run, words: list[str], meant: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert meant in " ".join(result.stderr.split())


def test_the_total_of_a_bar_is_never_less_than_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a terminal, and work that was counted too low, since more has come
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_of("looking", 1) as progress:
        # When more is done than was counted
        progress(3)
    # Then the total has grown
    assert "3/3" in terminal.getvalue()
    assert "3/1" not in terminal.getvalue()
