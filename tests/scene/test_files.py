"""Scenes by suffix: what each format keeps, files made by others, and damage."""

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import ArtifactError
from fovea.scene.files import read_gaussians, write_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply_elements import read_elements, write_elements
from fovea.scene.spz import read_spz, write_spz

MADE_BY_OTHERS = Path(__file__).parent / "formats"
FORMATS = ("scene.ply", "scene.compressed.ply", "scene.spz")


def scene(count: int = 300, degree: int = 2, seed: int = 0, spread: float = 1.0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        means=normal(count, 3) * spread,
        quats=torch.nn.functional.normalize(normal(count, 4), dim=-1),
        scales=(normal(count, 3) - 3).exp(),
        opacities=torch.sigmoid(normal(count)),
        harmonics=0.3 * normal(count, (degree + 1) ** 2, 3),
    )


def matched(found: Gaussians, wanted: Gaussians) -> Gaussians:
    """Those of `found` in the order of `wanted`: the compressed PLY sorts them."""
    return found[torch.cdist(wanted.means, found.means).argmin(dim=1)]


def assert_near(found: Gaussians, wanted: Gaussians, steps: dict[str, float]) -> None:
    assert len(found) == len(wanted)
    found = matched(found, wanted)
    clip = (-1, 127 / 128) if steps["harmonics"] == SPZ["harmonics"] else (-4, 4)
    differences = {
        "means": found.means - wanted.means,
        "scales": found.scales.log() - wanted.scales.log(),
        "opacities": found.opacities - wanted.opacities,
        "colors": found.harmonics[:, 0] - wanted.harmonics[:, 0],
        "harmonics": found.harmonics[:, 1:] - wanted.harmonics[:, 1:].clamp(*clip),
        "quats": 1 - (found.quats * wanted.quats).sum(dim=-1).abs(),
    }
    for name, difference in differences.items():
        assert difference.abs().amax().item() <= steps[name], name


# Half of one step of each format, and a little for the last of an unevenly divided range.
PLY = dict.fromkeys(("means", "scales", "opacities", "colors", "harmonics", "quats"), 3e-6)
SPZ = {"means": 0.5 / 4096 + 1e-6, "scales": 0.5 / 16 + 1e-5, "opacities": 0.5 / 255 + 1e-6}
SPZ |= {"colors": 0.5 / 255 / 0.15 + 1e-5, "harmonics": 8.5 / 128 + 1e-6, "quats": 3e-6}
COMPRESSED = {"means": 6 / 1023, "scales": 6 / 1023, "opacities": 0.5 / 255 + 1e-6}
COMPRESSED |= {"colors": 2.5 / 255, "harmonics": 0.5 / 32 + 1e-6, "quats": 3e-6}
STEPS = dict(zip(FORMATS, (PLY, COMPRESSED, SPZ), strict=True))


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("name", FORMATS)
def test_a_scene_comes_back_within_a_step_of_its_format(
    tmp_path: Path, name: str, degree: int
) -> None:
    wanted = scene(degree=degree)
    write_gaussians(tmp_path / name, wanted)
    found = read_gaussians(tmp_path / name)
    assert found.degree == degree
    if degree == 0:
        wanted = Gaussians(**{**vars(wanted), "harmonics": wanted.harmonics[:, :1]})
        assert found.harmonics.shape == wanted.harmonics.shape
        steps = STEPS[name]
        assert (matched(found, wanted).harmonics - wanted.harmonics).abs().max() < steps["colors"]
    else:
        assert_near(found, wanted, STEPS[name])


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257])
@pytest.mark.parametrize("name", FORMATS)
def test_any_number_fits(tmp_path: Path, name: str, count: int) -> None:
    write_gaussians(tmp_path / name, scene(count))
    assert len(read_gaussians(tmp_path / name)) == count


@pytest.mark.parametrize(
    ("file", "steps"),
    [
        ("scene.compressed.ply", COMPRESSED),
        ("scene_v3.spz", SPZ),
        ("scene_v2.spz", SPZ | {"quats": 0.006}),
    ],
)
def test_files_made_by_others_are_read(file: str, steps: dict[str, float]) -> None:
    wanted = read_gaussians(MADE_BY_OTHERS / "scene.ply")
    assert_near(read_gaussians(MADE_BY_OTHERS / file), wanted, steps)


def test_our_spz_is_niantics_byte_for_byte(tmp_path: Path) -> None:
    write_spz(tmp_path / "ours.spz", read_gaussians(MADE_BY_OTHERS / "scene.ply"))
    ours, theirs = (
        gzip.decompress(path.read_bytes())
        for path in (tmp_path / "ours.spz", MADE_BY_OTHERS / "scene_v3.spz")
    )
    assert ours == theirs


def test_a_file_is_the_same_each_time_it_is_written(tmp_path: Path) -> None:
    for name in FORMATS:
        write_gaussians(tmp_path / name, scene(20))
        first = (tmp_path / name).read_bytes()
        write_gaussians(tmp_path / name, scene(20))
        assert (tmp_path / name).read_bytes() == first


