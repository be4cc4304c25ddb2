"""Filters of images against the answers of the reference."""

import json
from pathlib import Path

import numpy as np
import pytest

from fovea.errors import BackendError
from fovea.synth.batch import Batch
from fovea.synth.filters.image import bytes_of
from fovea.synth.operator import QUIRKS
from fovea.synth.operators import operator_class
from fovea.synth.pictures import Pictures
from fovea.synth.sample import Fields

CASES = 12


@pytest.fixture(scope="session")
def images(goldens: Path) -> dict:
    return json.loads((goldens / "synth" / "image_operators.json").read_text())


@pytest.mark.parametrize("case", range(CASES))
def test_every_filter_measures_and_keeps_as_the_reference(
    case: int, images: dict, goldens: Path
) -> None:
    golden, samples = images["filters"][case], images["samples"]
    found = operator_class(golden["op"])(**golden["params"])
    found.bind(Fields(), frozenset(QUIRKS), seed=0, place=0)
    try:
        found.load()
    except BackendError as error:
        pytest.skip(str(error))
    pictures = Pictures(goldens / "synth" / "images")
    batch = Batch([dict(s) for s in samples], np.arange(len(samples)), Fields(), pictures=pictures)
    stats = found.measure(batch)
    for name, column in stats.items():
        for sample, values in zip(samples, column, strict=True):
            assert values == pytest.approx(golden["stats"][sample["id"]][name], rel=1e-9, abs=1e-10)
    kept = [s["id"] for s, keep in zip(samples, found.keep(stats), strict=True) if keep]
    assert kept == golden["kept"]


def test_no_golden_filter_is_left_out(images: dict) -> None:
    assert len(images["filters"]) == CASES


def test_only_heads_are_read_for_shapes(images: dict, goldens: Path) -> None:
    pictures = Pictures(goldens / "synth" / "images")
    samples = images["samples"]
    batch = Batch([dict(s) for s in samples], np.arange(len(samples)), Fields(), pictures=pictures)
    for name in ("image_shape_filter", "image_size_filter", "image_aspect_ratio_filter"):
        operator_class(name)().measure(batch)
    assert pictures.decodes == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("10KB", 10240), ("1.5MiB", 1572864), ("2048", 2048), ("0", 0), ("1tb", 1024**4), (7, 7)],
)
def test_sizes_are_powers_of_1024(text: str, wanted: int) -> None:
    assert bytes_of(text) == wanted


def test_a_decimal_point_counts_unless_asked_otherwise() -> None:
    assert bytes_of("1.2KB") == pytest.approx(1228.8)
    assert bytes_of("1.2KB", loses_point=True) == 12 * 1024


def test_nonsense_is_no_size() -> None:
    with pytest.raises(ValueError, match="must be a size such as 10KB"):
        bytes_of("many")


def test_heads_say_what_the_decoder_says(goldens: Path, tmp_path: Path) -> None:
    from PIL import Image

    paths = sorted((goldens / "synth" / "images").iterdir())
    picture = Image.effect_noise((97, 53), 40).convert("RGB")
    for name, options in {
        "progressive.jpg": {"progressive": True},
        "exif.jpg": {"exif": b"Exif\0\0" + b"\0" * 60_000},
        "grey.jpg": {},
        "plain.webp": {},
        "plain.gif": {},
        "plain.bmp": {},
    }.items():
        (picture.convert("L") if "grey" in name else picture).save(tmp_path / name, **options)
        paths.append(tmp_path / name)
    for path in paths:
        with Image.open(path) as image:
            head = Pictures().head(str(path))
            assert (head.height, head.width) == (image.height, image.width), path.name
        assert head.bytes == path.stat().st_size
        held = Pictures().head("x", path.read_bytes())
        assert held == head
