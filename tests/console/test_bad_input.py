"""Bad input gets a clear error at the door: it names the place and the cure, and nothing is queued or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import Result

from sesq.config.embedded import EmbeddedRedis
from sesq.queue.keys import ACCOUNTS
from sesq.queue.states import State

Run = Callable[..., Result]
FROM = ["send", "--from", "shop@example.com"]
BODY = ["--subject", "Hi", "--text", "Hello"]
SEND = [*FROM, "--to", "ada@example.org", *BODY]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["send", "--to", "ada@example.org", *BODY], ["--from", "verified"]),
        ([*FROM, *BODY], ["--to", "nobody"]),
        ([*FROM, *(word for n in range(51) for word in ("--to", f"a{n}@example.org")), *BODY], ["51", "50"]),
        ([*FROM, "--to", "ada", *BODY], ["--to", "'ada' has no domain", "name@domain"]),
        ([*FROM, "--to", "ada@", *BODY], ["--to", "has no domain", "name@domain"]),
        (
            [*FROM, "--to", "ada@example.org\nBcc: eve@example.org", *BODY],
            ["--to", "line break", "remove it"],
        ),
        ([*FROM, "--to", "ada@xn--\u00e9.org", *BODY], ["--to", "IDNA"]),
        (["send", "--from", "shop", "--to", "ada@example.org", *BODY], ["--from", "'shop' has no domain"]),
        ([*SEND, "--reply-to", "x"], ["--reply-to", "has no domain"]),
        ([*FROM, "--to", "ada@example.org"], ["--text", "no body"]),
        ([*FROM, "--to", "ada@example.org", "--text", "-", "--html", "-"], ["--text and --html", "@FILE"]),
        (["console", "--tls-cert", "no.pem", "--tls-key", "no.key"], ["--tls-cert: no.pem cannot be read"]),
        ([*SEND, "--header", "X-A"], ["--header", "'X-A'", "name:value"]),
        ([*SEND, "--header", "X-A: 1", "--header", "X-A: 2"], ["--header", "X-A is given twice"]),
        ([*SEND, "--header", "X-A: 1\r\nBcc: eve@example.org"], ["--header", "X-A"]),
        ([*SEND, "--header", "Bcc: eve@example.org"], ["--header", "Bcc"]),
        ([*SEND, "--tag", "campaign"], ["--tag", "'campaign'", "name=value"]),
        ([*SEND, "--attach", "nowhere.pdf"], ["--attach", "nowhere.pdf", "No such file"]),
        ([*SEND, "--html", "@nowhere.html"], ["--html", "nowhere.html", "No such file"]),
        ([*SEND, "--at", "tomorrow"], ["--at", "'tomorrow'", "+10m"]),
        ([*SEND, "--at", "+2h", "--expires", "+1h"], ["--expires", "not after send_at"]),
        ([*SEND, "--expires", "+soon"], ["--expires", "'soon'", "2h"]),
        ([*SEND, "--account", "No Such"], ["account", "'No Such'", "a-z"]),
        ([*SEND, "--account", "shop"], ["account 'shop' is not configured", "default"]),
        ([*SEND, "--key", ""], ["--key", "printable"]),
        ([*SEND, "mail.eml"], ["FILE", "--raw"]),
        ([*SEND, "--raw"], ["--subject", "raw mail"]),
        (["send", "--raw", "nowhere.eml"], ["--raw", "nowhere.eml", "No such file"]),
        (["send", "--raw", "--reply-to", "a@b.org"], ["--reply-to", "raw mail"]),
        (["quota", "set"], ["nothing to set", "rate, daily, burst"]),
        (["quota", "set", "--rate", "fast"], ["'fast'", "14/second"]),
        (["quota", "set", "--rate", "0"], ["rate"]),
        (["quota", "set", "--rate", "nan"], ["nan", "14/second"]),
        (["quota", "set", "--daily", "-5"], ["-5", "50000/day"]),
        (["quota", "set", "--burst", "0.5"], ["burst", "at least 1"]),
        (["quota", "set", "--margin", "0.9"], ["margin", "0 to 0.5"]),
        (["quota", "set", "--daily", "100", "--reserve", "101"], ["reserve", "101"]),
        (["quota", "set", "--rate", "1", "--for", "long"], ["--for", "'long'", "2h"]),
        (["quota", "reset", "speed"], ["'speed'", "rate, daily, burst"]),
        (["messages", "release"], ["ids", "--waiting-for"]),
        (["worker", "--lanes", "fast"], ["--lanes", "'fast'", "transactional, bulk"]),
        (["worker", "--lanes", "bulk,bulk"], ["--lanes", "at most once"]),
        (["worker", "--account", "shop"], ["account 'shop' is not configured"]),
        (["worker", "--name", "w", "--processes", "2"], ["--name", "one process"]),
        (["doctor", "--from", "shop"], ["--from", "has no domain"]),
        (["status", "--watch", "--json"], ["--watch", "--json"]),
        (["simulator", "--account", "nowhere.json"], ["nowhere.json", "No such file"]),
        (["simulator", "--rate", "-1"], ["--rate: Input should be greater than 0\n"]),
        (["submission", "--host", "0.0.0.0"], ["0.0.0.0", "users file", "certificate"]),
        (["submission", "--users", "nowhere.toml"], ["nowhere.toml", "No such file"]),
        (["submission", "--hash-password"], ["--hash-password", "no password"]),
    ],
)
def test_wrong_use_is_named_with_its_cure_and_changes_nothing(
    run: Run, redis: Redis, words: list[str], parts: list[str]
) -> None:
    result = run(*words, stdin=b"")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert all(line.startswith("sesq: ") for line in result.stderr.splitlines()), result.stderr
    for part in parts:
        assert part in result.stderr
    assert redis.smembers(ACCOUNTS) == set()
    assert list(redis.scan_iter("sesq:*:policy*")) == []


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ('redis = "redis://localhost"', ["sesq.toml", "redis: unknown key", "did you mean redis_url?"]),
        ('[accounts.default]\nrate = "fast"', ["sesq.toml", "accounts.default.rate = 'fast'", "14/second"]),
        ("[accounts.default]\nregoin = 'eu-west-1'", ["sesq.toml", "regoin", "did you mean region?"]),
        ("concurrency = 0", ["sesq.toml", "concurrency = 0"]),
        ("concurrency = [", ["sesq.toml", "TOML"]),
    ],
)
@pytest.mark.parametrize("command", ["status", "worker", "doctor"])
def test_a_wrong_settings_file_is_named_with_the_key(
    run: Run, here: Path, command: str, toml: str, parts: list[str]
) -> None:
    (here / "sesq.toml").write_text(toml)
    result = run(command)
    assert result.exit_code == 2
    for part in parts:
        assert part in result.stderr


def test_config_names_the_file(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESQ_CONFIG", "")  # so that what --config sets is undone after the test
    (here / "other.toml").write_text("colour = 1")
    assert run("--config", "other.toml", "status").stderr.startswith("sesq: other.toml: colour: unknown key")
    missing = run("--config", "nowhere.toml", "status")
    assert (missing.exit_code, missing.stderr) == (2, "sesq: nowhere.toml: there is no such settings file\n")


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["messages", "list"],
        ["quota", "show"],
        ["quota", "pause"],
        ["quota", "set", "--rate", "1/second"],
        ["quota", "reset"],
        ["suppression", "add", "ada@example.org", "--local"],
        ["suppression", "list"],
        ["batch", "list"],
        ["events", "standing"],
        ["events", "poison"],
        ["events", "notices"],
    ],
)
def test_an_account_that_nobody_knows_is_a_slip(run: Run, redis: Redis, words: list[str]) -> None:
    result = run(*words, "--account", "shpo")
    assert (result.exit_code, redis.keys("*shpo*")) == (2, [])
    assert "'shpo' is not configured; known accounts: default" in result.output


EVERY_KIND = [SEND, ["status"], ["messages", "list"], ["quota", "show"], ["worker"], ["doctor"]]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sesq.console.commands.worker.START_PAUSES_SECONDS", (0.0, 0.0))


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("words", EVERY_KIND)
def test_redis_away_is_said_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("SESQ_REDIS_URL", "redis://127.0.0.1:1/0")
    result = run(*words)
    assert result.exit_code == 1
    assert "Redis cannot be reached" in result.output
    assert "redis_url" in result.output
    assert "Traceback" not in result.output


@pytest.fixture
def of_few_rights(redis: Redis, redis_server: EmbeddedRedis) -> Iterator[str]:
    """The URL of somebody who may look at Redis, and not at what is in it."""
    redis.execute_command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+ping", "+info", "+client")
    yield redis_server.url.replace("unix://", "unix://bob@") + "?password=pw"
    redis.execute_command("ACL", "DELUSER", "bob")


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("words", EVERY_KIND)
@pytest.mark.parametrize("wrong", ["rights", "database"])
def test_a_redis_that_refuses_what_sesq_needs_is_said_in_one_line(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    redis_server: EmbeddedRedis,
    of_few_rights: str,
    words: list[str],
    wrong: str,
) -> None:
    url = of_few_rights if wrong == "rights" else redis_server.url + "?db=99"
    monkeypatch.setenv("SESQ_REDIS_URL", url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody's")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:9")
    result = run(*words)
    assert result.exit_code == 1
    assert wrong in " ".join(result.output.split())
    assert "Traceback" not in result.output


TITLE = "\x1b]0;mine\x07"
"""What renames a terminal's window, and stands for all that a terminal obeys."""


