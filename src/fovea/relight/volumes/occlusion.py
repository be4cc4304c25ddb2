"""How much of the sky each place near a surface sees, kept on a grid.

Each node holds the sphere of what it sees, 1 for open and 0 for hidden, as 16 coefficients of the
spherical harmonics; nodes far from every surface share those of the nearest. "Occlusion" in names
and files is the field's word; the number asked for is the opposite, visibility: 1 is open sky.

`mode=reference` asks as published. The corrected mode differs in four things: nodes inside the
solid do not count, nodes count from the point's own tangent plane and not from that of the shifted
point, where no node counts all do, and the cosine integral is exact, so that an open place has 1.

Source: Liang et al., "GS-IR: 3D Gaussian Splatting for Inverse Rendering" (2024), section 3.3.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32
from torch import Tensor

from fovea.errors import ArtifactError, DataError
from fovea.relight.volumes.grid import Grid, blended, normalised, trilinear
from fovea.relight.volumes.lobe import (
    COEFFICIENTS,
    SAMPLES,
    cosine_visibility,
    half_space,
    lobe_visibility,
)
from fovea.scene.gaussians import Gaussians

Mode = Literal["corrected", "reference"]
SCHEMA = 1
AT_ONCE = 1 << 15
"""Points that are asked for together; their samples take some 30 MB."""
OPAQUE = 0.3
"""Opacity from which a Gaussian counts where a scene is told from another."""
LEAST_WHOLE = 0.05
"""An open plane's share of a lobe from which the share of a place is taken relative to it."""
TOLERANCE = 0.03
"""Share of its size by which a scene's box may differ from that of the scene that was baked."""


