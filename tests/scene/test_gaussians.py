import pytest
import torch
from scipy.spatial.transform import Rotation

from fovea.errors import DataError
from fovea.scene.gaussians import Gaussians, rotations


def some(count: int = 5, coefficients: int = 4) -> Gaussians:
    make = torch.Generator().manual_seed(3)
    return Gaussians(
        means=torch.randn(count, 3, generator=make),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=make), dim=-1),
        scales=torch.rand(count, 3, generator=make) + 0.1,
        opacities=torch.rand(count, generator=make),
        harmonics=torch.randn(count, coefficients, 3, generator=make),
        extras={"normal": torch.randn(count, 3, generator=make)},
    )


def test_rotations_agree_with_scipy():
    quats = some(20).quats.double()
    wanted = Rotation.from_quat(quats.numpy(), scalar_first=True).as_matrix()
    assert torch.allclose(rotations(quats), torch.from_numpy(wanted), atol=1e-6)


def test_covariances_have_the_squared_scales_as_eigenvalues():
    gaussians = some(20).to(torch.float64)
    found = torch.linalg.eigvalsh(gaussians.covariances())
    assert torch.allclose(found, (gaussians.scales**2).sort(dim=-1).values, atol=1e-6)


def test_picking_some_picks_every_attribute():
    gaussians = some(5)
    picked = gaussians[torch.tensor([True, False, True, False, False])]
    assert len(picked) == 2
    assert torch.equal(picked.harmonics, gaussians.harmonics[[0, 2]])
    assert torch.equal(picked.extras["normal"], gaussians.extras["normal"][[0, 2]])


def test_the_degree_follows_from_the_coefficients():
    assert [some(coefficients=k).degree for k in (1, 4, 9, 16, 25)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quats": torch.zeros(5, 3)}, r"need quats of shape \[5, 4\] for 5 means; got \[5, 3\]"),
        ({"harmonics": torch.zeros(5, 5, 3)}, "1, 4, 9, 16 or 25 coefficients; got 5"),
        ({"color_space": "rgb"}, "'srgb' or 'linear'; got 'rgb'"),
        ({"extras": {"albedo": torch.zeros(4, 3)}}, r"'albedo' needs shape \[5, C\]; got \[4, 3\]"),
    ],
)
def test_arrays_that_do_not_agree_are_refused(changes, sentence):
    fields = {
        name: getattr(some(), name)
        for name in ("means", "quats", "scales", "opacities", "harmonics")
    }
    with pytest.raises(DataError, match=sentence):
        Gaussians(**(fields | changes))
