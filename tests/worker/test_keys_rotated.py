"""AWS keys that are changed under a running worker: whoever meets that first goes on with the new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.httpsession import URLLib3Session
from redis import Redis

from sesq.config.settings import AccountSettings, Settings, SmtpSettings
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.keys import Keys
from sesq.simulator import Simulator
from sesq.worker.account import AccountUnavailable
from sesq.worker.aws_clients import open_client, open_control
from sesq.worker.control.calls import ControlRefused, asked
from sesq.worker.opening import OpenAccount, open_account
from sesq.worker.smtp_password import smtp_password
from sesq.worker.transports import Outgoing, SendFailed
from sesq.worker.verdicts import Kind

QUEUE = "/000000000000/events"


class Rotating:
    """SES, which takes one key at a time, and the file in which this machine finds its own."""

    def __init__(self, redis: Redis, ses: Simulator, file: Path) -> None:
        self.redis, self.ses, self.file = redis, ses, file
        self.settings = Settings(accounts={"default": AccountSettings(endpoint_url=ses.endpoint_url)})

    def takes(self, key: str) -> None:
        """AWS has no other key any more."""
        self.ses.cloud.keys.clear()
        self.ses.cloud.keys[key] = f"secret of {key}"

    def has(self, key: str) -> None:
        """The file is written anew."""
        self.file.write_text(
            f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret of {key}\n"
        )

    def opened(self) -> OpenAccount:
        return open_account(self.redis, "default", self.settings, sleep=lambda _: None)

    def end_the_second(self, _seconds: float) -> None:
        """The next control call may be made."""
        self.redis.delete(Keys("default").control)

    # whoever has a client

    def sending(self) -> Callable[[], object]:
        transport = self.opened().sender.transport
        return lambda: transport.send(mail("x1"))

    def warming_up(self) -> Callable[[], object]:
        return self.opened().sender.transport.warm_up

    def account_sync(self) -> Callable[[], object]:
        ses = self.opened().sync.ses
        ses.calls.sleep = self.end_the_second  # type: ignore[union-attr]
        return ses.describe

    def control(self) -> Callable[[], object]:
        control = open_control(self.redis, "default", self.settings, self.end_the_second)
        return lambda: control.call("get_account")

    def events(self) -> Callable[[], object]:
        sqs, url = open_client("default", self.settings).service("sqs"), f"{self.ses.endpoint_url}{QUEUE}"
        return lambda: asked("receive_message", lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0))


def mail(id: str) -> Outgoing:
    envelope = Envelope(sender="shop@example.com", to=("bob@example.org",))
    return Outgoing(id, envelope, SimpleContent("Hi", text="Good day"))


CALLS: dict[str, Callable[[Rotating], Callable[[], object]]] = {
    "sending": Rotating.sending,
    "account sync": Rotating.account_sync,
    "control calls": Rotating.control,
    "events": Rotating.events,
}


@pytest.fixture
def aws(
    redis: Redis, aws_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rotating]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with Simulator(production=True, control_rate=None, max_send_rate=1000, keys={"AKONE": "-"}) as ses:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", ses.endpoint_url)
        ses.verify("example.com")
        ses.set_events(queue="events")
        aws = Rotating(redis, ses, tmp_path / "credentials")
        aws.takes("AKONE")
        aws.has("AKONE")
        yield aws


@pytest.mark.parametrize("who", CALLS)
def test_with_a_new_key_in_the_file_the_next_call_goes(aws: Rotating, who: str) -> None:
    call = CALLS[who](aws)
    call()
    # When the key is changed at AWS and in the file
    aws.takes("AKTWO")
    aws.has("AKTWO")
    # Then whoever calls next is not refused, and no mail is sent twice
    call()
    # And the next time as well
    aws.takes("AKTHREE")
    aws.has("AKTHREE")
    call()
    assert aws.ses.report()["duplicates"] == (2 if who == "sending" else 0)  # one id, sent three times


@pytest.mark.parametrize("who", CALLS)
def test_a_key_that_ends_before_the_file_has_another_is_told_until_then(aws: Rotating, who: str) -> None:
    call = CALLS[who](aws)
    call()
    aws.takes("AKTWO")
    with pytest.raises((SendFailed, AccountUnavailable, ControlRefused)):
        call()
    # When the file is being written
    aws.file.write_text("[default]\naws_access_key_id = AKTWO\n")
    with pytest.raises((SendFailed, AccountUnavailable, ControlRefused)):
        call()
    # And when it is there
    aws.has("AKTWO")
    call()


@pytest.mark.parametrize("who", CALLS)
def test_keys_that_come_after_the_start_are_found(aws: Rotating, who: str) -> None:
    aws.file.unlink()
    call = CALLS[who](aws)
    with pytest.raises(Exception, match="credentials"):
        call()
    aws.has("AKONE")
    call()


def test_all_threads_go_on_with_the_new_key(aws: Rotating) -> None:
    transport = aws.opened().sender.transport
    transport.warm_up()
    aws.takes("AKTWO")
    aws.has("AKTWO")
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(transport.send, [mail(f"x{number}") for number in range(40)]))
    assert len(set(ids)) == 40
    assert aws.ses.report()["duplicates"] == 0


OnRequest = Callable[[Callable[[], None]], None]


@pytest.fixture
def on_request(monkeypatch: pytest.MonkeyPatch) -> OnRequest:
    """`on_request(f)`: calls it before each request to AWS from then on."""
    send = URLLib3Session.send

    def register(call: Callable[[], None]) -> None:
        monkeypatch.setattr(URLLib3Session, "send", lambda *args: (call(), send(*args))[1])

    return register


def test_the_same_key_is_not_tried_a_second_time(aws: Rotating, on_request: OnRequest) -> None:
    transport = aws.opened().sender.transport
    transport.warm_up()
    aws.takes("AKTWO")
    refused: list[int] = []
    on_request(lambda: refused.append(1))
    with pytest.raises(SendFailed) as told:
        transport.send(mail("x1"))
    assert told.value.verdict.kind is Kind.CREDENTIALS
    assert len(refused) == 1


def test_where_each_reading_finds_another_key_a_call_is_made_twice_at_most(
    aws: Rotating, on_request: OnRequest
) -> None:
    """A role gives new keys each time that it is asked, also to an account whose mail AWS takes no more."""
    transport = aws.opened().sender.transport
    transport.warm_up()
    aws.takes("AKTWO")
    made: list[int] = []

    def change_the_file() -> None:
        made.append(1)
        assert len(made) < 10, "it goes on and on"
        aws.has(f"AKOTHER{len(made)}")

    on_request(change_the_file)
    with pytest.raises(SendFailed) as told:
        transport.send(mail("x1"))
    assert (told.value.verdict.kind, len(made)) == (Kind.CREDENTIALS, 2)


def test_a_password_file_of_smtp_is_read_anew_for_each_session(
    redis: Redis, tmp_path: Path, aws_environment: None
) -> None:
    file = tmp_path / "password"
    with Simulator(production=True, max_send_rate=1000, keys={"AKONE": "one"}, smtp_port=0) as ses:
        ses.verify("example.com")
        file.write_text(smtp_password("one", "us-east-1"))
        (tmp_path / "ca.pem").write_text(ses.certificate)
        smtp = SmtpSettings(
            host="localhost",
            port=ses.smtp_port,
            user="AKONE",
            password_file=file,
            ca_file=tmp_path / "ca.pem",
        )
        account = AccountSettings(transport="smtp", region="us-east-1", smtp=smtp)
        transport = open_account(redis, "default", Settings(accounts={"default": account})).sender.transport
        transport.send(mail("x1"))
        # When the secret is changed, and sessions end
        ses.cloud.keys["AKONE"] = "two"
        transport.close()
        with pytest.raises(SendFailed) as told:
            transport.send(mail("x2"))
        assert told.value.verdict.kind is Kind.CREDENTIALS
        # Then a new password in the file is enough, and a file that is away for a moment loses nothing
        file.unlink()
        with pytest.raises(SendFailed) as told:
            transport.send(mail("x2"))
        assert told.value.verdict.kind is Kind.CREDENTIALS
        file.write_text(smtp_password("two", "us-east-1"))
        transport.send(mail("x2"))
        transport.close()
