"""Fewer Gaussians for nearly the same picture."""

import pytest
import torch

from fovea.errors import DataError
from fovea.metrics.image import psnr
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import from_colors
from fovea.scene.rasterize import rasterize
from fovea.scene.thinning import Strategy, contributions, merged, thin, without_transparent

SIDE = 24


def camera(right: float = 0.0) -> Camera:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = -right
    return Camera.from_fov(pose, fov_x=1.0, height=SIDE * 2, width=SIDE * 2)


def wall(z: float, colour: tuple[float, float, float] | None = None) -> Gaussians:
    """A smooth picture on a grid, facing the camera."""
    at = (torch.arange(SIDE) + 0.5) / SIDE - 0.5
    y, x = torch.meshgrid(at, at, indexing="ij")
    means = torch.stack([x.flatten(), y.flatten(), torch.ones(SIDE * SIDE)], dim=1) * z * 1.2
    means[:, 2] = z
    shades = torch.stack([x.flatten() + 0.5, y.flatten() + 0.5, torch.full((SIDE**2,), 0.5)], dim=1)
    colors = shades if colour is None else torch.tensor(colour).expand(SIDE**2, 3)
    count = SIDE * SIDE
    quats = torch.tensor([1.0, 0, 0, 0]).expand(count, 4)
    scales = torch.full((count, 3), 0.6 * z * 1.2 / SIDE)
    return Gaussians(means, quats, scales, torch.full((count,), 0.95), from_colors(colors))


def both(*parts: Gaussians) -> Gaussians:
    names = ("means", "quats", "scales", "opacities", "harmonics")
    return Gaussians(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def likeness(found: Gaussians, wanted: Gaussians) -> float:
    with torch.no_grad():
        pictures = [rasterize(scene, camera(0.02)).features for scene in (found, wanted)]
    return float(psnr(*pictures))


def test_a_contribution_is_the_weight_that_a_gaussian_has_in_the_picture() -> None:
    scene = wall(2.0)
    drawn = rasterize(scene, camera())
    found = contributions(scene, [camera()])
    assert float(found.sum()) == pytest.approx(float(drawn.alpha.sum()), rel=1e-4)
    assert float(contributions(scene, [camera(), camera()]).sum()) == pytest.approx(
        2 * float(found.sum()), rel=1e-5
    )


def test_what_is_hidden_or_out_of_view_adds_little_and_goes_first() -> None:
    front, hidden = wall(2.0), wall(3.0, (1.0, 0.0, 0.0))
    scene = both(front, hidden)
    away = Gaussians(
        *(getattr(front, n) for n in ("means",)),
        *(  # behind the camera
            getattr(front, n) for n in ("quats", "scales", "opacities", "harmonics")
        ),
    )
    behind = Gaussians(-away.means, away.quats, away.scales, away.opacities, away.harmonics)
    weights = contributions(both(scene, behind), [camera()])
    count = len(front)
    assert float(weights[count : 2 * count].sum()) < 0.2 * float(weights[:count].sum())
    assert not weights[2 * count :].any()
    thinned = thin(both(scene, behind), count, [camera(), camera(0.02)])
    assert len(thinned) <= count
    assert likeness(thinned, scene) > 28


@pytest.mark.parametrize("strategy", ["both", "contribution", "merge", "opacity"])
def test_a_budget_is_kept_and_a_large_one_changes_nothing(strategy: Strategy) -> None:
    scene = wall(2.0)
    assert thin(scene, len(scene), [camera()], strategy=strategy) is scene
    for budget in (1, 100):
        found = thin(scene, budget, [camera()], strategy=strategy)
        assert 0 < len(found) <= budget
        assert torch.isfinite(found.means).all()


def test_merging_keeps_more_of_a_picture_than_dropping() -> None:
    scene = wall(2.0)
    by = {
        strategy: likeness(thin(scene, len(scene) // 3, [camera()], strategy=strategy), scene)
        for strategy in ("both", "contribution", "opacity")
    }
    assert by["both"] > by["contribution"] + 5
    assert by["both"] > by["opacity"] + 5


def test_thinning_twice_gives_the_same() -> None:
    one, other = (thin(wall(2.0), 150, [camera()]) for _ in range(2))
    assert torch.equal(one.means, other.means)
    assert torch.equal(one.quats, other.quats)


def test_two_become_one_with_their_joint_mean_and_spread() -> None:
    pair = Gaussians(
        torch.tensor([[-1.0, 0, 5], [1.0, 0, 5]]),
        torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.full((2, 3), 1.0),
        torch.full((2,), 0.2),
        from_colors(torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]])),
        extras={"roughness": torch.tensor([[0.2], [0.4]])},
    )
    found = merged(pair, torch.ones(2), 1)
    assert found.means.tolist() == [[0, 0, 5]]
    assert found.covariances()[0].diagonal().tolist() == pytest.approx([2, 1, 1], rel=1e-5)
    assert found.harmonics.abs().max() < 1e-6
    assert found.extras["roughness"].tolist() == [[pytest.approx(0.3)]]
    # What two cover, 2 x 0.2 x 1, is spread over an area of sqrt(2).
    assert found.opacities.tolist() == pytest.approx([0.4 / 2**0.5], rel=1e-4)


def test_transparent_ones_can_go_alone() -> None:
    scene = wall(2.0)
    scene.opacities[:10] = 0.001
    assert len(without_transparent(scene)) == len(scene) - 10


def test_a_budget_of_nothing_and_no_views_are_refused() -> None:
    with pytest.raises(DataError, match="budget of 0"):
        thin(wall(2.0), 0, [camera()])
    with pytest.raises(DataError, match="needs a view"):
        thin(wall(2.0), 10, [])


def test_two_opaque_ones_become_one_that_covers_as_much() -> None:
    pair = Gaussians(
        torch.tensor([[-0.1, 0, 5], [0.1, 0, 5]]),
        torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.full((2, 3), 1.0),
        torch.full((2,), 0.999),
        from_colors(torch.full((2, 3), 0.5)),
    )
    found = merged(pair, torch.ones(2), 1)
    area = found.scales[0, 0] * found.scales[0, 1]
    assert float(found.opacities[0] * area) == pytest.approx(2 * 0.999, rel=1e-4)
