"""rq-dashboard beside sesq: what it shows is true, and its buttons send nothing twice."""

from __future__ import annotations

import os
from typing import Any

import pytest

from agreement import assert_agreement
from sesq.queue.states import Lane, State
from system import System, eventually

QUEUE = f"sesq.default.{Lane.TRANSACTIONAL}"


@pytest.fixture
def dashboard(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the real application, on the test's Redis."""
    for name in [name for name in os.environ if name.startswith("RQ_DASHBOARD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RQ_DASHBOARD_REDIS_URL", redis_server.url)
    monkeypatch.setenv("RQ_DASHBOARD_JSON_SERIALIZER", "true")
    from rq_dashboard.app import create_app

    return create_app().test_client()


def jobs(dashboard: Any, registry: str) -> list[str]:
    answer = dashboard.get(f"/rq-dashboard/0/data/jobs/{QUEUE}/{registry}/50/asc/1.json").get_json()
    return [job["id"] for job in answer["jobs"]]


def test_it_shows_what_is_sent_held_and_refused_and_requeues_without_a_second_mail(
    system: Any, dashboard: Any
) -> None:
    s: System
    with system(max_send_rate=50, max_24_hour_send=1000, production=False) as s:
        # Given mail that was sent, one that is held, and one that SES refuses for its content
        s.ses.verify("example.org")
        sent = s.send(3)
        held = s.outbox.send(s.mail("bob@elsewhere.org"))
        s.start_workers(1)
        s.wait_for(State.SENT, 3)
        s.wait_for(State.HELD, 1)

        # Then the dashboard shows each where it is, with its result
        assert set(jobs(dashboard, "finished")) == set(sent)
        assert jobs(dashboard, "deferred") == [held]
        job = dashboard.get(f"/rq-dashboard/0/data/job/{sent[0]}.json").get_json()
        assert job["status"] == "finished"
        assert job["result"] == s.outbox.status(sent[0]).message_id
        workers = dashboard.get("/rq-dashboard/0/data/workers.json").get_json()["workers"]
        assert [QUEUE in worker["queues"] for worker in workers] == [True]
        assert "bob@elsewhere.org" not in dashboard.get(f"/rq-dashboard/0/data/job/{held}.json").get_data(
            as_text=True
        )

        # When somebody presses requeue on all of them
        for id in (*sent, held):
            dashboard.post(f"/rq-dashboard/job/{id}/requeue")
        eventually(lambda: not jobs(dashboard, "queued"), "the queue is worked off")

        # Then nothing is sent twice, and all is where it was
        eventually(lambda: s.count(State.HELD) == 1, "the held one is held again")
        assert (s.ses.report()["accepted"], s.ses.report()["duplicates"]) == (3, 0)
        assert_agreement(s.redis)
