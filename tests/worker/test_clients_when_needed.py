"""AWS clients are made when a call first needs them: an account at rest has none, and is told what it lacks."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.session
import pytest
from redis import Redis

from sesq.config.errors import SesqError
from sesq.config.settings import AccountSettings, Settings
from sesq.producer import Message, Outbox
from sesq.simulator import Simulator
from sesq.worker.opening import open_account
from sesq.worker.start import run_worker
from sesq.worker.transports.client import AwsClient, ClientSettings
from sesq.worker.worker import SesqWorker

pytestmark = pytest.mark.usefixtures("aws_environment")

THREADS = 16
LOAD_AT_ONCE = f"""
import threading
from botocore.loaders import JSONFileLoader
from sesq.worker.transports.client import AwsClient, ClientSettings
read, load, ready = [], JSONFileLoader.load_file, threading.Barrier({THREADS})
def count(loader, path):
    found = load(loader, path)
    read.extend([path] if found else [])
    return found
JSONFileLoader.load_file = count
def need(number):
    ready.wait()
    AwsClient(ClientSettings("eu-west-1", role_arn=f"arn:aws:iam::123456789012:role/{{number}}")).api
threads = [threading.Thread(target=need, args=(number,)) for number in range({THREADS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
twice = {{path for path in read if read.count(path) > 1}}
assert read and not twice, twice
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The services of the clients that were made, by whatever asked for them."""
    found: list[str] = []
    make = botocore.session.Session.create_client

    def count(session: Any, service: str, *args: Any, **kwargs: Any) -> Any:
        found.append(service)
        return make(session, service, *args, **kwargs)

    monkeypatch.setattr(botocore.session.Session, "create_client", count)
    return found


@pytest.fixture
def ses() -> Iterator[Simulator]:
    with Simulator(control_rate=None) as simulator:
        for region in ("us-east-1", "eu-west-1"):
            simulator.verify("example.com", region=region)
        yield simulator


@pytest.fixture
def two_known(redis: Redis, ses: Simulator, make_settings: Callable[..., Settings]) -> Settings:
    """Two accounts with clients of their own, both of which were read from SES a moment ago."""
    account = {"region": "us-east-1", "endpoint_url": ses.endpoint_url}
    settings = make_settings(accounts={"default": account, "shop": account | {"region": "eu-west-1"}})
    for name in settings.accounts:
        open_account(redis, name, settings).sync.run()
    return settings


def test_a_worker_for_fifty_accounts_makes_no_client_at_its_start(
    redis: Redis, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given fifty accounts in roles of their own, of which one names a profile that is not there
    served: list[str] = []
    monkeypatch.setattr(
        SesqWorker, "work", lambda worker, burst: served.extend(d.name for d in worker.accounts)
    )
    role = "arn:aws:iam::123456789012:role/{}"
    accounts = {
        f"shop{n}": AccountSettings(region="eu-west-1", role_arn=role.format(n)) for n in range(50)
    } | {"wrong": AccountSettings(region="eu-west-1", profile="nope")}
    # When a worker starts, Then it serves the fifty, and has made no client for that
    run_worker(redis, Settings(accounts=accounts))
    assert len(served) == 50
    assert "wrong" not in served
    assert made == []


def test_without_credentials_a_worker_does_not_start_and_makes_no_client(
    redis: Redis, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for more in ({}, {"role_arn": "arn:aws:iam::123456789012:role/shop"}):
        account = AccountSettings(region="eu-west-1", **more)
        with pytest.raises(SesqError, match="account default: There are no usable AWS credentials"):
            run_worker(redis, Settings(accounts={"default": account}))
    assert made == []


def test_an_account_at_rest_has_no_client(redis: Redis, two_known: Settings, made: list[str]) -> None:
    # When a worker starts with nothing to send, and no account is due to be read, Then it makes no client
    made.clear()
    assert not run_worker(redis, two_known, burst=True)
    assert made == []
    # When there is a mail of one account, Then that one makes its client, and the mail leaves
    outbox = Outbox(redis)
    mail = {"sender": "shop@example.com", "to": ["ada@example.com"], "subject": "Hi", "text": "."}
    id = outbox.send(Message(**mail, account="shop"))
    assert run_worker(redis, two_known, burst=True)
    assert outbox.status(id, account="shop").state == "sent"
    assert made == ["sesv2"]


def test_many_threads_that_need_a_client_at_once_get_the_same_one(made: list[str]) -> None:
    client, ready = AwsClient(ClientSettings(region="eu-west-1")), threading.Barrier(THREADS)

    def need() -> Any:
        ready.wait(30)
        return client.api

    with ThreadPoolExecutor(THREADS) as threads:
        found = {id(each.result()) for each in [threads.submit(need) for _ in range(THREADS)]}
    assert len(found) == 1
    assert made == ["sesv2"]


def test_accounts_that_need_their_clients_at_once_read_what_aws_offers_once() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD_AT_ONCE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_worker_has_loaded_is_not_looked_at_by_the_collector_again(
    redis: Redis, two_known: Settings
) -> None:
    # Given a worker's process, When it has begun to work, Then what it had loaded is left out of garbage collection
    try:
        run_worker(redis, two_known, burst=True)
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
