"""All that changes in Redis when SES has described the account, and Redis is another than before."""

from __future__ import annotations

from typing import Any

from scene import Scene


def synced(scene: Scene, **told: Any) -> None:
    scene.see()
    scene.sync(**told)


def other_server(scene: Scene) -> None:
    """The Redis server began anew at the time of the next sync."""
    scene.redis.hset(scene.keys.snapshot, mapping={"server": "another", "synced_at": round(scene.now + 1)})


def test_a_server_began_anew_with_all_its_data(scene: Scene) -> None:
    scene.take(1)
    other_server(scene)
    synced(scene, on_restore="hold")
    scene.expect("""
        ~ gate at = now-2 -> now
        ~ gate ses_at = now-2 -> now
        ~ snapshot beyond_at = now-2 -> now
        ~ snapshot server = another -> <run>
        ! wake = policy
    """)


def test_a_backup_was_restored(scene: Scene) -> None:
    scene.take(1)
    other_server(scene)
    synced(scene, on_restore="hold", sent=7.0)
    scene.expect("""
        ~ batch:<b> reason = '' -> a backup of Redis was restored; some of it may have been sen… (87)
        ~ batch:<b> state = running -> paused
        ~ gate at = now-2 -> now
        ~ gate ses_at = now-2 -> now
        + holds restore = messages of before a restored backup, which may have been sent sin… (82)
        + restored at = now
        + restored before = now
        + restored unexplained = 7
        ~ snapshot beyond = 0 -> 7
        ~ snapshot beyond_at = now-2 -> now
        ~ snapshot others = 0 -> 7
        ~ snapshot sent = 0 -> 7
        ~ snapshot server = another -> <run>
        ! wake = policy
    """)


def test_a_batch_that_was_begun_since_goes_on(scene: Scene) -> None:
    begun = scene.take(1).id
    other_server(scene)
    scene.redis.hset(scene.keys.batch(begun), "created", scene.now + 1)
    scene.sync(on_restore="hold", sent=7.0)
    assert scene.redis.exists(scene.keys.restored)
    assert scene.redis.hget(scene.keys.batch(begun), "state") == b"running"


def test_a_backup_was_restored_and_what_was_queued_is_to_be_sent(scene: Scene) -> None:
    other_server(scene)
    synced(scene, on_restore="send", sent=7.0)
    scene.expect("""
        ~ gate at = now-2 -> now
        ~ gate ses_at = now-2 -> now
        ~ snapshot beyond = 0 -> 7
        ~ snapshot beyond_at = now-2 -> now
        ~ snapshot others = 0 -> 7
        ~ snapshot sent = 0 -> 7
        ~ snapshot server = another -> <run>
        ! wake = policy
    """)


def test_others_explain_what_ses_counts_after_a_restart(scene: Scene) -> None:
    scene.sync(sent=10.0)
    other_server(scene)
    synced(scene, on_restore="hold", sent=11.0)
    scene.expect("""
        ~ gate at = now-1 -> now
        ~ gate level = 50 -> 0
        ~ gate ses_at = now-1 -> now
        ~ gate ses_level = 100 -> 0
        ~ snapshot beyond = 10 -> 11
        ~ snapshot beyond_at = now-1 -> now
        ~ snapshot others = 10 -> 11
        ~ snapshot sent = 10 -> 11
        ~ snapshot server = another -> <run>
        ! wake = policy
    """)


def test_a_backup_is_over_a_day_old(scene: Scene) -> None:
    scene.redis.hset(scene.keys.snapshot, mapping={"server": "another"})
    scene.pass_time(10 * 86400)
    synced(scene, on_restore="hold")
    before = float(scene.redis.hget(scene.keys.restored, "before") or 0)
    assert scene.now - 86_400 < before <= scene.now
    scene.redis.hset(scene.keys.restored, "before", "when this server began")
    scene.expect("""
        ~ gate at = now-864002 -> now
        ~ gate minute = now-864023 -> now-23
        ~ gate ses_at = now-864002 -> now
        + holds restore = messages of before a restored backup, which may have been sent sin… (82)
        + restored at = now
        + restored before = when this server began
        + restored unexplained = -1
        ~ snapshot beyond_at = now-864002 -> now
        ~ snapshot server = another -> <run>
        ~ snapshot synced_at = now-864002 -> now
        ! wake = policy
    """)


def test_batches_of_a_backup_that_was_never_synced(scene: Scene) -> None:
    """They were begun over a day ago; one of them waits for its time."""
    batch = scene.take(1).id
    scene.redis.delete(scene.keys.snapshot)
    scene.redis.hset(scene.keys.batch(batch), mapping={"starts_at": scene.now + 200_000, "state": "paused"})
    scene.redis.zadd(scene.keys.starting, {batch: scene.now + 200_000})
    scene.pass_time(86_400)
    synced(scene, on_restore="hold")
    scene.expect("""
        ~ batch:<b> reason = '' -> a backup of Redis was restored; some of it may have been sen… (87)
        - batch:<b> starts_at = now+113599
        ~ gate at = now-86402 -> now
        ~ gate minute = now-86423 -> now-23
        ~ gate ses_at = now-86402 -> now
        + holds restore = messages of before a restored backup, which may have been sent sin… (82)
        + restored at = now
        + restored before = now-86400
        + restored unexplained = -1
        + snapshot beyond = 0
        + snapshot beyond_at = now
        + snapshot daily = 50000
        + snapshot enforcement = ''
        + snapshot listed = 0
        + snapshot others = 0
        + snapshot paused_because = ''
        + snapshot production = 1
        + snapshot rate = 100
        + snapshot readable = 1
        + snapshot sending = 1
        + snapshot sent = 0
        + snapshot server = <run>
        + snapshot synced_at = now
        - starting <b> = now+113599
        ! wake = policy
    """)
