"""Adam over raw parameters whose rows come and go.

Source: rates, betas and epsilon as Kerbl et al., "3D Gaussian Splatting" (2023).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from fovea.relight.materials import Parameters
from fovea.relight.settings.fit import RatesConfig
from fovea.training.schedule import exponential

DIRECTIONAL_SHARE = 1 / 20
"""How much slower the directional part of the colour learns."""


def adam(parameters: Parameters, rates: RatesConfig, *, extent: float) -> torch.optim.Adam:
    """Adam with one group a parameter, named after it."""
    rate_of = {
        "means": rates.means * extent,
        "dc": rates.harmonics,
        "rest": rates.harmonics * DIRECTIONAL_SHARE,
        "opacities": rates.opacities,
        "scales": rates.scales,
        "quats": rates.quats,
        "normals": rates.normals,
    }
    groups = [
        {"params": [values.requires_grad_()], "lr": rate_of[name], "name": name}
        for name, values in parameters.items()
    ]
    return torch.optim.Adam(groups, betas=(0.9, 0.999), eps=1e-15, fused=True)


def set_means_rate(
    optimizer: torch.optim.Adam, step: int, *, rates: RatesConfig, extent: float, steps: int
) -> None:
    """Move the rate of the positions along its schedule, after the step."""
    _group(optimizer, "means")["lr"] = exponential(
        step, first=rates.means * extent, last=rates.means_final * extent, steps=steps
    )


def replace_rows(
    optimizer: torch.optim.Adam,
    parameters: Parameters,
    source: Int[Tensor, " M"],
    is_new: Bool[Tensor, " M"],
) -> None:
    """Put new parameters in place of the old; moments follow their rows, new rows have none.

    Args:
        optimizer: of the old parameters.
        parameters: the new ones.
        source: for each new row, the old row whose moments it takes.
        is_new: rows that begin with zero moments.
    """
    for name, values in parameters.items():
        state, old = _take_state(optimizer, name, values)
        for key in ("exp_avg", "exp_avg_sq"):
            if key in state:
                moments = old[key][source]
                moments[is_new] = 0
                state[key] = moments


def replace_values(
    optimizer: torch.optim.Adam, parameters: Parameters, name: str, values: Tensor
) -> None:
    """Set one parameter to new values and forget its moments."""
    parameters[name] = values
    state, _ = _take_state(optimizer, name, values)
    for key in ("exp_avg", "exp_avg_sq"):
        if key in state:
            state[key] = torch.zeros_like(values)


def _take_state(
    optimizer: torch.optim.Adam, name: str, values: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Put `values` into a group, with a copy of the old state; return that and the old."""
    group = _group(optimizer, name)
    old = optimizer.state.pop(group["params"][0], {})
    group["params"] = [values.requires_grad_()]
    state = dict(old)
    if state:
        optimizer.state[values] = state
    return state, old


def _group(optimizer: torch.optim.Adam, name: str) -> dict:
    return next(group for group in optimizer.param_groups if group["name"] == name)
