"""One check, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """`warn`: it works, and something should be known. `fail`: it does not work, or mail may be lost."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Check:
    """`detail` is what was found, `cure` what to do about it ("" if there is nothing to do).

    `about` names the subject, so that a screen does not say the same twice.
    """

    name: str
    status: Status
    detail: str
    cure: str = ""
    about: str = ""


def ok(name: str, detail: str) -> Check:
    return Check(name, Status.OK, detail)


def warn(name: str, detail: str, cure: str, about: str = "") -> Check:
    return Check(name, Status.WARN, detail, cure, about or name)


def fail(name: str, detail: str, cure: str, about: str = "") -> Check:
    return Check(name, Status.FAIL, detail, cure, about or name)
