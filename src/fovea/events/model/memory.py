"""The memory of a stage: an LSTM at every pixel, through 1x1 convolutions.

Source: Shi et al., "Convolutional LSTM Network" (2015), with the kernel of 1x1 that Gehrig and
Scaramuzza (2023) found to be enough.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.events.model.memory_cpu import can_remember, remember

State = tuple[Tensor, Tensor]
"""Output h and cell c of one stage, both [B, C, H, W]."""
States = list[State]
"""Of the four stages, finest first."""


class Memory(nn.Module):
    """Gates in the order forget, input, output; then the candidate."""

    def __init__(self, channels: int, *, depthwise: bool = False) -> None:
        super().__init__()
        if depthwise:
            self.conv3x3_dws = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.conv1x1 = nn.Conv2d(2 * channels, 4 * channels, 1)
        self.depthwise = depthwise

    def forward(
        self, x: Float[Tensor, "L B H W C"], state: State | None
    ) -> tuple[Float[Tensor, "L B H W C"], State]:
        """Go through the steps of a sequence.

        Args:
            x: what comes in at each step.
            state: what is remembered from before; None is nothing.

        Returns:
            The outputs of all steps, and the state after the last.
        """
        channels, weight = x.shape[-1], self.conv1x1.weight.flatten(1)
        if can_remember(x) and not self.depthwise:
            return self._at_once(x, weight, state)
        now = functional.linear(x, weight[:, :channels], self.conv1x1.bias)
        from_before = weight[:, channels:]
        if state is None:
            state = _nothing(x[0])
        h, c = (each.permute(0, 2, 3, 1) for each in state)
        outputs: list[Tensor] = []
        for step in now:
            gates = step + functional.linear(self._looked_around(h), from_before)
            forget, take, show = gates[..., : 3 * channels].sigmoid().chunk(3, dim=-1)
            c = forget * c + take * gates[..., 3 * channels :].tanh()
            h = show * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h.permute(0, 3, 1, 2), c.permute(0, 3, 1, 2))

    def _at_once(self, x: Tensor, weight: Tensor, state: State | None) -> tuple[Tensor, State]:
        rows = x.flatten(1, 3)
        before = None
        if state is not None:
            h, c = (each.permute(0, 2, 3, 1).reshape(rows.shape[1:]) for each in state)
            before = h, c
        assert self.conv1x1.bias is not None
        outputs, cell = remember(rows, weight, self.conv1x1.bias, before)
        outputs, cell = outputs.view(x.shape), cell.view(x.shape[1:])
        return outputs, (outputs[-1].permute(0, 3, 1, 2), cell.permute(0, 3, 1, 2))

    def _looked_around(self, h: Tensor) -> Tensor:
        if not self.depthwise:
            return h
        return self.conv3x3_dws(h.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _nothing(x: Float[Tensor, "B H W C"]) -> State:
    zeros = torch.zeros_like(x).permute(0, 3, 1, 2)
    return zeros, zeros


def detach(states: States) -> States:
    """The same states, through which no gradient flows back."""
    return [(h.detach(), c.detach()) for h, c in states]


def reset(states: States, is_first: Tensor) -> States:
    """Zeros for the samples that begin anew, `is_first` bool [B]; the others keep theirs."""
    gone = is_first.to(states[0][0].device)[:, None, None, None]
    return [(h.masked_fill(gone, 0.0), c.masked_fill(gone, 0.0)) for h, c in states]
