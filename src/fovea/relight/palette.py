"""The materials of a surface as they are learnt: few cells, many vertices.

Light changes slowly over a surface, paint does not. A vertex therefore takes its base colour from
the cells around it, and the deviation from their mean colour that the photographs show at it: what
has to be learnt is as coarse as shading, and what is written is as fine as the photographs. Where a
cell turns out to be metal the deviation is reflections and not paint, and fades with it.

`V` vertices, `C` cells, `B` places, each between three vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from fovea.relight.settings.decompose import PriorsConfig
from fovea.relight.surface.mesh import Mesh

CELL_EDGES = 5.0
"""Edge of a cell, in edges of the mesh's triangles."""
TURN = 2.0
"""How far apart opposite normals are, in cells: sides of a thin wall do not share cells."""
NEIGHBOURS, ALIKE = 4, 6
SPREAD = 0.7
"""Of a cell's influence, in cells."""
BLACK = 0.01
"""Added to colours before their logarithm."""
LEAST_ROUGHNESS, ROUGHNESS_RANGE = 0.08, 0.9
KNEE, BRIGHTEST = 0.8, 0.99
ROUGHNESS_START, METALLIC_START = -1.0, -1.0
"""Raw values before anything is known: roughness 0.32 and metallic 0.27."""


class Materials(NamedTuple):
    """Base colour (linear), roughness and metallic, in rows."""

    albedo: Float[Tensor, "B 3"]
    roughness: Float[Tensor, "B 1"]
    metallic: Float[Tensor, "B 1"]


@dataclass(frozen=True)
class Cells:
    """Which cells a vertex takes its materials from, and which cells are alike.

    Attributes:
        around: the nearest cells of each vertex.
        weights: of these, adding up to 1.
        pairs: of neighbouring cells.
        alike: of each pair, 1 where the photographs show the same colour.
        colors: mean colours of the cells, linear.
    """

    around: Int[Tensor, "V 4"]
    weights: Float[Tensor, "V 4"]
    pairs: Int[Tensor, "P 2"]
    alike: Float[Tensor, " P"]
    colors: Float[Tensor, "C 3"]

    @classmethod
    def of(cls, mesh: Mesh, colors: Float[np.ndarray, "V 3"]) -> Cells:
        """Lay cells over a surface, by place and direction."""
        size = CELL_EDGES * mesh.edge
        axis = np.abs(mesh.normals).argmax(axis=1)
        is_up = np.take_along_axis(mesh.normals, axis[:, None], axis=1)[:, 0] > 0
        keys = np.floor(mesh.vertices / size).astype(np.int64)
        keys = np.column_stack([keys, 2 * axis + is_up])
        _, cell = np.unique(keys, axis=0, return_inverse=True)
        cell = cell.reshape(-1)
        places, normals, means = (
            _means(values, cell) for values in (mesh.vertices, mesh.normals, colors)
        )
        points = np.column_stack([places / size, TURN * normals])
        tree = KDTree(points)
        own = np.column_stack([mesh.vertices / size, TURN * mesh.normals])
        distance, around = tree.query(own, k=min(NEIGHBOURS, len(points)))
        distance, around = distance.reshape(len(own), -1), around.reshape(len(own), -1)
        weights = np.exp(-0.5 * (distance / SPREAD) ** 2) + 1e-6
        weights /= weights.sum(axis=1, keepdims=True)
        count = min(ALIKE + 1, len(points))
        _, near = tree.query(points, k=count)
        near = near.reshape(len(points), -1)[:, 1:]
        pairs = np.column_stack([np.repeat(np.arange(len(points)), near.shape[1]), near.ravel()])
        return cls(
            torch.from_numpy(around).long(),
            torch.from_numpy(weights).float(),
            torch.from_numpy(pairs).long(),
            torch.from_numpy(_alikeness(means, pairs)).float(),
            torch.from_numpy(means).float(),
        )

    def mixed(self, values: Float[Tensor, "C c"], vertices: Tensor) -> Float[Tensor, "*batch c"]:
        """Values of the cells at vertices, by number."""
        return (values[self.around[vertices]] * self.weights[vertices].unsqueeze(-1)).sum(dim=-2)


