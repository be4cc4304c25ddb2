# pyright: reportIncompatibleMethodOverride=false
# torch leaves too many of its own types unknown for strict.
"""The memory of a stage on a CPU: a whole sequence with its gradients in few passes.

The twin of the plain loop in `memory`, which is its judge. Products are torch's, everything else is
a kernel. Gates lie in planes, [4, L, N, C], so that each is one run of floats.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from fovea.scene.raster.compiled import kernels
from fovea.scene.raster.workers import share

PACKAGE = "fovea.events"


def can_remember(x: Tensor) -> bool:
    """Whether the kernels serve here: float32 on a CPU, and nobody is exporting."""
    is_watched = torch.compiler.is_compiling()
    is_plain = x.dtype == torch.float32 and not torch.is_autocast_enabled(x.device.type)
    return is_plain and not x.is_cuda and not is_watched


def remember(
    x: Float[Tensor, "L N C"],
    weight: Float[Tensor, "4*C 2*C"],
    bias: Float[Tensor, " 4*C"],
    state: tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]] | None,
) -> tuple[Float[Tensor, "L N C"], Float[Tensor, "N C"]]:
    """The outputs of all steps, and the cells after the last."""
    h, c = (None, None) if state is None else state
    return _Remember.apply(x, weight, bias, h, c)


class _Remember(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, h: Tensor | None, c: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        steps, count, channels = x.shape
        size = count * channels
        of_x, of_h = weight.view(4, channels, -1).transpose(1, 2).split(channels, dim=1)
        inputs = x.reshape(-1, channels).expand(4, -1, -1)
        gates = torch.baddbmm(bias.view(4, 1, -1), inputs, of_x).view(4, steps, count, channels)
        cells, outputs = (torch.empty(steps + 1, count, channels) for _ in range(2))
        for kept, given in ((outputs, h), (cells, c)):
            kept[0] = 0.0 if given is None else given
        kernel = kernels("memory", package=PACKAGE).forward
        arrays = gates.view(-1).numpy(), cells.view(-1).numpy()
        for step in range(steps):
            if step or h is not None:
                gates[:, step].baddbmm_(outputs[step].expand(4, -1, -1), of_h)
            share(kernel, *arrays, outputs[step + 1].view(-1).numpy(), step, steps, size)
        ctx.save_for_backward(x, weight, gates, cells, outputs)
        ctx.has_state = h is not None
        return outputs[1:], cells[steps]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gates, cells, outputs = ctx.saved_tensors
        steps, count, channels = x.shape
        of_outputs, of_cell = grad_outputs[0], grad_outputs[1].clone().contiguous()
        of_x, of_h = weight.view(4, channels, -1).split(channels, dim=2)
        v_gates = torch.empty_like(gates)
        kernel = kernels("memory", package=PACKAGE).backward
        before = tuple(array.view(-1).numpy() for array in (gates, cells))
        after = of_cell.view(-1).numpy(), v_gates.view(-1).numpy()
        v_h = torch.zeros(count, channels)
        for step in reversed(range(steps)):
            v_h += of_outputs[step]
            share(kernel, *before, v_h.view(-1).numpy(), *after, step, steps, count * channels)
            v_h = torch.zeros(count, channels)
            if step or ctx.has_state:
                for plane, of_plane in zip(v_gates, of_h, strict=True):
                    v_h.addmm_(plane[step], of_plane)
        flat = v_gates.view(4, -1, channels)
        inputs, earlier = (each.reshape(-1, channels) for each in (x, outputs[:-1]))
        v_weight = torch.cat(
            [torch.bmm(flat.transpose(1, 2), each.expand(4, -1, -1)) for each in (inputs, earlier)],
            dim=2,
        ).view_as(weight)
        v_x = torch.mm(flat[0], of_x[0])
        for plane, of_plane in zip(flat[1:], of_x[1:], strict=True):
            v_x.addmm_(plane, of_plane)
        states = (v_h, of_cell) if ctx.has_state else (None, None)
        return v_x.view_as(x), v_weight, flat.sum(dim=1).view(-1), *states
