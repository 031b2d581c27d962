"""All that the command line and the API tell programs of the busy account; both tell the same facts."""

from __future__ import annotations

from typing import Any

from sesq.queue.states import State

Json = dict[str, Any]
IN_2030 = "2030-01-01T09:00:00.000Z"
BOB = "recipient bob@example.org is not verified"


def at(time: str) -> str:
    """Returns the time, such as `22:15`, on the day of the busy account."""
    return f"2023-11-14T{time}:00.000Z"


def message(name: str, time: str, *steps: tuple[str, str], **facts: Any) -> Json:
    """Makes a message that was queued at that time, and came into these states in the same minute."""
    history = [
        {"at": at(time), "state": state, "reason": reason} for state, reason in (("queued", ""), *steps)
    ]
    told = {
        "id": f"<{name}>",
        "account": "default",
        "state": history[-1]["state"],
        "reason": history[-1]["reason"],
        "lane": "transactional",
        "from": "Shop <shop@example.com>",
        "to": ["ada@example.org"],
        "cc": [],
        "bcc": [],
        "subject": f"This is {name}",
        "tags": {},
        "tenant": None,
        "feedback_to": None,
        "contact_list": None,
        "topic": None,
        "track": None,
        "attempts": 0,
        "created": at(time),
        "since": at(time),
        "send_at": None,
        "expires_at": None,
        "message_id": None,
        "hold": None,
        "delayed_because": "",
        "history": history,
    }
    assert facts.keys() <= told.keys()
    return told | facts


def _sent(name: str, time: str, *steps: tuple[str, str]) -> Json:
    taken = (SENDING, ("sent", f"ses-{name}"), *steps)
    return message(name, time, *taken, attempts=1, message_id=f"ses-{name}", tags={"campaign": "autumn"})


SENDING = ("sending", "w")
OUT_OF_TIME = "its time ran out before it could go"
MESSAGES = [
    message("bulk", "22:33", lane="bulk"),
    # rows of the batch to which more happened than that they were sent
    *(
        message(
            "",
            "22:31",
            id=f"<batch-running>-0-{row}",
            lane="bulk",
            subject=f"News for P{row}",
            to=[f"p{row}@example.org"],
            tags={"campaign": "all"},
            **{"from": "shop@example.com", "since": at("22:32"), **facts},
            history=[
                {"at": at("22:31"), "state": "queued", "reason": "in batch <batch-running>"},
                {"at": at("22:32"), "state": "sending", "reason": "w"},
                {"at": at("22:32"), "state": facts["state"], "reason": facts["reason"]},
            ],
        )
        for row, facts in (
            (4, {"state": "failed", "reason": "all tries failed", "attempts": 8}),
            (3, {"state": "unknown", "reason": "no answer came", "attempts": 1}),
            (2, {"state": "held", "reason": BOB, "hold": "recipient:bob@example.org"}),
        )
    ),
    message(
        "queued",
        "22:30",
        to=["Ada <ada@example.org>", "b@example.com"],
        cc=["c@example.com"],
        bcc=["d@example.com"],
        tags={"campaign": "autumn", "kind": "all"},
        tenant="acme",
        feedback_to="bounces@example.com",
        track=False,
        expires_at="2023-11-15T22:29:00.000Z",
    ),
    message(
        "scheduled",
        "22:29",
        state="scheduled",
        contact_list="news",
        topic="weekly",
        send_at=IN_2030,
        history=[{"at": at("22:29"), "state": "scheduled", "reason": ""}],
    ),
    message("sending", "22:28", SENDING),
    message("cancelled", "22:27", ("cancelled", "cancelled by ada@ox")),
    message(
        "expired",
        "22:25",
        state="expired",
        reason=OUT_OF_TIME,
        since="2023-11-14T22:26:40.000Z",
        expires_at="2023-11-14T22:25:30.000Z",
        history=[
            {"at": at("22:25"), "state": "queued", "reason": ""},
            {"at": "2023-11-14T22:26:40.000Z", "state": "expired", "reason": OUT_OF_TIME},
        ],
    ),
    _sent("complained", "22:24", ("complained", "abuse by complained@example.org")),
    _sent("bounced", "22:23", ("bounced", "Permanent bounce (General) of bounced@example.org")),
    _sent("delivered", "22:22", ("delivered", "250 ok")),
    _sent("sent", "22:21"),
    message("retrying", "22:20", SENDING, ("retrying", "SES had an error of its own"), attempts=2),
    message("failed", "22:19", SENDING, ("failed", "all tries failed"), attempts=8),
    message("suppressed", "22:18", SENDING, ("suppressed", "everybody is suppressed")),
    message("refused", "22:17", SENDING, ("refused", "SES refused it"), attempts=1),
    message("unknown", "22:16", SENDING, ("unknown", "no answer came"), attempts=1),
    message("held", "22:15", SENDING, ("held", BOB), hold="recipient:bob@example.org"),
]
"""The messages, the newest first, as lists have them."""