class Palette:
    """The raw parameters of all cells, and what they stand for.

    Args:
        mesh: the surface.
        colors: of its vertices as photographed, mean linear radiance.
        white: base colour that the brightest vertices begin with.
    """

    def __init__(self, mesh: Mesh, colors: Float[np.ndarray, "V 3"], *, white: float) -> None:
        self.cells = Cells.of(mesh, colors)
        logs = (self.cells.colors + BLACK).log()
        every = torch.arange(len(mesh.vertices))
        seen = torch.from_numpy(np.ascontiguousarray(colors, dtype=np.float32))
        self.detail = (seen + BLACK).log() - self.cells.mixed(logs, every)
        self.brightest = float(seen.max(dim=1).values.quantile(0.95))
        self.shown = logs
        self.parameters = {
            "albedo": logs + float(np.log(white / max(self.brightest, BLACK))),
            "roughness": torch.full((len(logs), 1), ROUGHNESS_START),
            "metallic": torch.full((len(logs), 1), METALLIC_START),
        }
        for values in self.parameters.values():
            values.requires_grad_()

    def at(self, corners: Int[Tensor, "B 3"], weights: Float[Tensor, "B 3"]) -> Materials:
        """The materials of places between three vertices each."""
        albedo, roughness, metallic = self._of(corners)
        shares = weights.unsqueeze(-1)
        return Materials(
            (albedo * shares).sum(dim=1),
            (roughness * shares).sum(dim=1),
            (metallic * shares).sum(dim=1),
        )

    @torch.no_grad()
    def at_vertices(self) -> Materials:
        """The materials of all vertices."""
        return Materials(*self._of(torch.arange(len(self.detail))))

    def _of(self, vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw = self.parameters
        metallic = self.cells.mixed(raw["metallic"].sigmoid(), vertices)
        roughness = self.cells.mixed(raw["roughness"].sigmoid(), vertices)
        logs = self.cells.mixed(raw["albedo"], vertices) + self.detail[vertices] * (1 - metallic)
        return _below_one(logs.exp()), LEAST_ROUGHNESS + ROUGHNESS_RANGE * roughness, metallic

    def prior(self, weights: PriorsConfig, *, progress: float) -> Float[Tensor, ""]:
        """How far the cells are from what is thought of materials beforehand.

        Neighbours alike in colour have been given alike materials; metals, alike or not, one base
        colour. Few cells are metal, and those that are, wholly so.
        """
        first, second = self.cells.pairs.unbind(dim=1)
        alike = self.cells.alike.unsqueeze(-1)
        metallic = self.parameters["metallic"].sigmoid()
        roughness = self.parameters["roughness"].sigmoid()
        albedo = self.parameters["albedo"]
        both_metal = (metallic[first] * metallic[second]).detach()
        weight = torch.maximum(alike, both_metal)
        terms = (
            weights.albedo * (weight * (albedo[first] - albedo[second]).abs()).mean(),
            weights.roughness * (alike * (roughness[first] - roughness[second]).abs()).mean(),
            weights.metallic * (alike * (metallic[first] - metallic[second]).abs()).mean(),
            weights.dielectric * metallic.mean(),
            weights.decided * min(1.0, 2 * progress) * (metallic * (1 - metallic)).mean(),
        )
        return torch.stack(terms).sum()


def _below_one(values: Tensor) -> Tensor:
    """The same up to a knee, then bending so as to stay below 1."""
    room = BRIGHTEST - KNEE
    return torch.where(values < KNEE, values, KNEE + room * ((values - KNEE) / room).tanh())


def _means(values: np.ndarray, cell: np.ndarray) -> np.ndarray:
    counts = np.bincount(cell)
    sums = [np.bincount(cell, values[:, axis]) for axis in range(values.shape[1])]
    return np.stack(sums, axis=1) / counts[:, None]


def _alikeness(colors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """1 for cells of one colour; less with another hue, and a little less with another shade."""
    colors = np.maximum(colors, 1e-3)
    hue, shade = colors / colors.sum(axis=1, keepdims=True), np.log(colors)
    first, second = pairs.T
    apart = 20 * np.abs(hue[first] - hue[second]).sum(axis=1)
    return np.exp(-apart - np.abs(shade[first] - shade[second]).mean(axis=1))
