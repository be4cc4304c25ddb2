"""Checkpoints laid out as GS-IR writes them become scenes with materials."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fovea.errors import ArtifactError
from fovea.relight.capture.gsir import read_checkpoint, read_scene
from fovea.relight.film import film
from fovea.relight.settings.film import FilmConfig
from fovea.relight.stages import FILM
from fovea.runs.stage import Context
from fovea.scene.image import read_image
from fovea.scene.ply import read_ply, write_ply
from fovea.scene.ply_elements import read_elements

SHAPES = {
    "xyz": (3,), "f_dc": (1, 3), "f_rest": (15, 3), "scaling": (3,), "rotation": (4,),
    "opacity": (1,), "normal": (3,), "albedo": (3,), "roughness": (1,), "metallic": (1,),
}  # fmt: skip


def write_checkpoint(path: Path, count: int = 7) -> dict[str, torch.Tensor]:
    """A file as its `training.py` saves it; its raw values are given back."""
    random = torch.Generator().manual_seed(2)
    raw = {name: torch.randn(count, *shape, generator=random) for name, shape in SHAPES.items()}
    learnt = [nn.Parameter(values) for values in raw.values()]
    named = dict(zip(raw, learnt, strict=True))
    optimizer = torch.optim.Adam([{"params": [p], "name": name} for name, p in named.items()])
    sum(p.sum() for p in learnt).backward()
    optimizer.step()
    behind = (torch.zeros(count), torch.zeros(count, 1), torch.zeros(count, 1))
    base = nn.Parameter(torch.rand(6, 4, 4, 3, generator=random))
    document = {
        "gaussians": (3, *learnt, *behind, optimizer.state_dict(), np.float64(4.5)),
        "cubemap": {"base": base, "env_base": base},
        "irradiance_volumes": {
            "aabb": torch.tensor([-1.5] * 3 + [1.5] * 3),
            "irradiance_coefficients": torch.zeros(4, 4, 4, 9, 1),
        },
        "light_optimizer": {},
        "iteration": 35_000,
    }
    torch.save(document, path)
    return {name: p.detach() for name, p in named.items()} | {"base": base.detach()}


def test_a_checkpoint_becomes_a_scene_with_materials_and_light(tmp_path: Path) -> None:
    raw = write_checkpoint(tmp_path / "chkpnt35000.pth")
    checkpoint = read_checkpoint(tmp_path / "chkpnt35000.pth")
    scene = checkpoint.gaussians
    torch.testing.assert_close(scene.opacities, raw["opacity"][:, 0].sigmoid())
    torch.testing.assert_close(scene.extras["albedo"], raw["albedo"].sigmoid())
    torch.testing.assert_close(scene.scales, raw["scaling"].exp())
    assert scene.degree == 3
    assert checkpoint.iteration == 35_000
    torch.testing.assert_close(checkpoint.cubemap, raw["base"])
    assert checkpoint.irradiance.shape == (4, 4, 4, 9, 1)


def test_a_film_is_made_of_a_checkpoint_as_of_a_scene(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "chkpnt35000.pth")
    scene = read_checkpoint(tmp_path / "chkpnt35000.pth").gaussians
    write_ply(tmp_path / "scene.ply", scene)
    small = {"seconds": 0.1, "fps": 10, "width": 16, "height": 16, "stills": (0,)}
    pictures = []
    for name in ("chkpnt35000.pth", "scene.ply"):
        config = FilmConfig(scene=tmp_path / name, **small)
        context = Context.local(FILM, config, tmp_path / f"film of {name}")
        film(config, context)
        (still,) = context.output("stills").iterdir()
        pictures.append(read_image(still))
    assert np.abs(pictures[0] - pictures[1]).max() < 0.01
    assert pictures[0].max() > 0.1


def test_a_checkpoint_of_the_first_stage_has_no_materials_yet(tmp_path: Path) -> None:
    path = tmp_path / "chkpnt30000.pth"
    write_checkpoint(path)
    document = torch.load(path, weights_only=False)
    torch.save({name: document[name] for name in ("gaussians", "iteration")}, path)
    assert set(read_scene(path).extras) == {"normal"}


def test_written_as_ply_it_has_the_columns_of_gs_ir(tmp_path: Path) -> None:
    raw = write_checkpoint(tmp_path / "chkpnt35000.pth")
    write_ply(tmp_path / "scene.ply", read_checkpoint(tmp_path / "chkpnt35000.pth").gaussians)
    rows = read_elements(tmp_path / "scene.ply")["vertex"]
    np.testing.assert_allclose(rows["roughness"], raw["roughness"][:, 0], atol=1e-5)
    np.testing.assert_allclose(rows["albedo_2"], raw["albedo"][:, 2], atol=1e-5)
    np.testing.assert_allclose(rows["f_rest_16"], raw["f_rest"][:, 1, 1], atol=1e-6)
    assert set(read_ply(tmp_path / "scene.ply").extras) == {
        "normal", "albedo", "roughness", "metallic",
    }  # fmt: skip


class Stranger:
    """What a hostile file would hold."""

    def __reduce__(self) -> tuple:
        return (print, ("gotcha",))


def test_a_checkpoint_that_would_run_something_is_not_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"gaussians": Stranger()}, tmp_path / "chkpnt1.pth")
    with pytest.raises(ArtifactError, match="no checkpoint that can be read safely"):
        read_checkpoint(tmp_path / "chkpnt1.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"model": torch.zeros(2)}, "it holds model"),
        ([1, 2], "holds list"),
        ({"gaussians": (3, *(7,) * 12)}, "its means is int"),
    ],
)
def test_a_checkpoint_of_something_else_is_told_apart(document, said, tmp_path: Path) -> None:
    torch.save(document, tmp_path / "chkpnt1.pth")
    with pytest.raises(ArtifactError, match=said):
        read_checkpoint(tmp_path / "chkpnt1.pth")


def test_a_checkpoint_that_is_cut_off_is_named_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "chkpnt35000.pth"
    write_checkpoint(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ArtifactError, match="2000 bytes"):
        read_checkpoint(path)