@dataclass(frozen=True)
class OcclusionVolume:
    """What the nodes of a grid see.

    Attributes:
        grid: where the nodes stand.
        ids: of each node, a row of the coefficients.
        coefficients: of how open each direction is.
        threshold: the distance up to which things hide, in world units; infinity for any.
        mode: how it was baked and is asked.
        measured: which nodes have coefficients of their own. The others have a neighbour's.
        scene: the lowest and highest corner of the scene that was baked, where that is known.
    """

    grid: Grid
    ids: Int32[Tensor, "X Y Z"]
    coefficients: Float32[Tensor, "M 16"]
    threshold: float = math.inf
    mode: Mode = "corrected"
    measured: Bool[Tensor, "X Y Z"] | None = None
    scene: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def to(self, device: torch.device | str) -> OcclusionVolume:
        """The same on another device."""
        measured = None if self.measured is None else self.measured.to(device)
        return replace(
            self,
            ids=self.ids.to(device),
            coefficients=self.coefficients.to(device),
            measured=measured,
        )

    def visibility(
        self,
        points: Float[Tensor, "*batch 3"],
        normals: Float[Tensor, "*batch 3"],
        *,
        jitter: Float[Tensor, "*batch"] | None = None,
    ) -> Float[Tensor, "*batch"]:
        """The share of the cosine-weighted sky over each place that is open; 0 for a zero normal.

        Args:
            points: on or near the surface, in the world.
            normals: unit, outwards.
            jitter: in 0..1, turns the samples of the reference mode; nothing else has any.
        """

        def ask(points: Tensor, normals: Tensor, *turns: Tensor) -> Tensor:
            found = self.coefficients_at(points, normals)
            if self.mode == "corrected":
                return cosine_visibility(found, normals)
            return lobe_visibility(found, normals, jitter=turns[0] if turns else None)

        flat = [points.reshape(-1, 3), normals.reshape(-1, 3)]
        if jitter is not None:
            flat.append(jitter.reshape(-1))
        return _in_parts(ask, flat, AT_ONCE).reshape(points.shape[:-1])

    def lobe_visibility(
        self,
        points: Float[Tensor, "*batch 3"],
        normals: Float[Tensor, "*batch 3"],
        axes: Float[Tensor, "*batch 3"],
        roughness: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch"]:
        """The open share of a GGX lobe about an axis, such as the mirrored view; for highlights.

        Sixteen coefficients blur narrow lobes: what an open plane has is 0.81 at its normal. The
        corrected mode divides by that, so that an open place has 1.
        """

        def ask(points: Tensor, normals: Tensor, axes: Tensor, roughness: Tensor) -> Tensor:
            found = self.coefficients_at(points, normals)
            share = lobe_visibility(found, axes, roughness=roughness)
            if self.mode == "reference":
                return share
            whole = lobe_visibility(half_space(normals), axes, roughness=roughness)
            return (share / whole.clamp(min=LEAST_WHOLE)).clamp(max=1)

        flat = [values.reshape(-1, 3) for values in (points, normals, axes)]
        open_share = _in_parts(ask, [*flat, roughness.reshape(-1)], AT_ONCE * 16 // SAMPLES)
        return open_share.reshape(points.shape[:-1])

    def coefficients_at(
        self, points: Float[Tensor, "N 3"], normals: Float[Tensor, "N 3"]
    ) -> Float[Tensor, "N 16"]:
        """What is seen from places: the nodes in front of the surface, by their nearness."""
        lower, upper = points.new_tensor(self.grid.lower), points.new_tensor(self.grid.upper)
        inside = torch.minimum(torch.maximum(points, lower), upper)
        half_cell = (upper - lower) / (2 * points.new_tensor(self.grid.shape))
        shifted = inside + normals * half_cell
        if self.mode == "reference":
            nodes, weights = trilinear(shifted, self.grid, normals)
        else:
            nodes, weights = self._counting(shifted, inside, normals)
        ids = self.ids.reshape(-1)[nodes].long()
        return blended(self.coefficients, ids, normalised(weights)).to(points)

    def _counting(self, shifted: Tensor, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        """The corrected mode's nodes and weights."""
        nodes, weights = trilinear(shifted, self.grid, normals, plane=points)
        if self.measured is not None:
            own = weights * self.measured.reshape(-1)[nodes]
            weights = _first_that_counts(own, weights)
        _, any_side = trilinear(shifted, self.grid)
        return nodes, _first_that_counts(weights, any_side)

    def require_scene(self, gaussians: Gaussians, *, where: str | Path) -> None:
        """Refuse a scene other than the one that was baked.

        Raises:
            ArtifactError: the boxes around what is opaque differ.
        """
        if self.scene is None:
            return
        low, high = (np.array(corner) for corner in self.scene)
        found_low, found_high = (np.array(corner) for corner in scene_box(gaussians))
        off = float(np.abs(np.stack([low - found_low, high - found_high])).max())
        if not off <= TOLERANCE * float((high - low).max()):
            raise ArtifactError(
                f"{where} was baked from another scene: from one between {_shown(low)} and"
                f" {_shown(high)}, and this one lies between {_shown(found_low)} and"
                f" {_shown(found_high)}. Bake it: fovea relight bake scene=..."
            )

    def write(self, path: Path) -> None:
        """Write an .npz, the same bytes for the same values, that appears only when whole."""
        measured = np.ones(0, dtype=bool) if self.measured is None else _array(self.measured)
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("wb") as file:
            np.savez_compressed(
                file,
                schema=np.int32(SCHEMA),
                lower=np.array(self.grid.lower),
                upper=np.array(self.grid.upper),
                occlusion_ids=_array(self.ids),
                occlusion_coefficients=_array(self.coefficients),
                occlusion_threshold=np.float64(self.threshold),
                mode=np.array(self.mode),
                measured=np.packbits(measured),
                scene=np.array(self.scene or np.zeros((0, 3))),
            )
        draft.replace(path)

    @classmethod
    def read(cls, path: str | Path) -> OcclusionVolume:
        """Read an `occlusion.npz`, or an `occlusion_volumes.pth` of GS-IR.

        Nothing that such a file might carry is run.

        Raises:
            ArtifactError: it is missing, cut short, or not such a file.
        """
        path = Path(path)
        if not path.is_file():
            raise ArtifactError(f"No occlusion volume {path}: there is no such file.")
        try:
            values = _of_torch(path) if path.suffix == ".pth" else _of_numpy(path)
            return _checked(path, cls._of(values))
        except (
            *(KeyError, ValueError, TypeError, EOFError, OSError, RuntimeError),
            *(pickle.UnpicklingError, zipfile.BadZipFile, DataError),
        ) as error:
            reason = str(error).strip().splitlines()[:1]
            raise ArtifactError(
                f"{path} ({path.stat().st_size} bytes) is not an occlusion volume"
                f" ({type(error).__name__}: {''.join(reason)}). Give an occlusion.npz of"
                " relight.bake or an occlusion_volumes.pth of GS-IR."
            ) from error

    @classmethod
    def _of(cls, values: dict[str, Any]) -> OcclusionVolume:
        ids = torch.as_tensor(values["occlusion_ids"]).to(torch.int32)
        coefficients = torch.as_tensor(values["occlusion_coefficients"]).to(torch.float32)
        threshold = float(values["occlusion_threshold"])
        if "bound" in values:
            bound = [float(values["bound"])] * 3
            grid = Grid.between([-b for b in bound], bound, ids.shape)
            rows = coefficients.reshape(len(coefficients), -1)
            return cls(grid, ids, rows, threshold, "reference")
        measured, box = None, values["scene"].tolist()
        if len(values["measured"]):
            bits = np.unpackbits(values["measured"], count=ids.numel())
            measured = torch.from_numpy(bits.astype(bool)).reshape(ids.shape)
        return cls(
            Grid.between(values["lower"], values["upper"], ids.shape),
            ids,
            coefficients,
            threshold,
            "reference" if str(values["mode"]) == "reference" else "corrected",
            measured,
            (tuple(box[0]), tuple(box[1])) if box else None,
        )


def scene_box(gaussians: Gaussians) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The lowest and highest corner of what is opaque, but for the few farthest.

    Raises:
        ArtifactError: nothing is opaque.
    """
    means = gaussians.means.detach()[gaussians.opacities.detach() > OPAQUE].cpu().double().numpy()
    if len(means) == 0:
        most = float(gaussians.opacities.max()) if len(gaussians) else 0.0
        raise ArtifactError(
            f"a scene needs something opaque to hide the sky; of {len(gaussians)} Gaussians none"
            f" has an opacity above {OPAQUE} (the highest is {most:.3g}). Fit it for longer."
        )
    low, high = np.quantile(means, [0.002, 0.998], axis=0)
    return tuple(low.tolist()), tuple(high.tolist())


def _first_that_counts(weights: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(weights.sum(dim=-1, keepdim=True) > 0, weights, otherwise)


def _in_parts(ask: Any, tensors: list[Tensor], at_once: int) -> Tensor:
    parts = zip(*(values.split(at_once) for values in tensors), strict=True)
    found = [ask(*part) for part in parts]
    return torch.cat(found) if found else tensors[0].new_zeros(0)


def _of_numpy(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _of_torch(path: Path) -> dict[str, Any]:
    values = torch.load(path, map_location="cpu", weights_only=True)
    if int(values["degree"]) ** 2 != COEFFICIENTS:
        raise ValueError(f"it has {values['degree']} bands, and only 4 can be asked")
    return values


def _checked(path: Path, volume: OcclusionVolume) -> OcclusionVolume:
    rows = tuple(volume.coefficients.shape)
    if len(rows) != 2 or rows[1] != COEFFICIENTS or rows[0] == 0:
        raise ValueError(f"its coefficients have shape {list(rows)}, not [M, {COEFFICIENTS}]")
    low, high = int(volume.ids.min()), int(volume.ids.max())
    if low < 0 or high >= rows[0]:
        raise ValueError(f"its ids go from {low} to {high}, and it has {rows[0]} rows")
    if not bool(volume.coefficients.isfinite().all()):
        raise ValueError("some of its coefficients are not finite")
    return volume


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _shown(corner: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in corner) + ")"
