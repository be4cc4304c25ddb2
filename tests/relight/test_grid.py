from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import DataError
from fovea.relight.volumes.grid import Grid, blended, filled, normalised, numbered, trilinear

EXACT = 1e-9  # float64 against float64, spec section 19


@pytest.fixture
def golden(goldens: Path) -> dict[str, np.ndarray]:
    with np.load(goldens / "inverse-rendering" / "volumes.npz") as file:
        return dict(file)


@pytest.fixture
def grid(golden) -> Grid:
    return Grid.cube(float(golden["bound"]), int(golden["res"]))


def test_nodes_around_points_are_those_of_the_reference(golden, grid):
    marked = grid.nodes_around(golden["cell_points"])
    np.testing.assert_array_equal(marked, golden["valid_cells"])
    np.testing.assert_array_equal(numbered(marked), golden["cell_ids"])


def test_filling_is_that_of_the_reference(golden):
    ids, passes = filled(golden["cell_ids"])
    np.testing.assert_array_equal(ids, golden["dilated_ids"])
    assert passes == golden["dilate_passes"]
    assert ids.dtype == np.int32


def test_a_full_grid_is_left_as_it_is():
    ids = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    same, passes = filled(ids)
    np.testing.assert_array_equal(same, ids)
    assert passes == 0


def test_an_empty_grid_cannot_be_filled():
    with pytest.raises(DataError, match="none of them has an id"):
        filled(np.full((2, 2, 2), -1, dtype=np.int32))


def test_weights_that_heed_the_normal_are_those_of_the_reference(golden, grid):
    points, normals = torch.from_numpy(golden["points"]), torch.from_numpy(golden["normals"])
    nodes, weights = trilinear(points, grid, normals)
    ids = torch.from_numpy(golden["ids"]).reshape(-1)[nodes]
    np.testing.assert_array_equal(ids.numpy(), golden["interp_ids"])
    weights = normalised(weights)
    np.testing.assert_allclose(weights.numpy(), golden["interp_weights"], rtol=EXACT, atol=1e-12)
    found = blended(torch.from_numpy(golden["coeffs"]), ids, weights)
    np.testing.assert_allclose(found.numpy(), golden["interp_coeffs"], rtol=EXACT, atol=1e-12)


def test_a_blend_of_a_linear_function_is_that_function_inside_the_box():
    grid = Grid.between([-1, 0, 2], [1, 3, 2.5], [3, 7, 5])
    at_nodes = torch.from_numpy(grid.positions(np.arange(grid.count)))
    slope = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    low, high = torch.tensor(grid.lower), torch.tensor(grid.upper)
    points = low + (high - low) * torch.rand(50, 3, generator=random, dtype=torch.float64)
    nodes, weights = trilinear(points, grid)
    torch.testing.assert_close(blended(at_nodes @ slope, nodes, weights), points @ slope)


def test_gradients_reach_the_rows():
    rows = torch.rand(8, 2, dtype=torch.float64, requires_grad=True)
    nodes, weights = trilinear(torch.rand(5, 3, dtype=torch.float64), Grid.cube(1.0, 2))
    assert torch.autograd.gradcheck(lambda rows: blended(rows, nodes, weights), [rows])


def test_a_grid_around_a_box_has_cubic_cells_and_room_beside_it():
    grid = Grid.around([0, 0, 0], [4, 2, 1], 25)
    assert grid.shape[0] == 25
    np.testing.assert_allclose(grid.step, grid.step[0])
    assert (np.array(grid.lower) <= -1.9 * grid.step).all()
    assert (np.array(grid.upper) - [4, 2, 1] >= 1.9 * grid.step).all()


def test_points_without_number_of_cells_mark_the_border():
    marked = Grid.cube(1.0, 3).nodes_around(np.array([[1e30, 0.1, -1e30]]))
    assert marked.sum() == 2
    assert marked[2, 1, 0]
    assert marked[2, 2, 0]


@pytest.mark.parametrize(("bound", "resolution"), [(0.0, 4), (float("nan"), 4), (1.0, 1)])
def test_a_grid_without_an_inside_is_refused(bound, resolution):
    with pytest.raises(DataError, match="a grid needs"):
        Grid.cube(bound, resolution)
