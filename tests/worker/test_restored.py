"""A backup of Redis that is restored sends nobody's mail twice; a restart with all its data holds nothing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from batch_stage import BatchStage
from books import total
from own_redis import OwnRedis, own_redis
from sesq.queue.batch_upkeep import tend_batches
from sesq.queue.states import State
from sesq.worker.account import Description
from sesq.worker.sync import AccountSync

HOUR = 3600.0


class Ses:
    """What SES says of the account: it counts what it has taken from us in the last day, and from others."""

    def __init__(self) -> None:
        self.others = 0
        self.ours: list[float] = []

    def describe(self, asking: Any = lambda: None) -> Description:
        asking()
        return Description(100.0, 50_000.0, float(len(self.ours) + self.others), True, True, "HEALTHY")


class Scene:
    """A queue on a Redis that can be stopped, copied, and started on its copy."""

    def __init__(self, server: OwnRedis) -> None:
        self.server = server
        self.ses = Ses()
        self.redis = server.client()
        self.stage = BatchStage(self.redis)
        self.on_restore = "hold"

    def sync(self) -> None:
        account = cast("Any", self.ses)
        AccountSync(self.redis, "default", account, "eu-west-1", 60.0, self.on_restore).run()

    def send(self, most: int) -> None:
        before = len(self.stage.transport.tried)
        self.stage.work(most)
        self.stage.pass_time(1)
        self.ses.ours += [self.stage.now] * (len(self.stage.transport.tried) - before)

    def forget_the_account(self) -> None:
        """As before its first sync."""
        self.redis.flushall()
        self.stage.set_clock()

    def backup(self, folder: Path) -> None:
        shutil.copytree(self.server.folder, folder, ignore=shutil.ignore_patterns("*.sock"))

    def restart(self, backup: Path | None = None) -> None:
        """By a crash. With a backup: on that."""
        self.server.stop(signal.SIGKILL)
        if backup is not None:
            for path in self.server.folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            shutil.copytree(backup, self.server.folder, dirs_exist_ok=True)
        self.redis.connection_pool.disconnect()
        self.server.start()
        self.stage.set_clock()

    def sent(self) -> list[str]:
        return [outgoing.id for outgoing in self.stage.transport.tried]

    def states(self, ids: list[str]) -> list[State]:
        return [self.stage.state(id) for id in ids]


@pytest.fixture
def scene(short_path: Path) -> Iterator[Scene]:
    folder = short_path / "redis"
    folder.mkdir()
    with own_redis(folder) as server:
        yield Scene(server)


@pytest.mark.parametrize("sent_since", [1, 4])
@pytest.mark.parametrize("hours", [0.02, 5, 20])
def test_what_left_after_the_backup_is_not_sent_again(
    scene: Scene, short_path: Path, sent_since: int, hours: float
) -> None:
    # Given a queue that is backed up, and of which some is sent after that
    scene.sync()
    ids = [scene.stage.queue() for _ in range(6)]
    scene.send(1)
    scene.sync()
    scene.backup(short_path / "backup")
    scene.send(sent_since)
    scene.sync()
    scene.stage.pass_time(hours * HOUR)
    # When the backup is restored, and the account read
    scene.restart(short_path / "backup")
    fresh = scene.stage.queue()
    scene.sync()
    scene.stage.pass_time(1)
    # Then what was queued before waits for a person, what is new goes, and nobody gets a mail twice
    for _ in range(3):
        scene.send(10)
    assert scene.states([ids[0], fresh]) == [State.SENT] * 2
    assert scene.states(ids[1:]) == [State.HELD] * 5
    assert len(scene.sent()) == len(set(scene.sent()))
    assert "before a backup of Redis was restored" in scene.stage.status(ids[-1]).reason
    # and each goes when a person says so, or all do
    scene.stage.messages.release(ids[-1], "somebody")
    scene.send(10)
    assert scene.states(ids[1:]) == [State.HELD] * 4 + [State.SENT]
    scene.stage.messages.free("restore", "somebody has looked")
    scene.send(10)
    assert scene.states(ids) == [State.SENT] * 6


def test_a_backup_older_than_ses_counts_back_is_held_too(scene: Scene, short_path: Path) -> None:
    scene.sync()
    ids = [scene.stage.queue() for _ in range(3)]
    scene.sync()
    scene.backup(short_path / "backup")
    scene.send(1)
    scene.stage.pass_time(48 * HOUR)
    scene.ses.ours.clear()
    scene.restart(short_path / "backup")
    scene.sync()
    scene.send(10)
    assert scene.states(ids) == [State.HELD] * 3


def test_a_batch_of_before_is_paused(scene: Scene, short_path: Path) -> None:
    scene.sync()
    id = scene.stage.take(5).id
    scene.backup(short_path / "backup")
    scene.ses.ours += [0.0] * len(scene.stage.send(2))
    scene.stage.pass_time(HOUR)
    scene.restart(short_path / "backup")
    scene.sync()
    assert scene.stage.batches.get(id).state == "paused"
    assert "a backup of Redis was restored" in scene.stage.batches.get(id).reason
    assert scene.stage.send(5) == []


def test_a_batch_of_before_that_waited_for_its_time_stays_paused(scene: Scene, short_path: Path) -> None:
    # Given a batch that is to start in ten hours, in a backup that is restored
    starts_at = datetime.fromtimestamp(scene.stage.now + 10 * HOUR, timezone.utc)
    scene.sync()
    id = scene.stage.take(5, starts_at=starts_at).id
    scene.backup(short_path / "backup")
    scene.ses.ours += [0.0] * 5
    scene.stage.pass_time(HOUR)
    scene.restart(short_path / "backup")
    scene.sync()
    # When its time comes
    scene.stage.pass_time(10 * HOUR)
    tend_batches(scene.redis, "default")
    # Then it stays paused, and says why, until a person resumes it
    assert scene.stage.batches.get(id).state == "paused"
    assert scene.redis.zrange(scene.stage.keys.starting, 0, -1) == []
    assert "a backup of Redis was restored" in scene.stage.batches.get(id).reason
    assert scene.stage.send(5) == []
    scene.stage.batches.resume(id)
    assert len(scene.stage.send(5)) == 5


@pytest.mark.parametrize("others", [0, 500])
def test_a_restart_with_all_its_data_holds_nothing(scene: Scene, others: int) -> None:
    # Given a queue in the middle of its work, also beside other senders
    scene.ses.others = others
    scene.sync()
    ids = [scene.stage.queue() for _ in range(6)]
    scene.send(3)
    scene.sync()
    scene.send(1)
    # When Redis crashes and comes back with all that was written, some time later
    scene.stage.pass_time(2 * HOUR)
    scene.ses.others += others // 20
    scene.restart()
    scene.sync()
    scene.stage.pass_time(1)
    scene.send(10)
    # Then all goes on
    assert scene.states(ids) == [State.SENT] * 6
    assert len(scene.sent()) == 6


def test_where_the_settings_say_so_it_is_sent(scene: Scene, short_path: Path) -> None:
    scene.on_restore = "send"
    scene.sync()
    ids = [scene.stage.queue() for _ in range(2)]
    scene.backup(short_path / "backup")
    scene.send(1)
    scene.stage.pass_time(HOUR)
    scene.restart(short_path / "backup")
    scene.sync()
    scene.stage.pass_time(1)
    scene.send(10)
    assert scene.states(ids) == [State.SENT] * 2


# before an account's first sync


@pytest.mark.parametrize("hours", [0.02, 20, 48])
def test_a_backup_of_before_the_first_sync_is_held_too(scene: Scene, short_path: Path, hours: float) -> None:
    # Given a backup of mail that no worker has seen, and all of it sent after that
    scene.forget_the_account()
    ids = [scene.stage.queue() for _ in range(3)]
    batch = scene.stage.take(5).id
    scene.backup(short_path / "backup")
    scene.sync()
    scene.stage.pass_time(1)
    scene.send(10)
    scene.ses.ours += [0.0] * len(scene.stage.send(5))
    assert scene.states(ids) == [State.SENT] * 3
    scene.stage.pass_time(hours * HOUR)
    if hours > 24:
        scene.ses.ours.clear()
    # When the backup is restored, and the account read for the first time
    scene.restart(short_path / "backup")
    fresh = scene.stage.queue()
    scene.sync()
    scene.stage.pass_time(1)
    scene.send(10)
    # Then what was queued before waits for a person, and what is new goes
    assert scene.states([*ids, fresh]) == [State.HELD] * 3 + [State.SENT]
    assert scene.stage.batches.get(batch).state == "paused"
    assert len(scene.sent()) == len(set(scene.sent()))
    scene.stage.messages.free("restore", "somebody has looked")
    scene.send(10)
    assert scene.states(ids) == [State.SENT] * 3


@pytest.mark.parametrize("others", [0, 500])
def test_the_first_mail_of_an_account_is_not_held_because_others_send_on_it(
    scene: Scene, caplog: pytest.LogCaptureFixture, others: int
) -> None:
    # Given mail that was queued since Redis was started, and before the first worker
    scene.forget_the_account()
    scene.restart()
    scene.ses.others = others
    ids = [scene.stage.queue() for _ in range(3)]
    # When the first worker reads the account
    scene.sync()
    scene.stage.pass_time(1)
    scene.send(10)
    # Then all of it goes, and nothing is said of a backup
    assert scene.states(ids) == [State.SENT] * 3
    assert not scene.redis.exists(scene.stage.keys.restored)
    assert "backup" not in caplog.text


def test_mail_of_the_last_day_is_not_held_where_ses_counts_nothing(scene: Scene) -> None:
    scene.forget_the_account()
    ids = [scene.stage.queue() for _ in range(3)]
    scene.stage.pass_time(20 * HOUR)
    scene.restart()
    scene.sync()
    scene.stage.pass_time(1)
    scene.send(10)
    assert scene.states(ids) == [State.SENT] * 3


# books that are lost while Redis runs on


def _ledger_of_another_type(scene: Scene) -> None:
    scene.redis.delete(scene.stage.keys.ledger)
    scene.redis.hset(scene.stage.keys.ledger, "a", "b")


LOSSES: dict[str, Callable[[Scene], object]] = {
    "a ledger of another type": _ledger_of_another_type,
    "no ledger": lambda scene: scene.redis.delete(scene.stage.keys.ledger),
    "no gate": lambda scene: scene.redis.delete(scene.stage.keys.gate),
    "no ledger and no gate": lambda scene: scene.redis.delete(scene.stage.keys.gate, scene.stage.keys.ledger),
}


@pytest.mark.parametrize("loss", ["a ledger of another type", "no ledger"])
def test_a_ledger_that_is_lost_is_missed_by_the_next_grant(scene: Scene, loss: str) -> None:
    # Given six recipients in the ledger, and three more that wait, when it is lost
    scene.sync()
    sent = [scene.stage.queue() for _ in range(9)]
    scene.send(6)
    LOSSES[loss](scene)
    # When one is granted in the same minute, whose sum the gate still knows
    assert scene.stage.ask(1).ids == (sent[6],)
    # Then no other is, before SES has been asked
    assert scene.stage.ask(1).reason == "unsynced"
    assert scene.stage.ask(1).ids == ()


@pytest.mark.parametrize(
    ("loss", "seconds"),
    [*((loss, 60) for loss in LOSSES), ("no gate", 0), ("no ledger and no gate", 0)],
)
def test_lost_books_are_made_up_for_and_hold_nothing(scene: Scene, loss: str, seconds: int) -> None:
    # Given mail, sent and queued, and a batch, all of before Redis was started again with all its data
    scene.sync()
    sent = [scene.stage.queue() for _ in range(6)]
    scene.send(6)
    queued = [scene.stage.queue() for _ in range(2)]
    batch = scene.stage.take(3).id
    scene.stage.pass_time(2 * HOUR)
    scene.restart()
    scene.sync()
    scene.stage.pass_time(1)
    assert total(scene.redis) == 6
    # When its books are lost
    LOSSES[loss](scene)
    scene.stage.pass_time(seconds)
    # Then nothing is granted before SES has been asked
    claim = scene.stage.ask()
    assert (claim.reason, claim.ids) == ("unsynced", ())
    scene.stage.pass_time(seconds)
    assert scene.stage.ask().reason == "unsynced"
    scene.sync()
    # and from then on what was lost counts, also in the minutes after that
    assert _counted(scene) == 6
    scene.stage.pass_time(60)
    assert scene.stage.ask(1).ids == (queued[0],)
    assert _counted(scene) == 7
    # and nothing is held, since no backup was restored
    assert not scene.redis.exists(scene.stage.keys.restored)
    assert scene.states(sent) == [State.SENT] * 6
    assert scene.states(queued) == [State.SENDING, State.QUEUED]
    assert scene.stage.batches.get(batch).state == "running"


@pytest.mark.parametrize("loss", ["a ledger of another type", "no ledger"])
def test_a_ledger_that_was_lost_and_begun_anew_is_made_up_for(scene: Scene, loss: str) -> None:
    # Given mail that was sent, and a ledger that is lost
    scene.sync()
    for _ in range(9):
        scene.stage.queue()
    scene.send(6)
    LOSSES[loss](scene)
    # When one more went in the minute of the loss, if any may
    went = len(scene.stage.ask(1).ids)
    scene.stage.pass_time(60)
    # Then nothing is granted before SES has been asked, and from then on what was lost counts
    claim = scene.stage.ask(1)
    assert (claim.reason, claim.ids) == ("unsynced", ())
    scene.sync()
    assert _counted(scene) == 6 + went
    scene.stage.pass_time(60)
    assert len(scene.stage.ask(1).ids) == 1
    assert _counted(scene) == 7 + went


def _counted(scene: Scene) -> int:
    """Recipients that leave no room in the day: ours, and those that count as of others."""
    others = scene.redis.hget(scene.stage.keys.snapshot, "others")
    return total(scene.redis) + int(float(others or 0))
