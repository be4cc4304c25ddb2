"""Gaussians through PLY and back, and what is said of files that are not what they promise."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import ArtifactError
from fovea.scene.color import srgb_to_linear
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0
from fovea.scene.ply import read_ply, write_ply
from fovea.scene.ply_elements import read_elements, write_elements


def scene(
    count: int = 7, degree: int = 2, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Gaussians(
        means=normal(count, 3),
        quats=torch.nn.functional.normalize(normal(count, 4), dim=-1),
        scales=(normal(count, 3) - 3).exp(),
        opacities=torch.sigmoid(normal(count)),
        harmonics=normal(count, (degree + 1) ** 2, 3),
        extras={
            "albedo": torch.sigmoid(normal(count, 3)),
            "roughness": torch.sigmoid(normal(count, 1)),
            "label": normal(count, 2),
        },
    ).to(dtype)


def assert_same(found: Gaussians, wanted: Gaussians, tolerance: float) -> None:
    for name in ("means", "quats", "scales", "opacities", "harmonics"):
        torch.testing.assert_close(
            getattr(found, name), getattr(wanted, name), rtol=tolerance, atol=tolerance
        )
    assert list(found.extras) == list(wanted.extras)
    for name, values in wanted.extras.items():
        torch.testing.assert_close(found.extras[name], values, rtol=tolerance, atol=tolerance)
    assert found.color_space == wanted.color_space


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9), st.integers(0, 4), st.integers(0, 2**31))
def test_a_scene_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, count: int, degree: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("ply") / "scene.ply"
    wanted = scene(count, degree, seed=seed)
    write_ply(path, wanted)
    # Single precision: half a step of the stored logarithm, times its size.
    assert_same(read_ply(path), wanted, 2e-6)


def test_in_double_precision_a_file_comes_back_byte_for_byte(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene())
    write_ply(tmp_path / "b.ply", read_ply(tmp_path / "a.ply", dtype=torch.float64))
    first, second = (read_elements(tmp_path / f"{name}.ply")["vertex"] for name in "ab")
    for name in first.dtype.names or ():
        if name.startswith("rot"):  # made unit again, which may move the last bit
            assert np.abs(first[name] - second[name]).max() < 2e-7
        else:
            assert np.array_equal(first[name], second[name]), name


def test_the_reference_file_is_read_column_by_column(goldens: Path) -> None:
    folder = goldens / "inverse-rendering"
    golden = {
        name: torch.from_numpy(values).double()
        for name, values in np.load(folder / "gaussians_ply_expected.npz").items()
    }
    found = read_ply(folder / "gaussians.ply", dtype=torch.float64)
    wanted = Gaussians(
        means=golden["xyz"],
        quats=torch.nn.functional.normalize(golden["rot"], dim=-1),
        scales=golden["scale"].exp(),
        opacities=torch.sigmoid(golden["opacity"][:, 0]),
        harmonics=torch.cat([golden["features_dc"], golden["features_rest"]], dim=1),
        extras={
            "normal": torch.nn.functional.normalize(golden["normal"], dim=-1),
            **{name: torch.sigmoid(golden[name]) for name in ("albedo", "roughness", "metallic")},
        },
    )
    assert_same(found, wanted, 1e-12)


def test_materials_are_written_in_the_reference_order(goldens: Path, tmp_path: Path) -> None:
    reference = goldens / "inverse-rendering" / "gaussians.ply"
    write_ply(tmp_path / "a.ply", read_ply(reference, dtype=torch.float64))
    ours, theirs = (read_elements(path)["vertex"] for path in (tmp_path / "a.ply", reference))
    assert ours.dtype == theirs.dtype
    for name in ("x", "f_dc_1", "f_rest_17", "opacity", "albedo_2", "metallic", "scale_1"):
        assert np.array_equal(ours[name], theirs[name]), name


def test_a_file_of_sharp_is_written_byte_for_byte(goldens: Path, tmp_path: Path) -> None:
    reference = goldens / "sharp" / "five.ply"
    elements = read_elements(reference)
    plain = {n: rows[rows.dtype.names[0]] for n, rows in elements.items() if n != "vertex"}
    gaussians = read_ply(reference, dtype=torch.float64)
    write_ply(tmp_path / "a.ply", gaussians, elements=plain)
    ours, theirs = (tmp_path / "a.ply").read_bytes(), reference.read_bytes()
    assert len(ours) == len(theirs)
    header = theirs.index(b"end_header\n")
    assert ours[:header] == theirs[:header]
    assert ours[-128:] == theirs[-128:]
    mine = read_elements(tmp_path / "a.ply")["vertex"]
    for name in mine.dtype.names:
        if not name.startswith("rot"):  # the golden's are not of unit length
            assert np.array_equal(mine[name], elements["vertex"][name]), name


def test_a_file_of_sharp_is_read_as_its_reader_does(goldens: Path) -> None:
    golden = {
        name: torch.from_numpy(values)
        for name, values in np.load(goldens / "sharp" / "five_ply.npz").items()
    }
    found = read_ply(goldens / "sharp" / "five.ply")
    assert found.color_space == "srgb"
    colors = srgb_to_linear(found.harmonics[:, 0] * C0 + 0.5)
    unit = torch.nn.functional.normalize(golden["loaded_quaternions"], dim=-1)
    assert torch.allclose(colors, golden["loaded_colors_linear"], atol=1e-6)
    assert torch.allclose(found.scales, golden["loaded_scales"], rtol=1e-6)
    assert torch.allclose(found.opacities, golden["loaded_opacities"], atol=1e-6)
    assert torch.allclose(found.quats, unit, atol=1e-6)


def test_colours_without_a_mark_are_taken_as_told(goldens: Path) -> None:
    legacy = read_ply(goldens / "sharp" / "five_legacy.ply", unmarked_color_space="linear")
    loaded = json.loads((goldens / "sharp" / "ply.json").read_text())["legacy"]
    colors = legacy.harmonics[:, 0] * C0 + 0.5
    assert legacy.color_space == "linear"
    assert torch.allclose(colors, torch.tensor(loaded["colors_linear"]), atol=1e-6)


def test_linear_colours_are_marked(tmp_path: Path) -> None:
    plain = scene()
    linear = Gaussians(**{**vars(plain), "color_space": "linear"})
    write_ply(tmp_path / "a.ply", linear)
    assert read_ply(tmp_path / "a.ply").color_space == "linear"
    write_ply(tmp_path / "b.ply", plain)
    assert list(read_elements(tmp_path / "b.ply")) == ["vertex"]


def test_normals_of_zeros_are_written_when_asked_and_not_read(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(), with_nxyz=True)
    names = read_elements(tmp_path / "a.ply")["vertex"].dtype.names
    assert names[:9] == ("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2")
    assert_same(read_ply(tmp_path / "a.ply"), scene(), 2e-6)


def rewrite(path: Path, format: str) -> None:
    """The same vertices, as text or with the bytes the other way round and doubles."""
    vertex = read_elements(path)["vertex"]
    names = vertex.dtype.names
    kind = "float" if format == "ascii" else "double"
    header = [
        "ply",
        f"format {format} 1.0",
        "comment made by a test",
        f"element vertex {len(vertex)}",
    ]
    header += [f"property {kind} {name}" for name in names]
    header += ["element face 1", "property list uchar int vertex_indices", "end_header"]
    if format == "ascii":
        body = "\n".join(" ".join(repr(float(v)) for v in row) for row in vertex.tolist()).encode()
        body += b"\n3 0 1 2\n"
    else:
        body = vertex.astype([(name, ">f8") for name in names]).tobytes() + b"\3" + bytes(12)
    path.write_bytes("\n".join(header).encode() + b"\n" + body)


@pytest.mark.parametrize("format", ["ascii", "binary_big_endian"])
def test_other_encodings_and_faces_behind_are_read(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, scene())
    wanted = read_ply(path)
    rewrite(path, format)
    assert_same(read_ply(path), wanted, 0)


def test_full_and_empty_opacities_stay_finite(tmp_path: Path) -> None:
    edge = Gaussians(**{**vars(scene(2)), "opacities": torch.tensor([0.0, 1.0])})
    write_ply(tmp_path / "a.ply", edge)
    assert np.isfinite(read_elements(tmp_path / "a.ply")["vertex"]["opacity"]).all()
    assert torch.allclose(read_ply(tmp_path / "a.ply").opacities, edge.opacities, atol=2e-7)


def test_a_zero_quaternion_does_not_turn(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(1))
    vertex = read_elements(tmp_path / "a.ply")["vertex"].copy()
    for index in range(4):
        vertex[f"rot_{index}"] = 0
    write_elements(tmp_path / "a.ply", {"vertex": vertex})
    assert read_ply(tmp_path / "a.ply").quats.tolist() == [[1, 0, 0, 0]]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    write_ply(tmp_path / "a.ply", scene(4, degree=0))
    return tmp_path / "a.ply"


def test_a_cut_off_file_is_said_to_be_so_with_both_sizes(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match=r"4 rows of 80 bytes.* 320 bytes, and 315 are there"):
        read_ply(whole)


def test_a_header_that_promises_a_universe_allocates_nothing(whole: Path) -> None:
    text = whole.read_bytes().replace(b"vertex 4\n", b"vertex 99999999999999\n")
    whole.write_bytes(text)
    with pytest.raises(ArtifactError, match="is cut off: its header promises 99999999999999 rows"):
        read_ply(whole)


def test_a_header_without_end_is_said_to_be_cut_off(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"no 'end_header' in its first 100 bytes"):
        read_ply(whole)


def test_another_kind_of_file_is_named_by_its_start(whole: Path) -> None:
    whole.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ArtifactError, match=r"is not a PLY file: it starts with b'\\x89PNG"):
        read_ply(whole)


def test_a_point_cloud_is_told_apart_by_its_columns(tmp_path: Path) -> None:
    rows = np.zeros(3, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1")])
    write_elements(tmp_path / "a.ply", {"vertex": rows})
    with pytest.raises(ArtifactError, match=r"no column 'f_dc_0'.* Its columns: x, y, z, red\."):
        read_ply(tmp_path / "a.ply")


def test_a_file_without_vertices_lists_its_elements(tmp_path: Path) -> None:
    write_elements(tmp_path / "a.ply", {"splat": np.zeros(1, dtype=[("x", "<f4")])})
    with pytest.raises(ArtifactError, match=r"no element 'vertex'.*Its elements: splat"):
        read_ply(tmp_path / "a.ply")


def test_a_wrong_number_of_harmonics_is_said(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(2, degree=1))
    vertex = read_elements(tmp_path / "a.ply")["vertex"]
    kept = [name for name in vertex.dtype.names if name != "f_rest_8"]
    write_elements(
        tmp_path / "a.ply", {"vertex": np.array(vertex[kept].tolist(), [(n, "<f4") for n in kept])}
    )
    with pytest.raises(ArtifactError, match=r"has 8 columns f_rest_\*"):
        read_ply(tmp_path / "a.ply")


def test_values_that_are_no_numbers_are_counted(whole: Path) -> None:
    vertex = read_elements(whole)["vertex"].copy()
    vertex["y"][2] = np.nan
    write_elements(whole, {"vertex": vertex})
    with pytest.raises(ArtifactError, match="1 of 4 Gaussians whose means are not finite"):
        read_ply(whole)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b"property float x", b"property quad x", "header line that is not PLY: 'property quad x'"),
        (b"property float y", b"property float x", "column 'x' twice"),
        (b"format binary_little_endian 1.0\n", b"", "names no format"),
        (b"element vertex 4", b"element vertex -4", "not PLY: 'element vertex -4'"),
    ],
)
def test_a_damaged_header_is_quoted(whole: Path, old: bytes, new: bytes, sentence: str) -> None:
    whole.write_bytes(whole.read_bytes().replace(old, new, 1))
    with pytest.raises(ArtifactError, match=sentence):
        read_ply(whole)


def test_text_that_is_no_number_is_quoted(whole: Path) -> None:
    rewrite(whole, "ascii")
    header, end, body = whole.read_bytes().partition(b"end_header\n")
    whole.write_bytes(header + end + b"abc" + body[body.index(b" ") :])
    with pytest.raises(ArtifactError, match="abc"):
        read_ply(whole)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_anywhere_gives_a_scene_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    write_ply(path, scene(3, degree=0))
    bytes_ = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes_[: data.draw(st.integers(0, len(bytes_)))])
    with contextlib.suppress(ArtifactError):
        assert len(read_ply(path)) <= 3
