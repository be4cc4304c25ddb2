"""What a study may try: parameters with their conditions, and settings that follow from them.

A parameter's `name` is how Optuna knows it; its `path` is the setting of the stage it goes to. They
differ only inside a `pick`, where two branches may have a child for the same setting. `values` maps
names to values, of parameters, derived settings and fixed ones alike: it is what formulas see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fovea.errors import ConfigError, Problem
from fovea.tuning.expression import Expression, ExpressionError, MissingError
from fovea.tuning.parameter import Asked, Choice, Form, Range

Values = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One thing that is searched."""

    name: str
    path: str | None
    """The setting of the stage it goes to; None for a hidden one."""
    domain: Range | Choice
    when: tuple[Expression, ...] = ()

    @property
    def needs(self) -> set[str]:
        """The names its conditions look at."""
        return {name for condition in self.when for name in condition.names}

    def is_asked(self, values: Mapping[str, Any]) -> bool:
        """Whether its conditions hold; a condition on something that is not asked does not hold."""
        try:
            return all(condition(values) for condition in self.when)
        except MissingError:
            return False


@dataclass(frozen=True)
class Derived:
    """A setting that follows from others by a formula."""

    name: str
    formula: Expression

    @property
    def path(self) -> str:
        """The setting of the stage it goes to."""
        return self.name

    @property
    def needs(self) -> frozenset[str]:
        """The names its formula looks at."""
        return self.formula.names


