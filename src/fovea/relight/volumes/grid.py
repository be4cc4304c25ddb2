"""Regular grids of nodes: which of them matter, and what lies between them.

A node (i, j, k) stands at `lower + step * (i, j, k)`; the box's corners are nodes. Nodes are
numbered in row-major order, x slowest. The eight corners of a cell are ordered 000 001 010 011 100
101 110 111, as (x, y, z) offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError

CORNERS = tuple(product((0, 1), repeat=3))
NO_WEIGHT = 1e-4
"""What a sum of weights is divided by where it is 0."""
EMPTY = -1
"""The id of a node that has no coefficients."""


@dataclass(frozen=True)
class Grid:
    """Nodes at equal steps along each axis of a box.

    Attributes:
        lower: the lowest corner of the box.
        upper: the highest.
        shape: nodes along x, y and z.

    Raises:
        DataError: the box is empty or not finite, or an axis has fewer than two nodes.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        low, high = np.array(self.lower), np.array(self.upper)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise DataError(
                f"a grid needs a box with an inside; got corners {self.lower} and {self.upper}."
                " Give a positive bound."
            )
        if min(self.shape) < 2:
            raise DataError(f"a grid needs two nodes along each axis or more; got {self.shape}.")

    @classmethod
    def between(cls, lower: Sequence[float], upper: Sequence[float], shape: Sequence[int]) -> Grid:
        """A grid from corners and counts given as any sequences of three."""
        (x, y, z), (x1, y1, z1) = map(float, lower), map(float, upper)
        along_x, along_y, along_z = map(int, shape)
        return cls((x, y, z), (x1, y1, z1), (along_x, along_y, along_z))

    @classmethod
    def cube(cls, bound: float, resolution: int) -> Grid:
        """The cube from -bound to bound, with `resolution` nodes along each side."""
        return cls.between([-bound] * 3, [bound] * 3, [resolution] * 3)

    @classmethod
    def around(
        cls, lower: Sequence[float], upper: Sequence[float], resolution: int, *, margin: float = 2.0
    ) -> Grid:
        """Cubic cells around a box, `margin` steps wider, `resolution` nodes on its longest side.

        The box grows about its middle until it holds whole cells.
        """
        low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
        step = float((high - low).max()) / max(resolution - 1 - 2 * margin, 1.0)
        cells = np.maximum(np.ceil((high - low) / max(step, 1e-12) - 1e-9 + 2 * margin), 1)
        middle, half = (low + high) / 2, cells * step / 2
        return cls.between((middle - half).tolist(), (middle + half).tolist(), (cells + 1).tolist())

    @cached_property
    def step(self) -> Float[np.ndarray, " 3"]:
        """From a node to the next along each axis, in world units."""
        span = np.array(self.upper, dtype=np.float64) - np.array(self.lower, dtype=np.float64)
        return span / (np.array(self.shape) - 1)

    @property
    def count(self) -> int:
        """The number of nodes."""
        return int(np.prod(self.shape, dtype=np.int64))

    def positions(self, nodes: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N 3"]:
        """Where nodes stand, given by their row-major numbers."""
        at = np.stack(np.unravel_index(nodes, self.shape), axis=-1)
        return np.array(self.lower) + self.step * at

    def nodes_around(self, points: Float[np.ndarray, "N 3"]) -> Bool[np.ndarray, "X Y Z"]:
        """Which nodes are a corner of a cell that holds a point.

        Points outside the box mark nodes on its border.
        """
        marked = np.zeros(self.shape, dtype=bool)
        last = np.array(self.shape) - 1
        cells = np.floor((points - np.array(self.lower)) / self.step)
        cells = np.clip(cells, -1, last + 1).astype(np.int64) + 1
        walled = tuple(last + 3)
        each = np.unique(np.ravel_multi_index(tuple(cells.T), walled))
        cells = np.stack(np.unravel_index(each, walled), axis=-1) - 1
        for corner in CORNERS:
            marked[tuple(np.clip(cells + corner, 0, last).T)] = True
        return marked


def numbered(marked: Bool[np.ndarray, "X Y Z"]) -> Int32[np.ndarray, "X Y Z"]:
    """The marked nodes counted up from 0 in row-major order; the others are `EMPTY`."""
    ids = np.full(marked.shape, EMPTY, dtype=np.int32)
    ids[marked] = np.arange(int(marked.sum()), dtype=np.int32)
    return ids


def filled(ids: Int32[np.ndarray, "X Y Z"]) -> tuple[Int32[np.ndarray, "X Y Z"], int]:
    """Give each empty node the id of a neighbour, pass by pass, until none is empty.

    Within a pass all nodes look at the ids before it. Of several neighbours that have one, the last
    of +z, +y, +x, -x, -y, -z is taken.

    Returns:
        The ids, and the number of passes.

    Raises:
        DataError: all nodes are empty.
    """
    if (ids == EMPTY).all():
        raise DataError(f"a grid of {ids.shape} nodes cannot be filled: none of them has an id.")
    walled = np.pad(ids, 1, constant_values=EMPTY)
    flat = walled.ravel()
    inside = np.pad(np.ones(ids.shape, dtype=bool), 1).ravel()
    along_x, along_y = walled.shape[1] * walled.shape[2], walled.shape[2]
    offsets = np.array([1, along_y, along_x, -along_x, -along_y, -1])
    edge, passes = np.flatnonzero(flat != EMPTY), 0
    while len(edge := _empty_beside(flat, inside, edge, offsets)):
        found = np.full(len(edge), EMPTY, dtype=np.int32)
        for offset in offsets:
            beside = flat[edge + offset]
            found = np.where(beside != EMPTY, beside, found)
        flat[edge] = found
        passes += 1
    return np.ascontiguousarray(walled[1:-1, 1:-1, 1:-1]), passes


def _empty_beside(
    flat: np.ndarray, inside: np.ndarray, edge: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """The empty nodes next to those of the last pass, each once."""
    beside = [near[(flat[near] == EMPTY) & inside[near]] for near in (edge + o for o in offsets)]
    return np.unique(np.concatenate(beside))


def trilinear(
    points: Float[Tensor, "N 3"],
    grid: Grid,
    normals: Float[Tensor, "N 3"] | None = None,
    *,
    plane: Float[Tensor, "N 3"] | None = None,
) -> tuple[Int[Tensor, "N 8"], Float[Tensor, "N 8"]]:
    """The eight nodes around each point and their weights.

    Points beyond the box take what is at its border.

    Args:
        points: in the world.
        grid: the nodes.
        normals: where given, only nodes above the plane through the point count. Their weights
            then no longer sum to 1; a zero normal leaves none.
        plane: points through which these planes go in place of `points`.

    Returns:
        Row-major numbers of the nodes, and weights.
    """
    lower, step = points.new_tensor(grid.lower), points.new_tensor(grid.step)
    last = points.new_tensor(grid.shape) - 1
    at = torch.minimum(((points - lower) / step).clamp(min=0), last)
    cell = at.floor()
    fraction = at - cell
    strides = torch.tensor([grid.shape[1] * grid.shape[2], grid.shape[2], 1], device=points.device)
    nodes, weights = [], []
    for corner in CORNERS:
        offset = points.new_tensor(corner)
        weight = torch.where(offset.bool(), fraction, 1 - fraction).prod(dim=-1)
        if normals is not None:
            through = points if plane is None else plane
            above = ((lower + step * (cell + offset) - through) * normals).sum(dim=-1) > 0
            weight = weight * above
        weights.append(weight)
        nodes.append((torch.minimum(cell + offset, last).long() * strides).sum(dim=-1))
    return torch.stack(nodes, dim=-1), torch.stack(weights, dim=-1)


def normalised(weights: Float[Tensor, "N 8"]) -> Float[Tensor, "N 8"]:
    """Weights that sum to 1, or are all 0."""
    total = weights.sum(dim=-1, keepdim=True)
    return weights / torch.where(total == 0, NO_WEIGHT, total)


def blended(
    rows: Float[Tensor, "M K"], ids: Int[Tensor, "N 8"], weights: Float[Tensor, "N 8"]
) -> Float[Tensor, "N K"]:
    """Weighted sums of rows, differentiable in the rows."""
    return functional.embedding_bag(
        ids, rows, per_sample_weights=weights.to(rows.dtype), mode="sum"
    )
