from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import DataError
from fovea.relight.volumes.irradiance import IrradianceVolume

EXACT = 1e-9
BOX = [-1.5] * 3 + [1.5] * 3


@pytest.fixture
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    with np.load(goldens / "inverse-rendering" / "volumes.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def test_irradiance_and_its_gradient_are_those_of_the_reference(golden):
    volume = IrradianceVolume(BOX, golden["irr_volume"].unsqueeze(-1))
    found = volume.irradiance(golden["points"], golden["normals"])
    assert found.shape == (200, 1)
    np.testing.assert_allclose(
        found.detach().squeeze(-1), golden["irradiance"], rtol=EXACT, atol=1e-12
    )
    (found.squeeze(-1) * golden["irr_cot"]).sum().backward()
    gradient = volume.irradiance_coefficients.grad
    np.testing.assert_allclose(
        gradient.squeeze(-1), golden["irr_volume_grad"], rtol=EXACT, atol=1e-12
    )


def test_channels_are_independent(golden):
    rows = golden["irr_volume"].unsqueeze(-1)
    colored = IrradianceVolume(BOX, torch.cat([rows, 2 * rows], dim=-1))
    points, normals = (golden[k].reshape(20, 10, 3) for k in ("points", "normals"))
    found = colored.irradiance(points, normals)
    assert found.shape == (20, 10, 2)
    torch.testing.assert_close(found[..., 1], 2 * found[..., 0])


def test_a_new_volume_is_dark_and_comes_back_from_its_state():
    volume = IrradianceVolume.dark(BOX, resolution=4)
    points = torch.zeros(2, 3)
    assert volume.irradiance(points, points).abs().max() == 0
    state = volume.state_dict()
    assert state.keys() == {"aabb", "irradiance_coefficients"}
    same = IrradianceVolume(state["aabb"], state["irradiance_coefficients"])
    assert same.grid == volume.grid


def test_coefficients_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"\[X, Y, Z, 9, channels\]; got \[4, 4, 4, 9\]"):
        IrradianceVolume(BOX, torch.zeros(4, 4, 4, 9))