def test_turning_to_the_formats_axes_turns_the_colours_too(tmp_path: Path) -> None:
    wanted = scene(40, degree=3)
    write_spz(tmp_path / "a.spz", wanted, opencv_axes=True)
    assert_near(read_spz(tmp_path / "a.spz", opencv_axes=True), wanted, SPZ)
    turned = read_spz(tmp_path / "a.spz")
    flip = torch.tensor([1.0, -1, -1])
    assert torch.allclose(turned.means, wanted.means * flip, atol=2e-4)
    place = torch.tensor([2.0, 1.0, -4.0])
    seen, expected = turned.colors(place * flip), wanted.colors(place)
    assert (seen - expected).abs().max() < 0.25  # 4-bit harmonics; a wrong sign is off by 1
    half_turn = torch.diag(flip)
    expected_shapes = half_turn @ wanted.covariances() @ half_turn
    shapes = turned.covariances()
    largest = expected_shapes.abs().amax(dim=(1, 2), keepdim=True)
    assert ((shapes - expected_shapes) / largest).abs().max() < 0.1


def test_far_away_places_get_coarser_steps_and_no_clipping(tmp_path: Path) -> None:
    wanted = scene(50, spread=30_000)
    write_spz(tmp_path / "a.spz", wanted)
    assert (read_spz(tmp_path / "a.spz").means - wanted.means).abs().max() < 0.1


def test_chunks_gather_neighbours(tmp_path: Path) -> None:
    write_gaussians(tmp_path / "a.compressed.ply", scene(5000))
    chunk = read_elements(tmp_path / "a.compressed.ply")["chunk"]
    span = np.median(chunk["max_x"] - chunk["min_x"])
    assert span < 0.5 * (chunk["max_x"].max() - chunk["min_x"].min())


def test_older_chunks_without_a_range_of_colours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.compressed.ply"
    write_gaussians(path, scene(10, degree=0))
    elements = read_elements(path)
    names = [name for name in elements["chunk"].dtype.names if name[-2:] not in ("_r", "_g", "_b")]
    chunk = np.empty(1, dtype=[(name, "<f4") for name in names])
    for name in names:
        chunk[name] = elements["chunk"][name]
    write_elements(path, {"chunk": chunk, "vertex": elements["vertex"]})
    constant = read_gaussians(path).harmonics[:, 0]
    assert constant.min() >= -0.5 / 0.2820948 - 1e-4
    assert constant.max() <= 0.5 / 0.2820948 + 1e-4


def test_another_suffix_is_refused_both_ways(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"are written as .*, not '\.ksplat'"):
        write_gaussians(tmp_path / "a.ksplat", scene(1))
    with pytest.raises(ArtifactError, match=r"are read as .*, not '\.obj'"):
        read_gaussians(tmp_path / "a.obj")


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_scene_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="there is no such file"):
        read_gaussians(tmp_path / name)


def spz(header: tuple[int, ...], body: bytes = b"") -> bytes:
    return gzip.compress(struct.pack("<IIIBBBB", *header) + body)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not an spz", r"is not an SPZ file: it starts with b'not an spz'"),
        (b"NGSP\4\0\0\0", "is SPZ 4 or later, and versions 2 and 3 are read"),
        (gzip.compress(b"x" * 100), "is a gzip file, and not an SPZ"),
        (gzip.compress(b"x"), "cut off in its header"),
        (b"\x1f\x8b\x08 damaged here", "is damaged"),
        (spz((0x5053474E, 1, 1, 0, 12, 0, 0)), "is SPZ 1 of degree 0 with 12 fractional bits"),
        (spz((0x5053474E, 3, 1, 9, 12, 0, 0)), "of degree 9"),
        (spz((0x5053474E, 3, 2, 0, 12, 0, 0), bytes(39)), "promises 2 Gaussians, 40 bytes, and 39"),
        (spz((0x5053474E, 3, 2**32 - 1, 3, 12, 0, 0), bytes(999)), "promises 4294967295"),
    ],
)
def test_what_is_no_spz_is_said_to_be_so(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.spz").write_bytes(content)
    with pytest.raises(ArtifactError, match=sentence):
        read_gaussians(tmp_path / "a.spz")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    header = struct.pack("<IIIBBBB", 0x5053474E, 3, 1, 0, 12, 0, 0)
    (tmp_path / "a.spz").write_bytes(gzip.compress(header + bytes(200_000_000), compresslevel=1))
    assert len(read_gaussians(tmp_path / "a.spz")) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda e: e | {"chunk": e["chunk"][:1]}, "has 1 chunks for 300 Gaussians"),
        (lambda e: e | {"sh": e["sh"][:7]}, "harmonics of 7 rows and 24 columns"),
        (
            lambda e: e | {"chunk": e["chunk"][["min_x"]].astype([("min_x", "<f4")])},
            r"no column 'max_x' in element 'chunk'.* Its columns: min_x\.",
        ),
        (
            lambda e: (
                e | {"vertex": e["vertex"].astype([(n, "<f4") for n in e["vertex"].dtype.names])}
            ),
            "other types than uint",
        ),
    ],
)
def test_chunks_that_do_not_fit_are_said(tmp_path: Path, change, sentence: str) -> None:
    path = tmp_path / "a.compressed.ply"
    write_gaussians(path, scene())
    write_elements(path, change(read_elements(path)))
    with pytest.raises(ArtifactError, match=sentence):
        read_gaussians(path)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FORMATS[1:]), st.data())
def test_damage_anywhere_gives_a_scene_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damage") / name
    write_gaussians(path, scene(5))
    is_zipped = name.endswith(".spz")
    content = bytearray(gzip.decompress(path.read_bytes()) if is_zipped else path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path.write_bytes(gzip.compress(content) if is_zipped else content)
    with contextlib.suppress(ArtifactError):
        assert len(read_gaussians(path)) < 2000