@pytest.mark.parametrize(
    "words",
    [
        ["messages", "show", TITLE],
        ["messages", "cancel", TITLE],
        ["batch", "show", TITLE],
        ["batch", "check", TITLE, "rows.csv", "--from", "shop@example.com"],
        ["send", "--raw", f"{TITLE}.eml"],
        ["suppression", "import", f"{TITLE}.csv"],
        ["quota", "show", "--account", TITLE],
    ],
)
def test_an_error_shows_nothing_that_a_terminal_would_obey(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code in (1, 2)
    assert all(character.isprintable() or character == "\n" for character in result.output), result.output


def test_what_a_message_came_to_shows_nothing_that_a_terminal_would_obey(
    run: Run, queue: Callable[..., str], becomes: Callable[..., None], ses_says: Callable[..., None]
) -> None:
    # Given a mail that SES refused, in words that a terminal would obey
    ses_says(production=1)
    becomes(queue(idempotency_key="k"), State.REFUSED, reason=f"Refused: {TITLE}")
    # When it is queued once more by the same key, and waited for
    mail = ["--from", "shop@example.com", "--to", "ada@example.com", "--subject", "Hi", "--text", "Hello"]
    result = run("send", *mail, "--key", "k", "--wait", "1")
    # Then the command says what it came to, in plain characters
    assert (result.exit_code, "Refused: " in result.stderr) == (1, True)
    assert all(character.isprintable() or character == "\n" for character in result.output), result.output
