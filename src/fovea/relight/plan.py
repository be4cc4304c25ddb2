"""When the fit does what: its schedule in steps, from the fractions that a config has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.relight.scores import backdrop
from fovea.relight.settings.fit import FitConfig, LossConfig

OPEN_SHARE = 1 / 8
"""Of the weights that gather depth, where nothing is cut out: leaves and sky have no one depth. It
also waits there until the number of Gaussians stays (fox: 22 -> 30 dB)."""
REMOVE_LARGE_AFTER = 0.1
"""Part of the iterations after which very large Gaussians are removed; step 3000 of the paper's
30000."""


@dataclass(frozen=True)
class Plan:
    """The schedule in steps, as it follows from the fractions of a config."""

    most_degree: int
    degree_every: int
    coarse_until: int
    normals_from: int
    coupled_from: int
    coupling: LossConfig
    densify_from: int
    densify_until: int
    remove_large_from: int
    reset_every: int
    first_reset: int
    log_every: int
    backdrop: str

    @classmethod
    def of(cls, config: FitConfig, *, is_cut_out: bool) -> Plan:
        """The schedule of a config."""
        steps, is_reference = config.iterations, config.mode == "reference"
        behind = config.background
        if behind == "auto":
            behind = "random" if is_cut_out and not is_reference else "black"
        densify_from = round(config.densify.start * steps)
        normals_from, densify_until = (
            round(part * steps) for part in (config.loss.normal_from, config.densify.stop)
        )
        open_share = 1.0 if is_cut_out else OPEN_SHARE
        coupling = config.loss.model_copy(
            update={
                name: getattr(config.loss, name) * open_share for name in ("spread", "thickness")
            }
        )
        return cls(
            most_degree=config.degree,
            degree_every=max(1, round(config.degree_every * steps)),
            coarse_until=round(config.coarse * steps),
            normals_from=normals_from,
            coupled_from=normals_from if is_cut_out else max(normals_from, densify_until),
            coupling=coupling,
            densify_from=densify_from,
            densify_until=densify_until,
            remove_large_from=round(REMOVE_LARGE_AFTER * steps),
            reset_every=round(config.densify.reset * steps),
            # On white, the published system resets once more when densification begins.
            first_reset=densify_from if is_reference and behind == "white" else 0,
            log_every=max(1, steps // 300),
            backdrop=behind,
        )

    def degree(self, step: int) -> int:
        """The degree of the harmonics at this step."""
        return min(self.most_degree, step // self.degree_every)

    def background(self, random: torch.Generator) -> Float[Tensor, " 3"]:
        """The colour behind a cut-out photograph at this step."""
        return (
            torch.rand(3, generator=random)
            if self.backdrop == "random"
            else backdrop(self.backdrop)
        )
