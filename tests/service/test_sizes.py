"""The rule of input sizes, and sizes chosen by the photograph."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fovea.service.photo.sizes import Settled, complexity, settled, size_by_complexity


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (1536, 1536, 1536),
        (1000, 1000, 1024),
        (1200, 800, 1216),
        (1500, 700, 1536),
        (2000, 2000, 1536),
        (100, 100, 128),
        (768, 768, 768),
    ],
)
def test_sizes_are_settled_by_the_table(width: int, height: int, size: int) -> None:
    assert settled(width, height).size == size


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_every_size_is_a_multiple_of_64_that_is_large_enough_or_the_largest(
    width: int, height: int
) -> None:
    found = settled(width, height)
    assert found.size % 64 == 0
    assert found.size == 1536 or max(width, height) <= found.size < max(width, height) + 64
    assert settled(found.size, found.size).size == found.size


def test_each_step_is_said() -> None:
    assert settled(1536, 1536).steps == ()
    assert settled(2000, 1000).steps == (
        "2000 x 1000 is not square: 2000",
        "2000 is more than 1536: 1536",
    )


def test_the_largest_size_is_what_the_network_makes() -> None:
    assert settled(1536, 1536).gaussians == 0
    assert Settled(1024).gaussians == 512 * 512 * 2


def test_sizes_follow_what_there_is_to_see_within_bounds() -> None:
    steps = [size_by_complexity(value) for value in (0.0, 0.15, 0.3, 0.5, 1.0)]
    assert steps == [512, 768, 1024, 1536, 1536]
    assert size_by_complexity(0.0, smallest=768) == 768
    assert size_by_complexity(1.0, largest=1024) == 1024


def test_noise_is_more_complex_than_a_ramp_and_that_more_than_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    ramp = np.tile(np.linspace(0, 255, 300, dtype=np.uint8)[None, :, None], (200, 1, 3))
    found = []
    for name, pixels in (("noise", noise), ("ramp", ramp), ("grey", np.full_like(noise, 90))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        found.append(complexity(tmp_path / f"{name}.png"))
    assert 1 >= found[0] > 0.8 > found[1] > 0.2 > found[2] >= 0
