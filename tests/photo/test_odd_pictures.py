"""A folder of pictures that are broken or odd: a sentence for each, and the good ones are done."""

import csv
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image
from safetensors.torch import save_file
from sharp_golden import filled_state

from fovea.runs.run import Run

pillow_heif.register_heif_opener()
WIDTH, HEIGHT = 48, 36
HINTS = ("Give", "Fetch", "Export", "Shrink", "Check", "Change")
"""How a sentence goes on: with what to do."""


def picture(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    values = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1)
    return Image.fromarray(values.astype(np.uint8))


def exif(**tags: object) -> Image.Exif:
    numbers = {"orientation": 0x0112, "focal": 0x920A, "film": 0xA405}
    made = Image.Exif()
    inner = {numbers[name]: value for name, value in tags.items() if name != "orientation"}
    if "orientation" in tags:
        made[numbers["orientation"]] = tags["orientation"]
    made._ifds[0x8769] = inner
    return made


def bomb(path: Path) -> None:
    """A PNG of a few hundred bytes that says it has 100 000 x 100 000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def several(path: Path, **options: object) -> None:
    frames = [picture(), picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


def deep_grey(path: Path) -> None:
    values = np.arange(WIDTH * HEIGHT, dtype=np.uint16) * 37
    Image.fromarray(values.reshape(HEIGHT, WIDTH)).save(path)


def palette(path: Path) -> None:
    made = picture().quantize(16)
    made.save(path, transparency=3)


def not_finite(path: Path) -> None:
    values = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    values[3, 4] = np.nan
    tifffile.imwrite(path, values)


def cut(path: Path, name: str, part: float) -> None:
    picture(256, 192).save(path.with_name(name))
    whole = path.with_name(name).read_bytes()
    path.with_name(name).unlink()
    path.write_bytes(whole[: int(len(whole) * part)])


FAILING: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut.jpg": (lambda p: cut(p, "whole.jpg", 0.6), "truncated"),
    "cut.heic": (lambda p: cut(p, "whole.heic", 0.5), "damaged"),
    "cut.png": (lambda p: cut(p, "whole.png", 0.4), "damaged"),
    "bomb.png": (bomb, "100000 x 100000 pixels"),
    "one.png": (lambda p: picture(1, 1).save(p), "1 x 1 pixels"),
    "text.jpg": (lambda p: p.write_text("no picture at all\n"), "starts with b'no picture"),
    "empty.jpg": (lambda p: p.touch(), "empty (0 bytes)"),
    "folder.jpg": (lambda p: p.mkdir(), "is a folder"),
    "nan.tif": (not_finite, "1 values of 1728 that are not finite"),
    "link.jpg": (lambda p: p.symlink_to("nowhere.jpg"), "leads to nothing"),
    "pipe.jpg": (os.mkfifo, "no regular file"),
    "drawing.svg": (lambda p: p.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"), "SVG"),
}
"""Files that cannot be used, and what their sentence says."""

ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "wide.png": (lambda p: picture(30_000, 16).save(p), "longer than cameras take"),
    "moving.gif": (several, "the first of its 2 frames"),
    "moving.webp": (lambda p: several(p, lossless=True), "the first of its 2 frames"),
    "moving.png": (several, "the first of its 2 frames"),
    "pages.tif": (several, "the first of its 2 frames"),
    "no_exif.jpg": (lambda p: picture().save(p), ""),
    "empty_exif.jpg": (lambda p: picture().save(p, exif=b""), ""),
    "torn_exif.jpg": (lambda p: picture().save(p, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"), ""),
    "lying.jpg": (lambda p: picture().save(p, exif=exif(film=65535)), "65535 is no length"),
    "absurd.jpg": (lambda p: picture().save(p, exif=exif(focal=0.1)), "is not believed"),
    "nine.jpg": (lambda p: picture().save(p, exif=exif(orientation=9)), "orientation 9"),
    "cmyk.jpg": (lambda p: picture().convert("CMYK").save(p), "CMYK without a profile"),
    "profile.jpg": (lambda p: picture().save(p, icc_profile=b"torn" * 40), "profile cannot be"),
    "grey16.png": (deep_grey, ""),
    "palette.png": (palette, "transparent"),
    "a_png.jpg": (lambda p: picture().save(p, "PNG"), "named .jpg, it is PNG"),
}  # fmt: skip
"""Files that can be used, and what is noted of them."""


@pytest.fixture(scope="module")
def ended(
    goldens: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One run over all of them, from the command line."""
    place = tmp_path_factory.mktemp("odd")
    folder = place / "photos"
    folder.mkdir()
    picture().save(folder / "good.jpg")
    picture().save(folder / "Good too.JPG", exif=exif(film=28))
    for name, (make, _) in (FAILING | ODD).items():
        make(folder / name)
    weights = place / "tiny.safetensors"
    save_file(filled_state(goldens / "sharp", "tiny"), weights)
    call = [
        sys.executable,
        "-m",
        "fovea",
        "photo.predict",
        str(folder),
        f"engine.weights={weights}",
    ]
    call += ["--run", str(place / "run"), "--device", "cpu", "engine.precision=float32"]
    done = subprocess.run(call, capture_output=True, text=True)
    return done, place


@pytest.fixture(scope="module")
def rows(ended: tuple[subprocess.CompletedProcess[str], Path]) -> dict[str, dict[str, str]]:
    run = Run.open(ended[1] / "run")
    with run.outputs("predict")["table"].open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_the_run_is_done_in_part(
    ended: tuple[subprocess.CompletedProcess[str], Path], rows: dict[str, dict[str, str]]
) -> None:
    done, place = ended
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    run = Run.open(place / "run")
    assert run.state == "done"
    assert run.scores("predict")["failed"] == len(FAILING)
    assert run.scores("predict")["photographs"] == len(ODD) + 2
    assert set(rows) == {*FAILING, *ODD, "good.jpg", "Good too.JPG"}
    scenes = {path.name for path in run.outputs("predict")["scenes"].iterdir()}
    assert scenes == {f"{row['name']}.ply" for row in rows.values() if row["outcome"] == "done"}
    assert len(scenes) == len(ODD) + 2


@pytest.mark.parametrize("name", FAILING)
def test_a_bad_file_has_a_sentence_that_says_what_to_do(
    name: str, ended: tuple[subprocess.CompletedProcess[str], Path], rows: dict[str, dict[str, str]]
) -> None:
    sentence = rows[name]["what"]
    assert rows[name]["outcome"] == "failed"
    assert name in sentence
    assert FAILING[name][1] in sentence
    assert any(hint in sentence for hint in HINTS), sentence
    assert sentence in ended[0].stderr.replace("\n", " ")
    assert sentence.endswith(".")


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_done_and_what_was_assumed_is_noted(
    name: str, rows: dict[str, dict[str, str]]
) -> None:
    assert rows[name]["outcome"] == "done", rows[name]["what"]
    assert ODD[name][1] in rows[name]["what"]
    assert float(rows[name]["focal_px"]) > 0
