"""The backbone: four stages at strides 4, 8, 16 and 32, each with attention and a memory.

A stage sees a whole sequence at once. Only its memory goes step by step, so the rest works on
batches of L * B frames.

Source: Gehrig and Scaramuzza, "Recurrent Vision Transformers ..." (2023).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.events.model.architecture import BINS, Architecture
from fovea.events.model.attention import EPS, AttentionPair
from fovea.events.model.memory import Memory, State, States

Features = dict[int, Tensor]
"""Outputs of stages 2, 3 and 4 at strides 8, 16 and 32, each [..., C, H, W]."""


class Downsample(nn.Module):
    """A convolution whose windows overlap, then a norm over channels."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__()
        kernel = 2 * factor - 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, factor, kernel // 2, bias=False)
        self.norm = nn.LayerNorm(outputs, EPS)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B h w c"]:
        """Coarser by the factor, channels last."""
        return self.norm(self.conv(x).permute(0, 2, 3, 1))


class Stage(nn.Module):
    """One stride of the backbone."""

    mask_token: nn.Parameter

    def __init__(self, number: int, of: Architecture) -> None:
        super().__init__()
        channels = of.dims[number]
        before, factor = (BINS, 4) if number == 0 else (of.dims[number - 1], 2)
        self.downsample_cf2cl = Downsample(before, channels, factor)
        self.att_blocks = nn.ModuleList([AttentionPair(channels, of)])
        self.lstm = Memory(channels, depthwise=of.depthwise_memory)
        if of.token_mask and number == 0:
            self.mask_token = nn.Parameter(torch.zeros(1, 1, 1, channels))
            nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self,
        x: Float[Tensor, "L B C H W"],
        state: State | None,
        mask: Bool[Tensor, "L B h w"] | None = None,
    ) -> tuple[Float[Tensor, "L B c h w"], State]:
        """The outputs of all steps, and the state after the last."""
        steps = x.shape[0]
        tokens = self.downsample_cf2cl(x.flatten(0, 1))
        if mask is not None:
            tokens = torch.where(mask.flatten(0, 1)[..., None], self.mask_token, tokens)
        for pair in self.att_blocks:
            tokens = pair(tokens)
        outputs, after = self.lstm(tokens.unflatten(0, (steps, -1)), state)
        return outputs.permute(0, 1, 4, 2, 3), after


class Backbone(nn.Module):
    """Histograms to features, with what was remembered and what is to be remembered."""

    def __init__(self, of: Architecture) -> None:
        super().__init__()
        self.of = of
        self.stages = nn.ModuleList([Stage(number, of) for number in range(4)])

    def forward(
        self,
        histograms: Float[Tensor, "L B bins H W"],
        states: States | None = None,
        mask: Bool[Tensor, "L B h w"] | None = None,
    ) -> tuple[Features, States]:
        """Go through a sequence.

        Args:
            histograms: padded.
            states: of the step before; None at the start of all recordings.
            mask: tokens of the first stage that are hidden; may be smaller than the padded map.

        Returns:
            The features of all steps, [L, B, C, H, W] each, and the states after the last.
        """
        x, features, after = histograms, Features(), States()
        if mask is not None:
            rows, columns = (
                side // 4 - seen for side, seen in zip(x.shape[3:], mask.shape[2:], strict=True)
            )
            mask = functional.pad(mask, (0, columns, 0, rows))
        for number, stage in enumerate(self.stages):
            x, state = stage(x, None if states is None else states[number], mask)
            after.append(state)
            mask = None
            if number:
                features[number + 1] = x
        return features, after
