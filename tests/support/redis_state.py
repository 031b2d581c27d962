"""Shows all that is in Redis, and what a step has changed there, as lines that a person can read.

One line is one value: a key that is a string or a list, a field of a hash, a member of a set. Keys lose their prefix
`sesq:default:`, and lanes the prefix `sesq.default.`. Values that differ in each run are shown so:

    now, now+30      a time, by the clock of the scripts (s)          real+14d       a time, by Redis's own clock
    TTL = 14d        the time that a key stays, rounded               <host time>    a time that RQ wrote
    <1>, <b>         the id of a message, of a batch                  <run>          the run of the Redis server
"""

from __future__ import annotations

import base64
import difflib
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from redis import Redis

PREFIX = "sesq:default:"
NOT_SHOWN = ("sesq:clock:offset", "sesq:layout")
EMPTY, HASH = "''", "all of it"
LONGEST = 66
"""The most characters that are shown of a value; of a longer one its length is shown too."""
NEAR = 30 * 86400
"""A time that is less than this (s) from the scripts' clock is a time by that clock."""
SLOTS = 1442
NUMBER = re.compile(r"(?<![\w.])-?\d+(\.\d+)?(e-\d+)?(?![\w.])")


class RedisState:
    """The state. `names`: id -> the name that is shown for it. `now`: returns the time by the clock of the scripts."""

    def __init__(self, redis: Redis, now: Callable[[], float]) -> None:
        self.redis = redis
        self.now = now
        self.names: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._channels = redis.pubsub()
        self._channels.psubscribe("sesq:*")

    def close(self) -> None:
        self._channels.close()

    def expect(self, expected: str, words: Iterable[bytes] = ()) -> None:
        """Asserts that these are the changes since the last call, and no others.

        `words`: the answer of a script. They come before the changes, each with a `>`.
        """
        wanted, found = [line.strip() for line in expected.strip().splitlines()], self.changes(words)
        if wanted != found:
            difference = "\n".join(difflib.ndiff(wanted, found))
            raise AssertionError(f"the state in Redis is another (- expected, + found):\n{difference}")

    def changes(self, words: Iterable[bytes] = ()) -> list[str]:
        """Returns the changes since the last call, in the order of their places.

        `+ new = value`, `- gone = value`, `~ changed = before -> after`, `! channel = published message`.
        """
        before, after = self._seen, self.read()
        self._seen = after
        lines = _differences(before, after) + [("!", channel, word) for channel, word in self._said()]
        told = [f"{mark} {self.told(place)} = {self.told(value) or EMPTY}" for mark, place, value in lines]
        told.sort(key=lambda line: (line[2:].partition(" = ")[0], line))
        return [*sorted(f"> {self.told(_text(each))}" for each in words), *told]

    def read(self) -> dict[str, str]:
        """Returns place -> value of every key. A hash has a place for itself too, so that its end is one line."""
        found: dict[str, str] = {}
        for key in sorted(self.redis.scan_iter(count=1000)):
            place = key.decode().removeprefix(PREFIX)
            if place in NOT_SHOWN:
                continue
            kind = self.redis.type(key).decode()
            parts = getattr(self, f"_{kind}")(key, place)
            found.update({f"{place} {part}".strip(): value for part, value in parts.items()})
            if kind == "hash":
                found[place] = HASH
            ttl = self.redis.ttl(key)
            if ttl >= 0:
                found[f"{place} TTL"] = rounded(ttl)
        return found

    def _said(self) -> list[tuple[str, str]]:
        """Returns what was published on channels. The answer to a PING comes after all of that."""
        said = []
        self._channels.ping()
        while (message := self._channels.get_message(timeout=60)) and message["type"] != "pong":
            if message["type"] == "pmessage":
                said.append((_text(message["channel"]).removeprefix(PREFIX), _text(message["data"])))
        return said

    # each type of key: part -> value

    def _string(self, key: bytes, place: str) -> dict[str, str]:
        value = self.redis.get(key)
        if place == "ledger":
            return self._minutes(value)
        if place.startswith("arrived:"):
            return {"": f"{int.from_bytes(value, 'big'):0{8 * len(value)}b}"}
        return {"": _text(value)}

    def _minutes(self, cells: bytes) -> dict[str, str]:
        """Returns the ledger: the begin of a minute -> recipients. Without a newest minute: slot -> recipients."""
        newest = _text(self.redis.hget(f"{PREFIX}gate", "minute") or b"")
        counts = [count for (count,) in struct.iter_unpack("<I", cells)]
        used = {slot: str(count) for slot, count in enumerate(counts) if count}
        if not newest.isdecimal():
            return {f"slot {slot}": count for slot, count in used.items()}
        minutes = {int(newest) - (int(newest) - slot) % SLOTS: count for slot, count in used.items()}
        return {f"minute {minute * 60}": count for minute, count in minutes.items()}

    def _hash(self, key: bytes, place: str) -> dict[str, str]:
        fields = {_text(name): _text(value) for name, value in self.redis.hgetall(key).items()}
        if place == "gate" and fields.get("minute", "").isdecimal():
            fields["minute"] = str(int(fields["minute"]) * 60)
        fields |= dict.fromkeys(fields.keys() & {"created_at", "enqueued_at"}, "<host time>")
        events = fields.pop("history", "").split(" | ")
        return fields | {f"history {number}": event for number, event in enumerate(events) if event}

    def _zset(self, key: bytes, place: str) -> dict[str, str]:
        return {_text(id): self._score(score) for id, score in self.redis.zrange(key, 0, -1, withscores=True)}

    def _score(self, score: float) -> str:
        """Shows a score. A time by Redis's own clock is rounded, since that clock moves between two steps."""
        if 1e9 < score < 2e9 and abs(score - self.now()) > NEAR:
            return f"real+{rounded(score - self.redis.time()[0])}"
        return repr(score)

    def _set(self, key: bytes, place: str) -> dict[str, str]:
        return {_text(member): "in it" for member in self.redis.smembers(key)}

    def _list(self, key: bytes, place: str) -> dict[str, str]:
        entries = [_text(entry) for entry in self.redis.lrange(key, 0, -1)]
        if not place.endswith(":history"):
            return {"": ", ".join(entries)}
        events = enumerate(map(json.loads, reversed(entries)))
        return {
            f"{number} {name}": json.dumps(value) for number, event in events for name, value in event.items()
        }

    def _stream(self, key: bytes, place: str) -> dict[str, str]:
        """Reads RQ's results."""
        return {
            f"{number}": ", ".join(f"{_text(name)} {_result(value)}" for name, value in fields.items())
            for number, (_, fields) in enumerate(self.redis.xrange(key))
        }

    # how values are shown

    def told(self, text: str) -> str:
        for id, name in self.names.items():
            text = text.replace(id, name)
        text = text.replace("sesq.default.", "")
        text = re.sub(r"\b[0-9a-f]{40}\b", "<run>", text)
        text = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", text)
        text = NUMBER.sub(self._number, text)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)})"

    def _number(self, found: re.Match[str]) -> str:
        """Shows a time by the scripts' clock, and rounds a number with many digits."""
        number = float(found[0])
        if not 1e9 < number < 2e9:
            return _short(number, 3) if re.search(r"\.\d{3}", found[0]) else found[0]
        after = number - self.now()
        return "now" if abs(after) < 1e-6 else "now" + "+" * (after > 0) + _short(after, 6)