WAITS = {
    "<queued>": ("it may go now", at("23:00")),
    "<bulk>": ("it may go now", "2023-11-14T23:00:00.301Z"),
    "<scheduled>": ("its time has not come", IN_2030),
    "<retrying>": ("SES had an error of its own", at("22:30")),
    "<held>": (BOB, None),
    "<batch-running>-0-2": (BOB, None),
    "<unknown>": ("no answer came", None),
    "<batch-running>-0-3": ("no answer came", None),
}
"""Why each message waits, and when it goes."""


def shown(listed: Json) -> Json:
    """Returns the same message as the page of one message has it."""
    because, goes_at = WAITS.get(listed["id"], ("", None))
    return listed | {"waits_because": because, "goes_at": goes_at}


def limit(
    value: float, origin: str, set_to: float | str | None = None, ses: float | None = None, **facts: Any
) -> Json:
    told = {"value": value, "origin": origin, "set_to": set_to, "ses": ses, "until": None, "forced": False}
    return told | facts


LIMITS = {
    "rate": limit(5, "set", 5.0, ses=10),
    "daily": limit(1000, "SES", ses=1000),
    # half of what SES takes at once, at the rate in force
    "burst": limit(2.5, "SES", 3.0, until="2023-11-15T00:39:00.000Z"),
    "margin": limit(0.002, "default"),
    "reserve": limit(100, "set", "10%"),
    "ramp": None,
    "conditions": [],
}


def change(time: str, by: str, old: Json, new: Json | None, until: str | None = None) -> Json:
    told = {"at": at(time), "by": by, "old": old, "old_forced": [], "new": new, "until": until}
    return told | ({} if new is None else {"force": False})


