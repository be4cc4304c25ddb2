"""The backbone: four stages at strides 4, 8, 16 and 32, each with attention and a memory.

A stage sees a whole sequence at once. Only its memory goes step by step, so the rest works on
batches of L * B frames.

Source: Gehrig and Scaramuzza, "Recurrent Vision Transformers ..." (2023).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from fovea.events.model.architecture import BINS, Architecture
from fovea.events.model.attention import EPS, AttentionPair
from fovea.events.model.histogram_conv import can_take, histogram_conv
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

    def forward(
        self, x: Shaped[Tensor, "B C H W"], size: tuple[int, int]
    ) -> Float[Tensor, "B h w c"]:
        """Coarser by the factor, channels last; `x` grows to `size` first, by zeros."""
        if can_take(x):
            return self.norm(histogram_conv(x, self.conv.weight, size))
        return self.norm(self.conv(padded(x, size)).permute(0, 2, 3, 1))


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
        x: Shaped[Tensor, "L B C H W"],
        state: State | None,
        size: tuple[int, int],
        mask: Bool[Tensor, "L B h w"] | None = None,
    ) -> tuple[Float[Tensor, "L B c h w"], State]:
        """The outputs of all steps, and the state after the last."""
        steps = x.shape[0]
        tokens = self.downsample_cf2cl(x.flatten(0, 1), size)
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
        histograms: Shaped[Tensor, "L B bins H W"],
        states: States | None = None,
        mask: Bool[Tensor, "L B h w"] | None = None,
    ) -> tuple[Features, States]:
        """Go through a sequence.

        Args:
            histograms: counts of any integer or float type; padded here.
            states: of the step before; None at the start of all recordings.
            mask: tokens of the first stage that are hidden; may be smaller than the padded map.

        Returns:
            The features of all steps, [L, B, C, H, W] each, and the states after the last.
        """
        size = self.of.padded(histograms.shape[3], histograms.shape[4])
        if mask is not None:
            mask = functional.pad(
                mask, (0, size[1] // 4 - mask.shape[3], 0, size[0] // 4 - mask.shape[2])
            )
        x, features, after = histograms, Features(), States()
        for number, stage in enumerate(self.stages):
            x, state = stage(x, None if states is None else states[number], size, mask)
            after.append(state)
            # From here on maps are whole, and only the first stage hides tokens.
            size, mask = (x.shape[3], x.shape[4]), None
            if number:
                features[number + 1] = x
        return features, after


def padded(x: Shaped[Tensor, "B C H W"], size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
    """As floats, with zeros at the bottom and the right up to `size`."""
    if x.shape[2:] != size:
        x = functional.pad(x, (0, size[1] - x.shape[3], 0, size[0] - x.shape[2]))
    return x if x.is_floating_point() else x.float()
