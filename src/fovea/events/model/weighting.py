"""Weights of boxes from their own scores, by name or by an expression in `w`.

The expression is read as a tree of sums, products, powers and numbers; nothing else is let in, and
nothing is evaluated as code.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, TypeVar

from fovea.errors import ConfigError

SCORES = ("obj", "cls", "objxcls")
"""Objectness, class confidence, and their product."""
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
LONGEST = 80
"""Characters of an expression."""

T = TypeVar("T")


def parse(text: str) -> tuple[str, Callable[[Any], Any]]:
    """The score's name, and the function that makes a weight of it.

    Raises:
        ConfigError: it is no weighting.
    """
    name, dash, expression = text.partition("-")
    if name not in SCORES or (dash and not expression.strip()):
        raise _refused(text, f"'{name}' is no score" if name not in SCORES else "it ends at '-'")
    if len(expression) > LONGEST:
        raise _refused(text, f"the expression has more than {LONGEST} characters")
    try:
        tree = ast.parse(expression.strip() or "w", mode="eval").body
    except SyntaxError as error:
        raise _refused(text, f"'{expression}' cannot be read ({error.msg})") from error
    _check(tree, text)
    return name, lambda w: _value(tree, w)


def checked(text: str) -> str:
    """The same text, when it is empty or a weighting.

    Raises:
        ValueError: it is neither.
    """
    if text:
        try:
            parse(text)
        except ConfigError as error:
            raise ValueError(str(error)) from error
    return text


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Name(id="w"):
            return
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            _check(inner, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            _check(left, text)
            _check(right, text)
        case _:
            raise _refused(text, f"'{ast.unparse(node)}' is not allowed in it")


def _value(node: ast.expr, w: Any) -> Any:
    match node:
        case ast.Constant(value=value):
            return float(value)  # pyright: ignore[reportArgumentType]
        case ast.UnaryOp(operand=inner):
            return -_value(inner, w)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, w), _value(right, w))
        case _:
            return w


def _refused(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"a weighting is one of {', '.join(SCORES)}, alone or with '-' and an expression of w, + -"
        f" * / ** and numbers, as cls-w**2; found '{text}': {why}."
    )
