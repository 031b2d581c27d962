"""What is remembered of batches: not too much, and not for too long."""

from __future__ import annotations

import pytest

from sesq.queue.rows import KEPT_SECONDS, Remembered


class Source:
    """What is read, and how often; its clock stands still."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.now = 100.0

    def __call__(self, name: str) -> str:
        self.read.append(name)
        return f"{name}{len(self.read)}"


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def remembered(source: Source) -> Remembered[str]:
    return Remembered(source, 2, lambda: source.now)


def test_it_is_read_once_a_minute(remembered: Remembered[str], source: Source) -> None:
    assert [remembered["a"], remembered["a"]] == ["a1", "a1"]
    source.now += KEPT_SECONDS
    assert remembered["a"] == "a1"
    source.now += 0.1
    assert [remembered["a"], remembered["a"]] == ["a2", "a2"]


def test_what_was_used_last_is_kept(remembered: Remembered[str], source: Source) -> None:
    for name in ("a", "b", "a", "c", "a", "c", "b"):
        assert remembered[name][0] == name
    assert source.read == ["a", "b", "c", "b"]


def test_what_cannot_be_read_is_not_remembered(source: Source) -> None:
    def read(name: str) -> str:
        if not source.read:
            source(name)
            raise KeyError(name)
        return source(name)

    remembered = Remembered(read, 2, lambda: source.now)
    with pytest.raises(KeyError):
        remembered["a"]
    assert remembered["a"] == "a2"
