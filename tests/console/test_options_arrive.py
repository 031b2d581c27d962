"""The commands that serve: what each option says reaches what serves, and what is not given is as its help says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from sesq.console.web.people import hash_token
from sesq.console.web.server import ServerAddress
from sesq.producer.submission.server import Options
from sesq.queue.states import Lane
from sesq.simulator.__main__ import main

Run = Callable[..., Result]
Reached = Callable[[str], list[Any]]
TOPIC = "arn:aws:sns:us-east-1:123456789012:sesq-events"


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Reached:
    """`reached("module.function")`: put a list in its place, which tells how it was called."""

    def put(name: str) -> list[Any]:
        calls: list[Any] = []
        monkeypatch.setattr(name, lambda *args, **options: calls.append((args, options)))
        return calls

    return put


SIMULATED: list[tuple[list[str], tuple[Any, ...], dict[str, Any]]] = [
    ([], ("127.0.0.1", 9797), {}),
    (["--host", "::1", "--port", "0"], ("::1", 0), {}),
    (["--smtp-port", "1", "--smtp-tls-port", "2"], ("127.0.0.1", 9797), {"smtp_port": 1, "smtp_tls_port": 2}),
    (["--production"], ("127.0.0.1", 9797), {"production": True}),
    (
        ["--rate", "3", "--daily", "-1", "--burst", "5"],
        ("127.0.0.1", 9797),
        {"max_send_rate": 3.0, "max_24_hour_send": -1.0, "burst": 5.0},
    ),
]


@pytest.mark.parametrize(("words", "where", "options"), SIMULATED)
def test_the_simulator(
    words: list[str], where: tuple[Any, ...], options: dict[str, Any], run: Run, reached: Reached
) -> None:
    calls = reached("sesq.simulator.serve")
    # Whether it is started by sesq, which has a port for SMTP, or by python -m
    assert run("simulator", *words).exit_code == 0
    assert main(words) == 0
    for (args, given), more in zip(calls, ({"smtp_port": 9798}, {}), strict=True):
        assert callable(given.pop("on_ready"))
        assert (args, given) == (where, more | options)


def test_what_the_simulator_is_told_counts_more_than_its_file(run: Run, reached: Reached, here: Path) -> None:
    (here / "account.json").write_text('{"production": true, "burst": 7, "max_send_rate": 2, "smtp_port": 0}')
    calls = reached("sesq.simulator.serve")
    words = ["--account", "account.json", "--rate", "4"]
    assert run("simulator", *words, "--sandbox").exit_code == 0
    assert main([*words, "--allowed-host", "ses.local", "--allowed-host", "ses"]) == 0
    told = {"production": True, "burst": 7, "max_send_rate": 4.0, "smtp_port": 0}
    more: list[dict[str, Any]] = [{"production": False}, {"allowed_hosts": ["ses.local", "ses"]}]
    for (_, given), each in zip(calls, more, strict=True):
        given.pop("on_ready")
        assert given == told | each


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (
            [],
            Options(host="127.0.0.1", port=2525, hostname="localhost", max_connections=100, idle_seconds=60),
        ),
        (
            ["--port", "1", "--tls-port", "2", "--host", "::1", "--hostname", "mx", "--max-connections", "3"],
            Options(host="::1", port=1, tls_port=2, hostname="mx", max_connections=3),
        ),
        (
            ["--tls-cert", "c", "--tls-key", "k", "--users", "u"],
            Options(certificate=Path("c"), key=Path("k"), users=Path("u")),
        ),
        (
            ["--max-per-host", "4", "--max-bytes", "5000", "--idle", "6"],
            Options(max_per_host=4, max_bytes=5000, idle_seconds=6),
        ),
    ],
)
def test_submission(
    words: list[str], options: Options, run: Run, reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESQ_KEEP_DAYS", "3")
    calls = reached("sesq.producer.submission.server.serve")
    assert run("submission", *words).exit_code == 0
    (((outbox, given, _), _),) = calls
    assert (given, outbox.keep_seconds) == (options, 3 * 86_400)


def test_the_console(run: Run, reached: Reached, here: Path) -> None:
    (here / "u.toml").write_text(f'[ada]\ntoken = "{hash_token("secret")}"\n')
    calls = reached("sesq.console.web.server.serve")
    assert run("console").exit_code == 0
    words = ["--port", "1", "--host", "::1", "--users", "u.toml", "--tls-cert", "c", "--tls-key", "k"]
    words += ["--allowed-host", "Mail.Example.com", "--allowed-host", "b", "--behind", "10.0.0.1"]
    assert run("console", *words, "--proxy-header", "X-User", "--intake").exit_code == 0
    assert [given["intake"] for _, given in calls] == [False, True]
    for ((site, address, _), _), where, seen in zip(
        calls,
        (
            ServerAddress("127.0.0.1", 9796),
            ServerAddress("::1", 1, Path("c"), Path("k"), ("10.0.0.1",)),
        ),
        (
            (frozenset(), False, None, frozenset(), True),
            (frozenset({"mail.example.com", "b"}), True, "X-User", frozenset({"10.0.0.1"}), False),
        ),
        strict=True,
    ):
        assert address == where
        assert (site.hosts, site.secure, site.proxy_header, site.proxies, bool(site.people.local)) == seen


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__REGION", "eu-west-1")
    monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__EVENTS__TOPIC_ARN", TOPIC)
    monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__EVENTS__QUEUE_URL", "https://sqs.example/q")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], {"accounts": [], "lanes": tuple(Lane), "burst": False, "name": None, "parent": None}),
        (
            ["--account", "shop", "--account", "default", "--lanes", "bulk", "--burst", "--name", "w-1"],
            {
                "accounts": ["shop", "default"],
                "lanes": (Lane.BULK,),
                "burst": True,
                "name": "w-1",
                "parent": None,
            },
        ),
    ],
)
def test_a_worker(words: list[str], told: dict[str, Any], run: Run, reached: Reached, shop: None) -> None:
    calls = reached("sesq.worker.start.run_worker")
    assert run("worker", *words, "--concurrency", "3").exit_code == 0
    (((_, settings), options),) = calls
    assert (settings.concurrency, options) == (3, told)


@pytest.mark.parametrize("burst", [[], ["--burst"]])
def test_several_workers_are_told_the_same(
    burst: list[str], run: Run, shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[list[str], int]] = []

    class Processes:
        def __init__(self, command: list[str], count: int) -> None:
            made.append((command, count))

        def run(self) -> int:
            return len(burst)  # with --burst one has failed

    monkeypatch.setattr("sesq.worker.start.Processes", Processes)
    words = ["--account", "shop", "--lanes", "bulk,transactional", "--concurrency", "3", *burst]
    assert run("worker", "--processes", "2", *words).exit_code == len(burst)
    assert made == [(["worker", *words, "--stop-with-stdin"], 2)]


@pytest.mark.parametrize("given", [False, True])
def test_events(
    given: bool, run: Run, redis: Redis, shop: None, reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given settings that say what becomes of content and of bulk mail
    if given:
        monkeypatch.setenv("SESQ_KEEP_CONTENT", "true")
        monkeypatch.setenv("SESQ_ACCOUNTS__SHOP__EVENTS__ON_REPUTATION", "warn")
    made: list[Any] = []
    runs = reached("sesq.worker.http_server.HttpServer.run")

    class Reader:
        def __init__(self, sqs: Any, url: str, feedback: Any) -> None:
            made.append((sqs.meta.region_name, url, feedback))
            self.counts: dict[str, int] = {}

        def run(self, *, until_empty: bool) -> None:
            made.append(until_empty)

    class Endpoint:
        app = None

        def __init__(self, _redis: Any, guard: Any, feedback: Any) -> None:
            made.append((guard.topic_arn, feedback))

    monkeypatch.setattr("sesq.worker.events.queue.QueueReader", Reader)
    monkeypatch.setattr("sesq.worker.events.endpoint.Endpoint", Endpoint)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    # When the queue is read, and the endpoint is served
    assert run("events", "--account", "shop", *["--burst"][: int(given)]).exit_code == 0
    ran = run("events", "endpoint", "--account", "shop", "--port", "0", "--host", "::1")
    assert (ran.exit_code, "listening on http://[::1]:" in ran.stdout, len(runs)) == (0, True, 1)
    runs[0][0][0].listener.close()
    # Then both are told so, of that account
    (region, url, first), until_empty, (topic, second) = made
    assert (region, url, topic, until_empty) == ("eu-west-1", "https://sqs.example/q", TOPIC, given)
    for feedback in (first, second):
        assert (feedback.account, feedback.keep_content, feedback.pauses_bulk) == ("shop", given, not given)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {"seconds": 60.0, "worker_count": 2, "as_json": False}),
        (
            ["--workers", "3", "--seconds", "20", "--json"],
            {"seconds": 20.0, "worker_count": 3, "as_json": True},
        ),
    ],
)
def test_the_demo(words: list[str], options: dict[str, Any], run: Run, reached: Reached) -> None:
    calls = reached("sesq.console.demo.run")
    run("demo", *words)
    assert calls == [((), options)]