@dataclass(frozen=True)
class Space:
    """All that a study may try, in an order in which conditions and formulas can be worked out."""

    order: tuple[Parameter | Derived, ...]
    fixed: Mapping[str, Any]

    @classmethod
    def read(
        cls,
        forms: Mapping[str, Form],
        derive: Mapping[str, str] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> Space:
        """The space that a study file writes.

        Raises:
            ConfigError: formulas that cannot be read, unknown names in them, circles, a setting
                given twice; all of them at once.
        """
        problems: list[Problem] = []
        nodes: list[Parameter | Derived] = []
        for path, form in forms.items():
            nodes += _parameters(path, path, form, (), problems)
        for path, text in (derive or {}).items():
            formula = _formula(f"derive.{path}", text, problems)
            nodes += [Derived(path, formula)] if formula else []
        fixed = dict(fixed or {})
        _check_paths(nodes, fixed, problems)
        known = {node.name for node in nodes} | set(fixed)
        for node in nodes:
            formulas = [node.formula] if isinstance(node, Derived) else node.when
            for formula in formulas:
                try:
                    formula.check_names(known)
                except ExpressionError as error:
                    problems.append(Problem(f"space.{node.name}", "formula", str(error)))
        if problems:
            raise ConfigError("the search space is not valid", tuple(problems))
        return cls(tuple(_in_order(nodes)), fixed)

    @property
    def parameters(self) -> list[Parameter]:
        """What is searched, without what follows from it."""
        return [node for node in self.order if isinstance(node, Parameter)]

    @property
    def is_conditional(self) -> bool:
        """Whether some parameters are asked only now and then."""
        return any(parameter.when for parameter in self.parameters)

    def walk(self, ask: Callable[[Parameter], Any]) -> Values:
        """Ask for each parameter that is due, in order, and work out what follows."""
        values = dict(self.fixed)
        for node in self.order:
            if isinstance(node, Parameter):
                if node.is_asked(values):
                    values[node.name] = ask(node)
            elif node.formula.names <= values.keys():
                values[node.name] = node.formula(values)
        return values

    def suggest(self, trial: Asked) -> Values:
        """The values of a new trial, as its sampler wants them."""
        return self.walk(lambda parameter: parameter.domain.suggest(trial, parameter.name))

    def complete(self, given: Mapping[str, Any]) -> Values:
        """The values that follow from these parameters.

        Raises:
            ConfigError: a parameter that is due was left out, is not known, or lies outside.
        """
        problems: list[Problem] = []

        def look_up(parameter: Parameter) -> Any:
            if parameter.name not in given:
                problems.append(Problem(parameter.name, "missing", "needs a value"))
                return parameter.domain.extremes()[0]
            value = given[parameter.name]
            if not parameter.domain.holds(value):
                text = f"must be {parameter.domain}; got {value!r}"
                problems.append(Problem(parameter.name, "outside", text, value))
            return value

        values = self.walk(look_up)
        due = {p.name for p in self.parameters if p.name in values}
        problems += [
            Problem(name, "unknown", f"is not asked here; asked are {', '.join(sorted(due))}")
            for name in given
            if name not in due
        ]
        if problems:
            raise ConfigError("these parameters do not fit the space", tuple(problems))
        return values

    def asked(self, values: Mapping[str, Any]) -> Values:
        """Only the parameters among the values."""
        return {p.name: values[p.name] for p in self.parameters if p.name in values}

    def settings(self, values: Mapping[str, Any]) -> Values:
        """The settings of the stage, by path, that these values choose; fixed ones included."""
        chosen = {n.path: values[n.name] for n in self.order if n.path and n.name in values}
        return {**self.fixed, **chosen}

    def combinations(self) -> Iterator[Values]:
        """Every combination of parameters, where their number is finite.

        Raises:
            ConfigError: a parameter is a range without a step.
        """
        endless = [p for p in self.parameters if p.domain.finite() is None]
        if endless:
            text = "a grid needs a step, or logspace/linspace: [lowest, highest, how many]"
            problems = [Problem(f"space.{p.name}", "endless", text) for p in endless]
            raise ConfigError("a grid needs finite parameters", tuple(problems))
        yield from (self.asked(values) for values in self._expand(0, dict(self.fixed), self.order))

    def examples(self, parameter: Parameter) -> Iterator[Values]:
        """Values in which the parameter takes each of its extremes, where it is asked at all."""
        wanted = self._ancestors(parameter)
        order = tuple(node for node in self.order if node.name in wanted)
        for values in self._expand(0, dict(self.fixed), order, extremes=True):
            if parameter.is_asked(values):
                break
        else:
            return
        for extreme in parameter.domain.extremes():
            told = {**values, parameter.name: extreme}
            yield self.walk(lambda p, told=told: told.get(p.name, p.domain.extremes()[0]))

    def _ancestors(self, parameter: Parameter) -> set[str]:
        needs, by_name = set(parameter.needs), {node.name: node for node in self.order}
        while more := {n for name in needs if name in by_name for n in by_name[name].needs} - needs:
            needs |= more
        return needs

    def _expand(
        self,
        at: int,
        values: Values,
        order: tuple[Parameter | Derived, ...],
        *,
        extremes: bool = False,
    ) -> Iterator[Values]:
        if at == len(order):
            yield values
            return
        node = order[at]
        options: list[Values] = [{}]
        if isinstance(node, Derived):
            if node.formula.names <= values.keys():
                options = [{node.name: node.formula(values)}]
        elif node.is_asked(values):
            found = node.domain.extremes() if extremes else node.domain.finite() or []
            options = [{node.name: value} for value in found]
        for option in options:
            yield from self._expand(at + 1, {**values, **option}, order, extremes=extremes)


def _parameters(
    name: str, path: str, form: Form, when: tuple[Expression, ...], problems: list[Problem]
) -> list[Parameter]:
    """The parameter a form stands for, and for a `pick` its children behind it."""
    if form.when is not None:
        condition = _formula(f"space.{name}.when", form.when, problems)
        when = (*when, condition) if condition else when
    if form.pick is None:
        return [Parameter(name, None if form.hidden else path, form.domain, when)]
    # `optim: {pick: ...}` picks the kind of the group optim, as `optim.kind: {pick: ...}` does.
    group, _, leaf = path.rpartition(".")
    is_leaf = leaf == "kind"
    prefix, target = (group, path) if is_leaf else (path, f"{path}.kind")
    found = [Parameter(target, target, form.domain, when)]
    for branch, children in form.pick.items():
        chosen = Expression.parse(f"{target} == {branch!r}")
        for child, child_form in children.items():
            child_path = f"{prefix}.{child}" if prefix else child
            child_name = f"{prefix}.{branch}.{child}" if prefix else f"{branch}.{child}"
            found += _parameters(child_name, child_path, child_form, (*when, chosen), problems)
    return found


def _formula(where: str, text: str, problems: list[Problem]) -> Expression | None:
    try:
        return Expression.parse(text)
    except ExpressionError as error:
        problems.append(Problem(where, "formula", str(error), text))
        return None


def _check_paths(
    nodes: list[Parameter | Derived], fixed: Mapping[str, Any], problems: list[Problem]
) -> None:
    """One setting has one source. Only the branches of a pick may share one."""
    seen: dict[str, Parameter | Derived] = {}
    for node in nodes:
        if node.path is None:
            continue
        twin = seen.setdefault(node.path, node)
        are_branches = (
            isinstance(node, Parameter) and isinstance(twin, Parameter) and node.when and twin.when
        )
        if twin is not node and not are_branches:
            problems.append(Problem(node.path, "twice", "is chosen twice; keep one"))
        if node.path in fixed:
            text = f"is fixed to {fixed[node.path]!r} and searched; keep one"
            problems.append(Problem(f"fixed.{node.path}", "twice", text, fixed[node.path]))


def _in_order(nodes: list[Parameter | Derived]) -> Iterator[Parameter | Derived]:
    """Nodes after those they need, else as declared."""
    left, done = list(nodes), set[str]()
    names = {node.name for node in nodes}
    while left:
        ready = next((node for node in left if set(node.needs) & names <= done), None)
        if ready is None:
            circle = ", ".join(node.name for node in left)
            text = f"these depend on each other in a circle: {circle}. Drop one of the conditions."
            raise ConfigError(text, (Problem("space", "circle", text),))
        left.remove(ready)
        done.add(ready.name)
        yield ready
