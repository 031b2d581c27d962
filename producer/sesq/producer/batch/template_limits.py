"""Limits what a template makes. It counts the size of values, of blocks, of what filters get and make, and the rounds
of loops.

So no value grows without end, and all that one text makes together is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import filters, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import markup_join, str_join
from jinja2.visitor import NodeTransformer

MAX_ROUNDS = 10_000
"""Rounds of all loops of one text."""

MAX_MADE = 10_000_000
"""Characters that one text makes of its variables, those of intermediate values included."""

MAX_VALUE = 1_000_000
"""Characters of one intermediate value."""

MAX_BITS = 2048
"""Of a whole number. The largest float has 1,024."""

MAX_DIGITS = 30
"""To which a number may be rounded."""


class TooLong(SecurityError):
    """A loop has too many rounds, or a text makes too much."""


class _Left:
    """What one text may still make."""

    def __init__(self) -> None:
        self.rounds, self.made = MAX_ROUNDS, MAX_MADE

    def take(self, characters: int) -> None:
        self.made -= characters
        if self.made < 0 or characters > MAX_VALUE:
            raise TooLong("it makes too many characters of its variables")


_left: ContextVar[_Left] = ContextVar("left")


def begin() -> None:
    """Begins to count for a new text, in this thread."""
    _left.set(_Left())


def weighed(value: Any) -> Any:
    """Subtracts the value's characters from what is left. Returns the value, or a list of an iterator's items."""
    left, made = _left.get(), value
    if isinstance(value, Iterator):
        made = [weighed(item) for item in value]
    left.take(_weight(made))
    return made


def _weight(value: Any) -> int:
    """Counts characters, and one for each item. It stops above MAX_VALUE: a list can contain another one many times."""
    total, open_ = 0, [value]
    while open_ and total <= MAX_VALUE:
        item = open_.pop()
        total += 1
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            open_ += (*item.keys(), *item.values())
        elif isinstance(item, (list, tuple)):
            open_ += item
        elif isinstance(item, int) and item.bit_length() > MAX_BITS:
            raise TooLong("a number has too many digits")
    return total


def rounds(items: Iterable[Any], characters: int) -> Iterator[Any]:
    """Counts the rounds of a loop. `characters`: those that its body writes each time, apart from variables."""
    left = _left.get()
    for item in items:
        left.rounds -= 1
        if left.rounds < 0:
            raise TooLong(f"its loops have more than {MAX_ROUNDS:,} rounds")
        left.take(characters)
        yield item


@pass_eval_context
def _concat(context: Any, parts: list[Any]) -> str:
    return markup_join(parts) if context.autoescape else str_join(parts)


@pass_eval_context
def _replace(context: Any, text: Any, old: Any, new: Any, count: int | None = None) -> str:
    _left.get().take(str(text).count(str(old)) * len(str(new)))
    return filters.do_replace(context, text, old, new, count)


@pass_eval_context
def _join(context: Any, items: Any, d: Any = "", attribute: str | int | None = None) -> str:
    items = list(items)
    _left.get().take(len(items) * len(str(d)))
    return filters.sync_do_join(context, items, d, attribute)


def _round(value: Any, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > MAX_DIGITS:
        raise SecurityError(f"round is for up to {MAX_DIGITS} digits")
    return filters.do_round(value, precision, method)


@pass_eval_context
def _sum(context: Any, items: Any, attribute: str | int | None = None) -> Any:
    """Sums without the option `start`, which could join lists."""
    return filters.sync_do_sum(context.environment, items, attribute)


@pass_eval_context
def _to_json(context: Any, value: Any) -> str:
    """Writes JSON without the option `indent`, which could be of any width."""
    return filters.do_tojson(context, value)


@pass_eval_context
def _urlize(context: Any, text: str) -> str:
    """Makes links without the options, whose text would be repeated in each link."""
    return filters.do_urlize(context, text)


OWN: dict[str, Callable[..., Any]] = {
    "join": _join,
    "replace": _replace,
    "round": _round,
    "sum": _sum,
    "tojson": _to_json,
    "urlize": _urlize,
    "_concat": _concat,
    "_weighed": lambda value: value,
}


def bounded_filter(function: Callable[..., Any]) -> Callable[..., Any]:
    """Bounds a filter: counts what it gets and what it makes of that."""

    @wraps(function)
    def bounded(*given: Any, **named: Any) -> Any:
        given = tuple(map(weighed, given))
        return weighed(function(*given, **{name: weighed(value) for name, value in named.items()}))

    return bounded


@pass_context
def printed(_context: Any, value: Any) -> Any:
    """Counts what is printed. It takes the context, so that jinja2 does not call it while it compiles."""
    return weighed(value)


class Bounds(NodeTransformer):
    """Has everything counted that is made neither by filters nor by operators."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - jinja2 calls it so
        self.generic_visit(node)
        own = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
        node.iter = _filter(node, node.iter, "_rounds", nodes.Const(own))
        return node

    def visit_List(self, node: nodes.List | nodes.Dict) -> nodes.Node:  # noqa: N802 - jinja2 calls it so
        return _filter(node, self.generic_visit(node), "_weighed")

    visit_Dict = visit_List  # noqa: N815 - jinja2 calls it so

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - jinja2 calls it so
        self.generic_visit(node)
        return _filter(node, node, "_weighed") if node.ctx == "load" else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - jinja2 calls it so
        self.generic_visit(node)
        return _filter(node, nodes.List(node.nodes, lineno=node.lineno), "_concat")

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802 - jinja2 calls it so
        self.generic_visit(node)
        node.filter = _filter(node, node.filter, "_weighed")
        return node


def _filter(at: nodes.Node, value: Any, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    made = nodes.Filter(value, name, list(arguments), [], None, None, lineno=at.lineno)
    return made.set_environment(at.environment)  # type: ignore[return-value,arg-type]
