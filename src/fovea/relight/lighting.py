"""`lighting.npz`: a fitted light as it was learnt, with what is needed to shade by it again.

`cubemap` [6, res, res, 3] is linear radiance. `irradiance_coefficients` [X, Y, Z, 9, 1] and `aabb`
[6] are the light from nearby, empty where none was learnt. `flags` is a JSON object: `mode`, `up`
of the cubemap, and the switches of the shading. The same light as a map is `light.hdr` beside it.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import ArtifactError
from fovea.relight.volumes.irradiance import IrradianceVolume

SCHEMA = 1


@dataclass(frozen=True)
class Lighting:
    """A fitted light.

    Attributes:
        cubemap: linear radiance.
        nearby: light that comes from nearby; None where none was learnt.
        flags: how the light was used: words and switches.
    """

    cubemap: Float[Tensor, "6 res res 3"]
    nearby: IrradianceVolume | None
    flags: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write an .npz, the same bytes for the same values, that appears only when whole."""
        none = torch.zeros(0)
        near = (none, none)
        if self.nearby is not None:
            near = (self.nearby.irradiance_coefficients, self.nearby.aabb)
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("wb") as file:
            np.savez_compressed(
                file,
                schema=np.int32(SCHEMA),
                cubemap=_array(self.cubemap),
                irradiance_coefficients=_array(near[0]),
                aabb=_array(near[1]),
                flags=np.array(json.dumps(self.flags, sort_keys=True)),
            )
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Lighting:
        """Read what `write` wrote; nothing that a file might carry is run.

        Raises:
            ArtifactError: it is missing, cut short, or not such a file.
        """
        if not path.is_file():
            raise ArtifactError(f"No fitted light {path}: there is no such file.")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                values = {name: archive[name] for name in archive.files}
            cubemap = torch.from_numpy(values["cubemap"])
            if cubemap.dim() != 4 or cubemap.shape[0] != 6 or cubemap.shape[3] != 3:
                raise ValueError(f"its cubemap has shape {list(cubemap.shape)}")
            nearby = None
            if len(values["aabb"]):
                coefficients = torch.from_numpy(values["irradiance_coefficients"])
                nearby = IrradianceVolume(values["aabb"].tolist(), coefficients)
            return cls(cubemap, nearby, json.loads(str(values["flags"])))
        except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ArtifactError(
                f"{path} ({path.stat().st_size} bytes) is not a fitted light"
                f" ({type(error).__name__}: {error}). Give a lighting.npz of relight.decompose."
            ) from error


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
