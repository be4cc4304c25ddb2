"""Small formulas in a study file, `optim.kind == 'sgd'` or `rank * ratio`, without `eval`.

A formula holds literals, names, arithmetic, comparisons, `and or not in` and a few functions of
numbers. A name may have dots, `optim.kind`, and is looked up whole in the values it is given:
nothing is ever taken from an object. Numbers stay finite and short: no formula fills the memory.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fovea.errors import ConfigError

MOST_CHARACTERS = 500
MOST_LEVELS = 40
LARGEST = 1e100
"""Numbers beyond it are refused; it also bounds how long an integer can grow."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: operator.mod,
    ast.Pow: lambda a, b: a**b,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}


def _round(number: float, digits: int = 0) -> float:
    # Rounding an integer to -10**9 digits would work out 10**(10**9) first.
    if abs(digits) > 100:
        raise ArithmeticError(f"cannot round to {digits} digits")
    return round(number, digits) if digits else round(number)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "round": _round,
    "int": int,
    "float": float,
    "abs": abs,
    "log2": math.log2,
}


class ExpressionError(ConfigError):
    """A formula cannot be read, or has no value for these parameters."""


class MissingError(ExpressionError):
    """A formula needs a parameter that was not given a value."""


@dataclass(frozen=True)
class Expression:
    """A formula that was read, and the names it needs."""

    text: str
    tree: ast.expr
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Read a formula.

        Raises:
            ExpressionError: it is no formula, too long, or uses what formulas do not have.
        """
        if len(text) > MOST_CHARACTERS:
            raise ExpressionError(
                f"a formula has at most {MOST_CHARACTERS} characters; this one has {len(text)}: "
                f"{text[:40]}..."
            )
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(
                f"'{text}' is not a formula: {error}. Write one like rank * 2 or kind == 'sgd'."
            ) from None
        names: set[str] = set()
        _check(tree, text, names, level=0)
        return cls(text, tree, frozenset(names))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value where the names have these values.

        Raises:
            MissingError: a name that it needs has no value.
            ExpressionError: it has none: a division by zero, a word compared with a number, a
                result that is not finite.
        """
        try:
            return _value(self.tree, values)
        except (ArithmeticError, TypeError, ValueError) as error:
            given = sorted(self.names & set(values))
            known = ", ".join(f"{name} = {values[name]!r}" for name in given)
            where = f" where {known}" if known else ""
            raise ExpressionError(f"'{self.text}' has no value{where}: {error}.") from None
        except KeyError as error:
            raise MissingError(_unknown(self.text, error.args[0], values)) from None

    def check_names(self, known: Collection[str]) -> None:
        """Refuse a name that is not among `known`.

        Raises:
            ExpressionError: there is one.
        """
        for name in sorted(self.names - set(known)):
            raise ExpressionError(_unknown(self.text, name, known))


def _unknown(text: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known names: {', '.join(known) or 'none'}."
    return f"'{name}' in '{text}' is not a parameter. {hint}"


def _check(node: ast.AST, text: str, names: set[str], *, level: int) -> None:
    """Walk a formula once, collect its names and refuse what it may not hold."""
    if level > MOST_LEVELS:
        raise ExpressionError(f"'{text}' is nested more than {MOST_LEVELS} levels deep.")
    children: list[ast.AST]
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            _check_size(node.value, text)
            children = []
        case ast.Name() | ast.Attribute():
            names.add(_dotted(node, text))
            children = []
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.BoolOp(values=items):
            children = list(items)
        case ast.BinOp() if type(node.op) in _BINARY:
            children = [node.left, node.right]
        case ast.UnaryOp() if type(node.op) in _UNARY:
            children = [node.operand]
        case ast.Compare() if all(type(op) in _COMPARE for op in node.ops):
            children = [node.left, *node.comparators]
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if (
            function in FUNCTIONS
        ):
            children = list(arguments)
        case _:
            raise ExpressionError(
                f"'{text}' uses {ast.unparse(node)!r}, which a formula may not hold. It may hold "
                f"numbers, words, names, + - * / // % **, comparisons, and or not in, "
                f"{' '.join(FUNCTIONS)}."
            )
    for child in children:
        _check(child, text, names, level=level + 1)


def _check_size(value: Any, text: str) -> None:
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise ExpressionError(f"'{text}' holds a number beyond {LARGEST:g}.")


def _dotted(node: ast.AST, text: str) -> str:
    """`a.b.c` as the parser sees it, back as one name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=parent, attr=name):
            return f"{_dotted(parent, text)}.{name}"
        case _:
            raise ExpressionError(
                f"'{text}' takes something from {ast.unparse(node)!r}; dots may only stand inside "
                f"the name of a parameter."
            )


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name() | ast.Attribute():
            return values[_dotted(node, "")]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, values) for item in items]
        case ast.BoolOp(op=ast.And(), values=items):
            return all(_value(item, values) for item in items)
        case ast.BoolOp(values=items):
            return any(_value(item, values) for item in items)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, values)
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_number(_value(operand, values)))
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(op, _value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_value(side, values) for side in (left, *others)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return all(bool(_COMPARE[type(op)](a, b)) for op, a, b in pairs)
        case ast.Call(func=ast.Name(id=function), args=arguments):
            numbers = [_number(_value(argument, values)) for argument in arguments]
            return _number(FUNCTIONS[function](*numbers))
        case _:
            raise AssertionError("`_check` lets nothing else through")


def _arithmetic(op: ast.operator, left: Any, right: Any) -> int | float:
    left, right = _number(left), _number(right)
    # An integer power is worked out in full before anyone can see how large it is.
    if isinstance(op, ast.Pow) and abs(left) > 1 and abs(right) * math.log10(abs(left)) > 100:
        raise ArithmeticError(f"{left} ** {right} is beyond {LARGEST:g}")
    return _number(_BINARY[type(op)](left, right))


def _number(value: Any) -> int | float:
    """A finite number; words and lists take no part in arithmetic."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not abs(value) <= LARGEST:
        raise ArithmeticError(f"{value:g} is not between -{LARGEST:g} and {LARGEST:g}")
    return value
