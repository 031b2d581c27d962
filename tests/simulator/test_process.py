"""The simulator as a process, and as a fixture in somebody else's tests."""

from __future__ import annotations

import json
import signal
import smtplib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from http_client import connect
from sesq.simulator import Simulator
from sesq.simulator.__main__ import main

pytest_plugins = ["pytester"]


@contextmanager
def process(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "sesq.simulator", "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield started, started.stdout.readline().removeprefix("listening on ").strip()
        finally:
            started.kill()


def report(url: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{url}/_sim/report", timeout=10) as reply:
        return dict(json.load(reply))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def account(url: str, region: str = "us-east-1") -> dict[str, object]:
    with urllib.request.urlopen(f"{url}/_sim/account?region={region}", timeout=10) as reply:
        return dict(json.load(reply))


def test_flags_win_over_the_file_and_sigterm_ends_it_cleanly(tmp_path):
    file = tmp_path / "account.json"
    file.write_text(
        json.dumps({"production": True, "max_send_rate": 5, "max_24_hour_send": 70, "verified": ["x.org"]})
    )
    with process("--account", str(file), "--rate", "14", "--burst", "3") as (started, url):
        state = account(url, "eu-west-1")
        assert (
            state["production_access"],
            state["max_send_rate"],
            state["max_24_hour_send"],
            state["burst"],
        ) == (
            True,
            14,
            70,
            3,
        )
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=20) == 0
        assert started.stderr is not None
        assert started.stderr.read() == ""


def test_ctrl_c_ends_it_cleanly_in_the_middle_of_a_slow_reply():
    with process("--smtp-port", "0", "--smtp-tls-port", "0") as (started, url):
        plan = json.dumps({"slow": {"seconds": 30, "when": "after"}}).encode()
        fault = urllib.request.Request(f"{url}/_sim/faults", data=plan, method="PUT")
        urllib.request.urlopen(fault, timeout=10).close()
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as waiting:
            waiting.sendall(
                b"POST /v2/email/outbound-emails HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
            )
            wait_until(lambda: report(url)["refused"] == {"validation": 1})
            started.send_signal(signal.SIGINT)
            assert started.wait(timeout=20) == 0
            assert started.stderr is not None
            assert started.stderr.read() == ""


def test_ctrl_c_ends_it_cleanly_while_somebody_reads_its_queue():
    def ask(operation: str, **options: object) -> bytes:
        body = json.dumps(options).encode()
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.{operation}\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    with process() as (started, url), connect(int(url.rpartition(":")[2])) as reader:
        reader.sendall(ask("CreateQueue", QueueName="q"))
        while b"}" not in reader.recv(65_536):
            pass
        reader.sendall(ask("ReceiveMessage", QueueUrl="http://x/123456789012/q", WaitTimeSeconds=20))
        report(url)  # what it answers now, it has read after what came before
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=20) == 0
        assert started.stderr is not None
        assert started.stderr.read() == ""


def test_each_port_is_announced_in_a_line():
    with Simulator(smtp_port=0, smtp_tls_port=0) as ses:
        assert ses.listening == [
            f"listening on {ses.endpoint_url}",
            f"SMTP with STARTTLS on 127.0.0.1:{ses.smtp_port}",
            f"SMTP over TLS on 127.0.0.1:{ses.smtp_tls_port}",
        ]
    with process("--smtp-port", "0", "--smtp-tls-port", "0") as (started, url):
        assert url.startswith("http://127.0.0.1:")
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=20) == 0
        assert started.stdout is not None
        assert [line.partition(" on ")[0] for line in started.stdout] == [
            "SMTP with STARTTLS",
            "SMTP over TLS",
        ]


def test_a_mistyped_option_ends_it_with_2(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--port", "0", "--host", "no.such.host.invalid", "--ratee", "5"])
    assert "--ratee" in capsys.readouterr().err


def test_it_listens_on_ipv6_too():
    with Simulator(host="::1", smtp_port=0) as ses:
        assert ses.endpoint_url == f"http://[::1]:{ses.port}"
        assert report(ses.endpoint_url)["accepted"] == 0
        with smtplib.SMTP("::1", ses.smtp_port, timeout=20) as client:
            assert client.noop()[0] == 250


@pytest.mark.parametrize(
    "arguments",
    [
        lambda path: ["--rate", "0"],
        lambda path: ["--daily", "-7"],
        lambda path: ["--account", str(path / "missing.json")],
        lambda path: ["--account", str(_written(path, "[]"))],
        lambda path: ["--account", str(_written(path, "{"))],
        lambda path: ["--account", str(_written(path, '{"max_sendrate": 1}'))],
        lambda path: ["--host", "no.such.host.invalid"],
    ],
)
def test_wrong_use_is_told_and_exits_2(tmp_path, capsys, arguments: Callable[..., list[str]]):
    assert main(["--port", "0", *arguments(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("sesq.simulator: ")


def _written(path, text):
    file = path / "account.json"
    file.write_text(text)
    return file


def test_the_port_that_is_taken_is_named(capsys):
    with Simulator() as ses:
        for flag in ("--port", "--smtp-port", "--smtp-tls-port"):
            assert main(["--port", "0", flag, str(ses.port)]) == 2
            told = capsys.readouterr().err
            assert f"({flag}): cannot listen on 127.0.0.1:{ses.port}: " in told
            assert "in use" in told


def test_fixture_for_other_projects(pytester):
    pytester.makepyfile(
        """
        import json, urllib.request

        def test_two_lines(ses_simulator):
            ses_simulator.verify("shop@example.com")
            with urllib.request.urlopen(ses_simulator.endpoint_url + "/_sim/identities", timeout=10) as reply:
                assert json.load(reply) == [{"identity": "shop@example.com", "status": "SUCCESS"}]

        def test_is_fresh(ses_simulator):
            assert ses_simulator.messages() == []
            assert ses_simulator.account()["production_access"] is False
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_plugin_is_light():
    heavy = "('uvicorn', 'pydantic', 'starlette')"
    code = (
        f"import sys, sesq.simulator.pytest_plugin; print([name for name in {heavy} if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert said.stdout.strip() == "[]"


def test_record_is_readable_after_the_end_and_names_what_is_not_started():
    ses = Simulator()
    with pytest.raises(RuntimeError, match="not started"):
        ses.endpoint_url  # noqa: B018
    ses.verify("x.org")
    with ses:
        pass
    assert ses.report()["accepted"] == 0
