import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fovea.errors import ConfigError
from fovea.tuning.parameter import Form
from fovea.tuning.space import Space


def form(**keys: Any) -> Form:
    return Form.model_validate(keys)


class Dice:
    """A trial that answers at random, within what it is asked."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.asked: list[str] = []

    def suggest_float(self, name: str, low: float, high: float, **rest: Any) -> float:
        self.asked.append(name)
        if rest.get("step"):
            return low + rest["step"] * self.random.randint(0, round((high - low) / rest["step"]))
        return self.random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, **rest: Any) -> int:
        self.asked.append(name)
        return self.random.randrange(low, high + 1, rest.get("step", 1))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked.append(name)
        return self.random.choice(choices)


def optimizer_space() -> Space:
    return Space.read(
        {
            "optim.momentum": form(float=[0, 0.9], when="optim.kind == 'sgd'"),
            "optim.kind": form(choice=["adam", "sgd"]),
            "rank": form(int=[4, 16], step=4),
            "ratio": form(choice=[1, 2], hidden=True),
        },
        {"alpha": "rank * ratio"},
        {"steps": 10},
    )


def test_conditions_are_asked_after_what_they_look_at() -> None:
    names = [node.name for node in optimizer_space().order]
    assert names.index("optim.kind") < names.index("optim.momentum")
    assert names.index("ratio") < names.index("alpha")


@given(st.integers(0, 10**6))
def test_a_trial_is_asked_only_for_what_is_due(seed: int) -> None:
    space, dice = optimizer_space(), Dice(seed)
    values = space.suggest(dice)
    assert ("optim.momentum" in dice.asked) == (values["optim.kind"] == "sgd")
    settings = space.settings(values)
    assert settings["alpha"] == values["rank"] * values["ratio"]
    assert settings["steps"] == 10
    assert "ratio" not in settings
    assert space.complete(space.asked(values)) == values


def test_the_branches_of_a_pick_share_a_setting_under_names_of_their_own() -> None:
    space = Space.read(
        {
            "optim": form(
                pick={
                    "adam": {"rate": {"float": [1e-4, 1e-2], "log": True}},
                    "sgd": {"rate": {"float": [1e-2, 1]}, "momentum": {"float": [0, 0.9]}},
                }
            )
        }
    )
    settings = space.settings(
        space.complete({"optim.kind": "sgd", "optim.sgd.rate": 0.1, "optim.sgd.momentum": 0.5})
    )
    assert settings == {"optim.kind": "sgd", "optim.rate": 0.1, "optim.momentum": 0.5}


def test_all_combinations_of_a_conditional_grid_are_found_once() -> None:
    space = Space.read(
        {
            "kind": form(choice=["a", "b"]),
            "size": form(int=[1, 4], when="kind == 'b'"),
            "layers": form(choice=[[1], [2, 3]], when="kind == 'a'"),
        }
    )
    found = list(space.combinations())
    assert len(found) == 6
    assert all(found.count(one) == 1 for one in found)


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ({"float": [0.1, 0.4], "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"int": [2, 8], "step": 3}, [2, 5, 8]),
        ({"logspace": [1e-4, 1e-2, 3]}, [1e-4, 1e-3, 1e-2]),
        ({"linspace": [0, 1, 5]}, [0, 0.25, 0.5, 0.75, 1]),
        ({"bool": True}, [False, True]),
        ({"choice": ["a", None, 3]}, ["a", None, 3]),
    ],
)
def test_finite_parameters_list_their_values(keys: dict[str, Any], values: list[Any]) -> None:
    domain = form(**keys).domain
    assert domain.finite() == pytest.approx(values) if "choice" not in keys else values
    assert all(domain.holds(value) for value in domain.finite() or [])


def test_lists_and_maps_are_stored_under_a_label() -> None:
    domain = form(choice=[[1, 2], {"a": 1}]).domain
    assert domain.labels == ("#0", "#1")  # pyright: ignore
    assert domain.suggest(Dice(0), "x") in ([1, 2], {"a": 1})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "exactly one of"),
        ({"float": [0, 1], "int": [0, 1]}, "exactly one of"),
        ({"float": [1, 0]}, "lowest < highest"),
        ({"float": [0, 1], "log": True}, "starts above 0"),
        ({"float": [0.1, 1], "log": True, "step": 0.1}, "both log and step"),
        ({"float": [0, 1], "step": 0.3}, r"write \[0, 0.9\]"),
        ({"choice": [1, 2], "log": True}, "belong to float and int"),
        ({"choice": [1, True]}, "twice"),
        ({"bool": False}, "fixed"),
        ({"linspace": [0, 1, 1]}, "at least 2"),
    ],
)
def test_a_parameter_that_makes_no_sense_says_why(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        form(**keys)


@pytest.mark.parametrize(
    ("forms", "derive", "words"),
    [
        ({"a": {"float": [0, 1], "when": "b > 0"}}, {}, "'b' in 'b > 0' is not a parameter"),
        (
            {
                "a": {"float": [0, 1], "when": "b > 0"},
                "b": {"float": [0, 1], "when": "a > 0"},
            },
            {},
            "circle",
        ),
        ({"a": {"int": [0, 1]}}, {"a": "1 + 1"}, "chosen twice"),
        ({"a": {"int": [0, 1]}}, {"c": "a +"}, "is not a formula"),
    ],
)
def test_a_space_that_makes_no_sense_says_why(
    forms: dict[str, Any], derive: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Space.read({name: form(**keys) for name, keys in forms.items()}, derive)
    assert words in " ".join(problem.message for problem in caught.value.problems)


def test_parameters_from_elsewhere_are_held_against_the_space() -> None:
    with pytest.raises(ConfigError) as caught:
        optimizer_space().complete({"optim.kind": "adam", "rank": 5, "momentum": 1})
    said = {(problem.loc, problem.code) for problem in caught.value.problems}
    assert said == {("rank", "outside"), ("ratio", "missing"), ("momentum", "unknown")}
