"""Weights of boxes by an expression: what is understood, and that nothing is run."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import ConfigError
from fovea.events.model.weighting import checked, parse


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("obj", "obj", 0.5),
        ("cls-w**2", "cls", 0.25),
        ("objxcls-1 - (1 - w) / 2", "objxcls", 0.75),
        ("cls--w + 3", "cls", 2.5),
        ("obj-w ** 0.5", "obj", 0.5**0.5),
    ],
)
def test_names_and_expressions_are_understood(text, name, value) -> None:
    score, function = parse(text)
    assert score == name
    torch.testing.assert_close(function(torch.tensor([0.5])), torch.tensor([value]))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("iou", "'iou' is no score"),
        ("cls-", "it ends at '-'"),
        ("cls-w**", "cannot be read"),
        ("cls-v", "'v' is not allowed"),
        ("cls-__import__('os')", "is not allowed"),
        ("cls-w.real", "'w.real' is not allowed"),
        ("cls-(lambda: 1)()", "is not allowed"),
        ("cls-True", "'True' is not allowed"),
        ("cls-w if w else 1", "is not allowed"),
        ("cls-" + "w+" * 60 + "w", "more than 80 characters"),
    ],
)
def test_anything_else_is_refused_with_its_reason(text, why) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert why in str(caught.value)
    with pytest.raises(ValueError, match="a weighting is one of obj, cls, objxcls"):
        checked(text)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text) -> None:
    try:
        parse(f"cls-{text}")
    except ConfigError:
        return
