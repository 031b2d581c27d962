"""Faults on purpose. They are set at run time by probability or by count, and repeatable by a seed."""

from __future__ import annotations

import random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from sesq.simulator.errors import SesError


class ReplyLost(Exception):
    """The message was accepted, but the caller gets no reply."""


class Chance(BaseModel):
    """A fault that happens with `probability` (0 to 1), at most `count` times (None: no bound)."""

    model_config = ConfigDict(extra="forbid")
    probability: float = Field(1.0, ge=0, le=1)
    count: int | None = Field(None, ge=0)

    def strikes(self, dice: random.Random) -> bool:
        if self.count == 0 or dice.random() >= self.probability:
            return False
        if self.count is not None:
            self.count -= 1
        return True


class Slow(Chance):
    """Latency of `seconds` on the host's clock, `before` or `after` the message is judged."""

    seconds: float = Field(ge=0, le=3600)
    when: Literal["before", "after"] = "after"


def _number_is_probability(value: Any) -> Any:
    plain_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"probability": value} if plain_number else value


_Chance = Annotated[Chance | None, BeforeValidator(_number_is_probability)]

# The faults that stop a send, in order. Each is also the kind of the refusal in the record.
STOPS_THE_CALL = ("reset", "unavailable", "internal_error")
STOPS_THE_MESSAGE = ("paused", "throttle", "daily")


class Faults(BaseModel):
    """All faults of one account. A new plan replaces the old one; an empty plan ends all faults."""

    model_config = ConfigDict(extra="forbid")
    reset: _Chance = None
    unavailable: _Chance = None
    internal_error: _Chance = None
    paused: _Chance = None
    throttle: _Chance = None
    daily: _Chance = None
    lose_reply: _Chance = None
    slow: Slow | None = None
    seed: int | None = None
    _dice: random.Random = PrivateAttr(default_factory=random.Random)

    def model_post_init(self, _context: Any) -> None:
        self._dice.seed(self.seed)

    def stop(self, kinds: tuple[str, ...]) -> None:
        """Raises SesError for the first of `kinds` that happens."""
        for kind in kinds:
            if self._strikes(getattr(self, kind)):
                raise SesError(kind)

    def loses_reply(self) -> bool:
        return self._strikes(self.lose_reply)

    def latency(self, when: str) -> float:
        """Returns the seconds to wait `before` or `after` the next send is judged."""
        slow = self.slow
        if slow is None or slow.when != when or not slow.strikes(self._dice):
            return 0.0
        return slow.seconds

    def _strikes(self, chance: Chance | None) -> bool:
        return chance is not None and chance.strikes(self._dice)