HISTORY = [
    change("22:40", "ada@ox", {"margin": 0.1}, None),
    change("22:40", "bob@ox", {"margin": None}, {"margin": 0.1}),
    change("22:39", "bob@ox", {"burst": None}, {"burst": 3.0}, "2023-11-15T00:39:00.000Z"),
    change("22:38", "ada@ox", {"rate": None, "reserve": None}, {"rate": 5.0, "reserve": "10%"}),
]
SUPPRESSED = [
    {"email": "eve@example.org", "reason": "manual", "at": at("22:37"), "source": "ada@ox"},
    {
        "email": "complained@example.org",
        "reason": "complaint",
        "at": at("22:24"),
        "source": "event of ses-complained",
    },
    {"email": "bounced@example.org", "reason": "bounce", "at": at("22:23"), "source": "event of ses-bounced"},
]
WHY = [
    "transactional: 1 queued; the next one may go now.",
    "bulk: 3 queued; it goes after the transactional mail.",
    f"2 held: {BOB}.",
    "Batch <batch-paused> is paused: a look. 3 of it wait until `sesq batch resume <batch-paused>`.",
    "Batch <batch-later> starts at 2030-01-01 09:00:00 (in 2239 d): 3 of it wait.",
    "2 may have been sent, or not: SES's answer was lost. Settle them with `sesq messages resolve`.",
]
OVERVIEW: Json = {
    "account": "default",
    "mode": "sandbox",
    "paused": False,
    "paused_because": None,
    "bulk_paused": False,
    "bulk_paused_because": None,
    "conditions": [],
    "bulk_window": None,
    "outside_windows": [],
    "policy": {
        "rate": 5,
        "daily": 1000,
        "burst": 2.5,
        "margin": 0.002,
        "reserve": 100,
        "pace": 4.99,
        "ramp": None,
    },
    "usage": {"last_24h": 14, "others": 17, "remaining": 969, "next_free_at": None, "throttles": 0},
    "lanes": {
        "transactional": {"queued": 1, "oldest_at": at("22:30"), "next_at": at("23:00")},
        "bulk": {"queued": 3, "oldest_at": at("22:31"), "next_at": at("23:00")},
    },
    "messages": {
        "scheduled": 1,
        "queued": 10,
        "sending": 1,
        "retrying": 1,
        "held": 2,
        "unknown": 2,
        "sent": 6,
        "refused": 1,
        "suppressed": 1,
        "failed": 2,
        "expired": 1,
        "cancelled": 1,  # the rows of a cancelled batch are no messages
    },
    "feedback": {"delivered": 1, "bounced": 1, "complained": 1},
    "waiting": [{"what": "recipient:bob@example.org", "reason": BOB, "count": 2}],
    "workers": [{"name": "ox.1", "host": "ox", "pid": 4711, "state": "busy", "sent": 0}],
    "memory": {"limit": None},
    "synced_at": "2023-11-14T22:40:01.000Z",
    "why": WHY,
}
"""The state, without what no test can know: the bytes in use, and the time of the worker's last heartbeat."""


def batch(name: str, time: str, counts: dict[str, int], **facts: Any) -> Json:
    """Makes a batch of three recipients, none of them sent, unless `facts` say otherwise."""
    told = {
        "id": f"<batch-{name}>",
        "name": "news",
        "state": name,
        "reason": "",
        "from": "shop@example.com",
        "tenant": None,
        "created": at(time),
        "ended": None,
        "starts_at": None,
        "filled": True,
        "total": 3,
        "left": 3,
        "stuck": 0,
        "sent": 0,
        "counts": {state.value: counts.get(state.value, 0) for state in State},
        "invalid": 0,
        "duplicates": 0,
        "suppressed": 0,
        "window": "",
        "zone_column": "",
        "outside": "",
        "stop_bounces": None,
        "stop_complaints": None,
        "rate": 0.0,
        "ends_at": None,
    }
    assert facts.keys() <= told.keys()
    return told | facts


BATCHES = [
    batch("paused", "22:36", {"queued": 3}, reason="a look", stop_bounces=5.0, stop_complaints=0.1),
    batch(
        "later",
        "22:35",
        {"queued": 3},
        state="paused",
        reason="its time has not come",
        starts_at=IN_2030,
        ends_at="2030-01-01T09:00:01.403Z",  # 4 recipients before it and 3 of its own at 4.99 a second
    ),
    batch("cancelled", "22:34", {"cancelled": 3}, reason="a wrong link", left=0, ended=at("22:36")),
    batch(
        "running",
        "22:31",
        {"queued": 2, "held": 1, "unknown": 1, "sent": 2, "failed": 1},
        total=7,
        left=2,
        stuck=2,
        sent=2,
        invalid=1,
        duplicates=1,
        suppressed=1,
        rate=0.0011,  # two recipients in 29 minutes
        ends_at="2023-11-14T23:00:00.802Z",  # 2 recipients before it and 2 of its own
    ),
]
RECIPIENTS = [
    *(("sent", f"ses-r{row}", at("22:32"), "") for row in (0, 1)),
    ("held", None, at("22:32"), BOB),
    ("unknown", None, at("22:32"), "no answer came"),
    ("failed", None, at("22:32"), "all tries failed"),
    *(("queued", None, None, "") for _ in range(2)),
]
"""State, MessageId, time and reason of each row of the running batch."""
