import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from fovea.errors import DataError
from fovea.scene import harmonics


def directions(count: int = 50) -> torch.Tensor:
    make = torch.Generator().manual_seed(1)
    return torch.nn.functional.normalize(
        torch.randn(count, 3, generator=make, dtype=torch.float64), dim=-1
    )


def test_the_basis_agrees_with_the_reference(goldens):
    golden = np.load(goldens / "inverse-rendering" / "sh_eval.npz")
    found = harmonics.basis(torch.from_numpy(golden["dirs"]), 4)
    np.testing.assert_allclose(found.numpy(), golden["basis"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("degree", range(5))
def test_colours_agree_with_the_reference(goldens, degree):
    golden = np.load(goldens / "inverse-rendering" / "sh_eval.npz")
    coefficients = torch.from_numpy(golden["coeffs"])[:, : (degree + 1) ** 2]
    found = harmonics.evaluate(coefficients, torch.from_numpy(golden["dirs"]))
    np.testing.assert_allclose(found.numpy(), golden[f"color_deg{degree}"], rtol=1e-9, atol=1e-12)


def test_the_basis_is_scipys_real_one_with_the_condon_shortley_sign():
    at = directions()
    theta, phi = torch.acos(at[:, 2]).numpy(), torch.atan2(at[:, 1], at[:, 0]).numpy()
    found = harmonics.basis(at, 4).numpy()
    for degree in range(5):
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), theta, phi)
            part = value.imag if order < 0 else value.real
            wanted = part * (np.sqrt(2) if order else 1)
            np.testing.assert_allclose(found[:, degree**2 + degree + order], wanted, atol=1e-9)


def test_no_gradient_flows_where_a_colour_is_cut_at_zero():
    dark = torch.full((1, 1, 3), -10.0, requires_grad=True)
    colors = harmonics.evaluate(dark, torch.tensor([[0.0, 0.0, 1.0]]))
    colors.sum().backward()
    assert torch.equal(colors.detach(), torch.zeros(1, 3))
    assert dark.grad is not None
    assert torch.equal(dark.grad, torch.zeros(1, 1, 3))


def test_colours_turned_into_coefficients_come_back_from_every_direction():
    colors = torch.rand(50, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.allclose(
        harmonics.evaluate(harmonics.from_colors(colors, degree=2), directions()), colors
    )


def test_a_degree_beyond_four_is_refused():
    with pytest.raises(DataError, match="degrees 0 to 4; got 5"):
        harmonics.basis(directions(), 5)
