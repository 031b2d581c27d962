"""Renders templates with a part of jinja2. A template can neither reach this process nor keep it busy forever.

A template calls no functions, so there is no range() and no macro that calls itself. All loops of one text together
have a bounded number of rounds. The size of what operators, filters and blocks make is counted, so that no value grows
without end.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sesq.config.errors import InvalidMessage, InvalidTemplate
from sesq.producer.batch.template_limits import OWN, Bounds, begin, bounded_filter, printed, rounds, weighed

_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What Python raises if a template does something impossible, or is nested too deeply for Python."""

FILTERS = frozenset(
    """abs capitalize d default dictsort e escape first float forceescape groupby int items join last length count list
    lower map max min reject rejectattr replace reverse round safe select selectattr sort string striptags sum title
    tojson trim truncate unique upper urlencode urlize wordcount""".split()  # noqa: SIM905 - as words it can be read
)
REFUSED: tuple[tuple[type[nodes.Node], str], ...] = (
    (nodes.Call, "calls a function: a template can only use variables and filters, as in {{ name|upper }}"),
    (nodes.CallBlock, "calls a macro, which a template here cannot: leave it out"),
    (nodes.Macro, "defines a macro, which a template here cannot: leave it out"),
    (nodes.Include, "includes another template, which a template here cannot: leave it out"),
    (nodes.Import, "imports another template, which a template here cannot: leave it out"),
    (nodes.FromImport, "imports another template, which a template here cannot: leave it out"),
    (nodes.FilterBlock, "filters a block, which a template here cannot: filter each variable"),
    (nodes.Extends, "extends another template, which a template here cannot: leave it out"),
    (nodes.Pow, "computes a power, which may have no end: leave it out"),
)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuses text times a number, which could be of any length. Counts what the others make."""
        if operator in "*%" and not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
            raise SecurityError(f"{operator} is for numbers")
        return weighed(super().call_binop(context, operator, left, right))


def _environment(*, html: bool) -> _Environment:
    made = _Environment(
        undefined=StrictUndefined, autoescape=html, keep_trailing_newline=True, finalize=printed
    )
    allowed = {name: made.filters[name] for name in FILTERS} | OWN
    made.filters = {name: bounded_filter(function) for name, function in allowed.items()} | {
        "_rounds": rounds
    }
    made.globals = {}
    return made


_ENVIRONMENTS = {html: _environment(html=html) for html in (False, True)}


class Text:
    """One part of a template. `needed`: the variables that every row must have. `used`: these and the optional ones.

    A variable is optional if `default` or `is defined` handles its absence. Raises InvalidTemplate, which names
    `where` (a file) and the line.
    """

    def __init__(self, source: str, where: str, *, html: bool = False) -> None:
        self.where = where
        environment = _ENVIRONMENTS[html]
        try:
            tree = _parse(environment, source, where)
            _check(tree, where)
            self.used: frozenset[str] = frozenset(meta.find_undeclared_variables(tree))
            self.needed: frozenset[str] = self.used - _optional(tree)
            begin()
            self._template = environment.from_string(Bounds().visit(tree))
        except TemplateSyntaxError as error:
            raise InvalidTemplate(f"{where}, line {error.lineno}: {error.message}") from error
        except TemplateError as error:
            raise InvalidTemplate(f"{where}: {error}") from error
        except _FAULTS as error:
            raise InvalidTemplate(f"{where}, line {_deepest(tree)}: {_told(error)}") from error

    def render(self, values: dict[str, Any]) -> str:
        """Renders the text for one row. Raises InvalidMessage, which names the file."""
        try:
            begin()
            return self._template.render(values)
        except TemplateError as error:
            raise InvalidMessage(self.where, str(error)) from error
        except _FAULTS as error:
            raise InvalidMessage(self.where, f"{type(error).__name__}: {error}") from error


def _parse(environment: _Environment, source: str, where: str) -> nodes.Template:
    """Parses with jinja2's own parser, which knows the line at which Python fails."""
    parser = Parser(environment, source)
    try:
        return parser.parse()
    except _FAULTS as error:
        raise InvalidTemplate(f"{where}, line {parser.stream.current.lineno}: {_told(error)}") from error


def _told(error: BaseException) -> str:
    if isinstance(error, (RecursionError, IndentationError, MemoryError)) or "nested" in str(error):
        return "it is nested too deeply: write it simpler"
    if "integer string conversion" in str(error):
        return "a number has too many digits"
    return error.msg if isinstance(error, SyntaxError) else f"{type(error).__name__}: {error}"


def _deepest(tree: nodes.Template) -> int:
    """Finds the line of the deepest part of a template."""
    line: int = 1
    level: list[nodes.Node] = [tree]
    while level:
        line, level = level[0].lineno, [child for node in level for child in node.iter_child_nodes()]
    return line


def _check(tree: nodes.Template, where: str) -> None:
    for kind, problem in REFUSED:
        for node in tree.find_all(kind):
            raise InvalidTemplate(f"{where}, line {node.lineno}: it {problem}")
    known = _ENVIRONMENTS[False]
    for kind, names in ((nodes.Filter, known.filters), (nodes.Test, known.tests)):
        for node in tree.find_all(kind):
            if node.name not in names:
                raise InvalidTemplate(
                    f"{where}, line {node.lineno}: No {kind.__name__.lower()} named {node.name!r}"
                )


def _optional(tree: nodes.Template) -> set[str]:
    """Finds the variables that have a default at every use, or that an `is defined` asks for."""
    filters = [node.node for node in tree.find_all(nodes.Filter) if node.name in ("default", "d")]
    defaults = Counter(node.name for node in filters if isinstance(node, nodes.Name))
    uses = Counter(node.name for node in tree.find_all(nodes.Name) if node.ctx == "load")
    tests = (node.node for node in tree.find_all(nodes.Test) if node.name in ("defined", "undefined"))
    asked = {node.name for node in tests if isinstance(node, nodes.Name)}
    return asked | {name for name, count in defaults.items() if count == uses[name]}
