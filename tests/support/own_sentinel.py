"""A Redis master, its replica and a Sentinel on loopback, for stories in which the master dies."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from sesq.config.server_binary import in_wheels
from system import eventually

SERVICE = "mail"
SENTINEL = """
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 5000
"""


class OwnSentinel:
    """The three servers. `with own_sentinel(folder)` starts them, and waits until the replica follows its master."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("master", "replica", "sentinel"), _free_ports(3), strict=True))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.url = f"redis+sentinel://127.0.0.1:{self.ports['sentinel']}/{SERVICE}/0"

    def start(self) -> None:
        self._start("master", "--appendonly", "no")
        replica_of = ("--replicaof", "127.0.0.1", str(self.ports["master"]))
        self._start("replica", "--appendonly", "no", *replica_of)
        eventually(
            lambda: self.client("replica").info()["master_link_status"] == "up", "the replica is in step"
        )
        eventually(lambda: self._master_sees("online"), "the master counts on it")
        configuration = self.folder / "sentinel.conf"
        configuration.write_text(SENTINEL.format(service=SERVICE, master=self.ports["master"]))
        self._start("sentinel", "--sentinel", before=(str(configuration),))
        eventually(self._sentinel_knows_both, "the Sentinel knows both")

    def kill_master(self) -> None:
        """Kills the master, as when its host loses power."""
        self.processes["master"].kill()
        self.processes["master"].wait()

    def client(self, name: str) -> Redis:
        return Redis(port=self.ports[name], decode_responses=True)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _start(self, name: str, *options: str, before: tuple[str, ...] = ()) -> None:
        server = os.environ.get("SESQ_TEST_REDIS_SERVER") or str(next(in_wheels()))
        place = ("--port", str(self.ports[name]), "--bind", "127.0.0.1", "--dir", str(self.folder))
        command = [server, *before, *place, "--save", "", "--repl-diskless-sync-delay", "0", *options]
        if name == "sentinel":
            command = [server, *before, *place, *options]
        self.processes[name] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: self._answers(name), f"{name} answers")

    def _answers(self, name: str) -> bool:
        assert self.processes[name].poll() is None, f"{name} has ended"
        try:
            return bool(self.client(name).ping())
        except RedisError:
            return False

    def _master_sees(self, state: str) -> bool:
        replica = self.client("master").info("replication").get("slave0")
        return bool(replica) and replica["state"] == state

    def _sentinel_knows_both(self) -> bool:
        masters = self.client("sentinel").execute_command("SENTINEL", "REPLICAS", SERVICE)
        return len(masters) == 1


def _free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


@contextmanager
def own_sentinel(folder: Path) -> Iterator[OwnSentinel]:
    servers = OwnSentinel(folder)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
