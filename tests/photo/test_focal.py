"""Focal lengths: what EXIF says, what of it is believed, and what is given by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.photo.focal import FILM_RANGE_MM, film_to_pixels, focal_length, pixels_to_film
from fovea.photo.settings.photograph import PhotographConfig

WIDTH, HEIGHT = 640, 480


def found(exif: dict[str, Any], **settings: Any) -> tuple[float, str, str]:
    focal = focal_length(exif, width=WIDTH, height=HEIGHT, settings=PhotographConfig(**settings))
    return pixels_to_film(focal.px, width=WIDTH, height=HEIGHT), focal.source, focal.note


SENSOR = {"FocalPlaneXResolution": 3106.8, "FocalPlaneResolutionUnit": 2, "ExifImageWidth": 640}


@pytest.mark.parametrize(
    ("exif", "film_mm", "source"),
    [
        ({"FocalLengthIn35mmFilm": 28, "FocalLength": 6}, 28, "EXIF 35 mm equivalent 28 mm"),
        ({"FocalLength": 10.8125, **SENSOR}, 71.5, "10.8125 mm on a sensor 5.23 mm wide"),
        ({"FocalLength": 10.8125, **SENSOR, "ExifImageWidth": 1280}, 35.8, "10.5 mm wide"),
        ({"FocalLength": 4.2}, 4.2 * 5.6, "guessed sensor"),
        ({"FocalLength": 50}, 75, "guessed sensor"),
        ({}, 30, "assumed 30 mm"),
    ],
)
def test_the_best_of_what_exif_says_is_taken(
    exif: dict[str, Any], film_mm: float, source: str
) -> None:
    film, said, note = found(exif)
    assert film == pytest.approx(film_mm, rel=2e-3)
    assert source in said
    assert note == ""


@pytest.mark.parametrize(
    ("exif", "doubt"),
    [
        ({"FocalLengthIn35mmFilm": 65535}, "65535 is no length"),
        ({"FocalLengthIn35mmFilm": "wide"}, "wide is no length"),
        ({"FocalLengthIn35mmFilm": 1}, "1 mm is not believed"),
        ({"FocalLengthIn35mmFilm": 40000}, "40000 mm (4e+04 mm on 35 mm film) is not believed"),
        ({"FocalLength": 0.01}, "0.056 mm on 35 mm film is not believed"),
    ],
)
def test_a_lie_is_named_and_not_believed(exif: dict[str, Any], doubt: str) -> None:
    film, said, note = found(exif)
    assert (film, said) == (pytest.approx(30), "assumed 30 mm")
    assert doubt in note


def test_after_a_lie_the_next_best_counts() -> None:
    film, said, note = found({"FocalLengthIn35mmFilm": 65535, "FocalLength": 10.8125, **SENSOR})
    assert film == pytest.approx(71.5, rel=2e-3)
    assert "sensor" in said
    assert "65535" in note
    dense = SENSOR | {"FocalPlaneXResolution": 1.0}
    assert "wide and is not believed" in found({"FocalLength": 10.8125, **dense})[2]


@pytest.mark.parametrize("zero", [0, 0.0, None, "", (), float("nan"), math.inf])
def test_words_for_unknown_are_unknown(zero: Any) -> None:
    for name in ("FocalLengthIn35mmFilm", "FocalLength", "FocalPlaneXResolution"):
        assert found({name: zero})[1] == "assumed 30 mm"


def test_what_is_given_goes_before_exif() -> None:
    exif = {"FocalLengthIn35mmFilm": 28}
    assert found(exif, focal_mm=85)[0] == pytest.approx(85)
    assert found(exif, focal_px=900)[1] == "given 900 px"
    px = film_to_pixels(found(exif, fov_deg=60)[0], width=WIDTH, height=HEIGHT)
    assert 2 * math.degrees(math.atan(WIDTH / 2 / px)) == pytest.approx(60)
    assert found(exif, focal_mm=85, mode="reference")[0] == pytest.approx(85)


@given(
    exif=st.dictionaries(
        st.sampled_from(["FocalLengthIn35mmFilm", "FocalLength", *SENSOR]),
        st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.tuples()),
    )
)
def test_whatever_stands_there_a_lens_comes_out(exif: dict[str, Any]) -> None:
    low, high = FILM_RANGE_MM
    assert low * (1 - 1e-9) <= found(exif)[0] <= high * (1 + 1e-9)
