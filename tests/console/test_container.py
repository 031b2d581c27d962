"""The container image and what starts it: commands that exist, settings that are known, processes that may little."""

from __future__ import annotations

import itertools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from rq import Worker
from rq.serializers import JSONSerializer
from typer.testing import Result

from sesq.config.embedded import EmbeddedRedis
from sesq.config.settings import Settings
from sesq.console.web.api import make_api

ROOT = Path(__file__).parents[2]
HEALTHY = ROOT / "deploy" / "healthy.sh"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
SIMULATED = yaml.safe_load((ROOT / "compose.simulator.yaml").read_text("utf-8"))["services"]
KUBERNETES = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8")))
OURS = COMPOSE | {"simulator": SIMULATED["simulator"]}
VALKEY = OURS.pop("valkey")
DEPLOYED = {each["metadata"]["name"]: each for each in KUBERNETES if each["kind"] == "Deployment"}
PODS = {name: each["spec"]["template"]["spec"] for name, each in DEPLOYED.items()}
COMMANDS = {name: service["command"] for name, service in OURS.items()} | {
    name: pod["containers"][0]["args"] for name, pod in PODS.items()
}
STOPS_WITHIN_SECONDS = 30
NO_SITE: Any = None
"""To describe the API, none is needed."""


@pytest.mark.parametrize("name", COMMANDS)
def test_each_process_is_a_command_with_options_that_it_has(name: str, run: Callable[..., Result]) -> None:
    words = COMMANDS[name]
    ran = run(*words, "--help")
    assert ran.exit_code == 0, ran.output
    assert f"Usage: sesq {' '.join(itertools.takewhile(str.isalpha, words))} " in ran.output


@pytest.mark.parametrize("name", [*OURS, "valkey"])
def test_a_service_may_write_nowhere_but_in_tmp_and_has_no_rights(name: str) -> None:
    service = (OURS | {"valkey": VALKEY})[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_valkey_keeps_what_it_accepted_and_evicts_nothing() -> None:
    command = VALKEY["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {"--appendonly": "yes", "--maxmemory-policy": "noeviction"}
    assert VALKEY["volumes"] == ["valkey:/data"]


def test_a_worker_has_time_to_end_what_is_on_its_way() -> None:
    assert int(COMPOSE["worker"]["stop_grace_period"].removesuffix("s")) > STOPS_WITHIN_SECONDS
    assert PODS["sesq-worker"]["terminationGracePeriodSeconds"] > STOPS_WITHIN_SECONDS


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_not_root_and_its_readiness_is_probed(name: str) -> None:
    (container,) = PODS[name]["containers"]
    assert PODS[name]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "readinessProbe" in container


def test_the_settings_of_the_examples_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_kind = {each["kind"]: each for each in KUBERNETES if each["metadata"]["name"] == "sesq"}
    secret = by_kind["Secret"]["stringData"]
    (tmp_path / "sesq.toml").write_text(by_kind["ConfigMap"]["data"]["sesq.toml"])
    given = {**COMPOSE["worker"]["environment"], **secret, "SESQ_CONFIG": str(tmp_path / "sesq.toml")}
    for name, value in given.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.redis_url, settings.log_format) == (secret["SESQ_REDIS_URL"], "json")


def test_the_image_installs_extras_that_exist_and_is_no_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    (extras,) = re.findall(r"'\.\[(.*)\]'", dockerfile)
    known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert set(extras.split(",")) - set(known) == set()
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)


def test_the_console_is_ready_at_an_address_that_its_api_has() -> None:
    (container,) = PODS["sesq-console"]["containers"]
    probe, (port,) = container["readinessProbe"]["httpGet"], container["ports"]
    described = make_api(NO_SITE, lambda _error: 500).openapi()["paths"]
    assert probe["port"] == port["name"]
    assert probe["path"].removeprefix("/api/v1") in described
    assert described[probe["path"].removeprefix("/api/v1")]["get"]["responses"].keys() == {"200", "503"}


@pytest.fixture
def healthy(redis: Redis, redis_server: EmbeddedRedis) -> Callable[..., int]:
    """`healthy(argument)`: the exit status of the health check, with the `sesq` of these tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "SESQ_REDIS_URL": redis_server.url}
    return lambda *words: (
        subprocess.run([HEALTHY, *words], env=env, capture_output=True, check=False).returncode
    )


def test_a_worker_is_healthy_while_redis_lists_it(redis: Redis, healthy: Callable[..., int]) -> None:
    # Given no worker of this host, Then it is not healthy
    assert healthy() != 0
    # Given one that is listed, Then it is; and none serves the other account
    Worker(
        ["sesq.default.transactional"], name="ox", connection=redis, serializer=JSONSerializer
    ).register_birth()
    assert healthy() == 0
    assert healthy("shop") != 0


def test_a_server_is_healthy_while_it_takes_connections(
    redis_server: EmbeddedRedis, healthy: Callable[..., int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert healthy(port) == 0
    assert healthy(port) != 0