def _differences(before: dict[str, str], after: dict[str, str]) -> list[tuple[str, str, str]]:
    """Returns (mark, place, value) of each change. A deleted hash is one line; a new one has a line for each field."""
    gone = tuple(f"{place} " for place in before if before[place] == HASH and place not in after)
    lines = [("-", place, before[place]) for place in before.keys() - after if not place.startswith(gone)]
    lines += [("+", place, after[place]) for place in after.keys() - before if after[place] != HASH]
    changed = [place for place in before.keys() & after if before[place] != after[place]]
    return lines + [("~", place, f"{before[place] or EMPTY} -> {after[place] or EMPTY}") for place in changed]


def rounded(seconds: float) -> str:
    """Rounds a duration so much that a slow machine makes no difference."""
    for unit, letter in ((86400, "d"), (3600, "h")):
        if seconds > 2 * unit:
            return f"{round(seconds / unit)}{letter}"
    return f"{round(seconds / 60)}min"


def _short(number: float, digits: int) -> str:
    return f"{round(number, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def _text(value: bytes) -> str:
    """Returns the text of a value, unpacked if it is packed, with times in one format."""
    if value[:1] == b"x":
        with suppress(zlib.error):
            value = zlib.decompress(value)
    text = value.decode(errors="backslashreplace").strip().replace("\n", " | ")
    return re.sub(r"\b1\d{9}\.\d+\b", lambda instant: _short(float(instant[0]), 6), text)


def _result(value: bytes) -> str:
    """Unpacks a value of one of RQ's results."""
    try:
        unpacked: Any = base64.b64decode(value, validate=True)
        return zlib.decompress(unpacked).decode() if unpacked[:1] == b"x" else str(json.loads(unpacked))
    except ValueError:
        return value.decode()
