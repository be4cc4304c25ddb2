"""The network of SHARP in pieces: what `predict_ndc` gives, in half the memory or less.

The transformers' blocks come one after another, each made ready once, run on the crops in groups,
and given back; maps pass the convolutions in strips, in channels-last memory. In float32 the result
is that of the plain way through within rounding. In `bfloat16` and `int8` the layers have fewer
bits, while the residual stream of the transformers, all norms' statistics, the last layers of the
heads, the nearest depth and the composition stay in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fovea.photo.composer import Ndc, compose
from fovea.photo.model.decoder import MultiresDecoder
from fovea.photo.model.fusion import NormedResidual
from fovea.photo.model.initializer import depth_from_disparity, initialize
from fovea.photo.model.network import SharpNetwork
from fovea.photo.model.pyramid import EncoderMaps
from fovea.photo.model.vit import Block, VisionTransformer, VitTokens
from fovea.photo.precision.block import ReducedBlock
from fovea.photo.precision.numbers import Precision, map_dtype
from fovea.photo.precision.pages import release
from fovea.photo.strips import in_strips, normed

STEP_HALO = 5
"""Rows around its own that a step of a decoder sees: a convolution and two units of two."""
FUSION_HALO = 4
HEAD_HALO = 2
PIECES = {"crops": 26, "whole": 1, "maps": 1, "decoder": 6, "head": 1, "features": 5}
"""Pieces of the work and about how long each takes; of the whole, in fortieths."""

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Staged:
    """A network and how it is run."""

    network: SharpNetwork
    precision: Precision = "float32"
    crops: int = 5
    """In the transformer at a time."""
    tile: int = 256
    """Rows of the finest map in the convolutions at a time; coarser maps have as many pixels."""

    @torch.inference_mode()
    def ndc(
        self,
        image: Float[Tensor, "1 3 S S"],
        disparity_factor: float,
        watch: Callable[[int, int], None] = lambda done, total: None,
    ) -> Ndc:
        """Gaussians in the network's space from a picture in [0, 1].

        Args:
            image: of the size in the network's architecture.
            disparity_factor: focal length / width of the photograph.
            watch: told after each piece how far the work is.
        """
        count = _Counted(watch)
        maps = self._encode(image, count)
        disparity = self._disparity(maps, count)
        factor = torch.tensor([disparity_factor], dtype=torch.float32, device=image.device)
        depth_m = depth_from_disparity(disparity, factor)
        base = initialize(image, depth_m)
        delta = self._delta(maps, base.features, count)
        return compose(base, delta, disparity=disparity, depth_m=depth_m)

    @torch.inference_mode()
    def one_group(self, image: Float[Tensor, "1 3 S S"]) -> None:
        """Put one group of crops through the transformer, so that its time can be taken."""
        encoder = self.network.encoder
        crops = encoder.crops(2 * image - 1)[: self.crops]
        self._tokens(encoder.patch_encoder, crops, lambda done, total: None)

    def _encode(self, image: Tensor, count: _Counted) -> list[Tensor]:
        encoder = self.network.encoder
        crops = encoder.crops(2 * image - 1)
        tokens = self._tokens(encoder.patch_encoder, crops, count.part("crops"))
        whole = self._tokens(encoder.image_encoder, crops[-1:], count.part("whole"))
        merged = encoder.merge(tokens, whole.final, batch=1)
        del tokens, whole, crops
        levels = [
            encoder.upsample_latent0,
            encoder.upsample_latent1,
            encoder.upsample0,
            encoder.upsample1,
            encoder.upsample2,
        ]
        first = [
            self._ready(level)(self._laid(part))
            for level, part in zip(levels, merged[:5], strict=True)
        ]
        low = self._ready(encoder.upsample_lowres)(self._laid(merged.whole))
        first[4] = self._ready(encoder.fuse_lowres)(torch.cat([first[4], low], dim=1))
        for level in (*levels, encoder.upsample_lowres, encoder.fuse_lowres):
            release(level.parameters())
        count.part("maps")(1, 1)
        return first

    def _tokens(
        self, vit: VisionTransformer, crops: Tensor, watch: Callable[[int, int], None]
    ) -> VitTokens:
        groups = [vit.embed(group) for group in crops.split(self.crops)]
        kept: list[Tensor] = []
        for number, module in enumerate(vit.blocks):
            block = cast("Block", module)
            run = block if self.precision == "float32" else ReducedBlock(block, self.precision)
            groups = [run(group) for group in groups]
            kept += [self._gathered(groups)] * vit.hooks.count(number)
            release(block.parameters())
            watch(number + 1, len(vit.blocks))
        return VitTokens(kept[0], kept[1], self._gathered([vit.norm(group) for group in groups]))

    def _gathered(self, groups: Sequence[Tensor]) -> Tensor:
        return torch.cat([group.to(map_dtype(self.precision)) for group in groups])

    def _disparity(self, maps: EncoderMaps | list[Tensor], count: _Counted) -> Tensor:
        fused = self._decoded(self.network.monodepth_decoder, maps, count.part("decoder"))
        layers = list(self.network.depth_head)
        wide = self._ready(nn.Sequential(*layers[:3]))
        narrow = nn.Sequential(*layers[3:])

        def head(strip: Tensor) -> Tensor:
            return narrow(wide(strip).float())

        rows = max(HEAD_HALO, self.tile // 2)
        disparity = in_strips(head, fused, rows=rows, halo=HEAD_HALO)
        count.part("head")(1, 1)
        return disparity.contiguous()

    def _decoded(
        self, decoder: MultiresDecoder, maps: Sequence[Tensor], watch: Callable[[int, int], None]
    ) -> Tensor:
        ready = self._ready(decoder)
        fused = ready.begin(maps[-1])
        # Levels are worth 1, 1, 2 and 8 of 12 pieces: each has four times the pixels of the last,
        # and the finest is not doubled any more.
        for level, done in ((3, 1), (2, 2), (1, 4), (0, 12)):

            def step(coarse: Tensor, fine: Tensor, level: int = level) -> Tensor:
                return ready.step(level, coarse, fine)

            rows = self._rows(fused)
            fused = in_strips(step, fused, maps[level], rows=rows, halo=STEP_HALO)
            watch(done, 12)
        return fused

    def _delta(self, maps: list[Tensor], features: Tensor, count: _Counted) -> Tensor:
        model, watch = self.network.feature_model, count.part("features")
        decoded = self._decoded(model.decoder, maps, lambda done, total: watch(done, 2 * total))
        maps.clear()
        skip = self._ready(model.image_encoder)(self._laid(features))
        fusion = self._ready(model.fusion)
        fused = in_strips(fusion, decoded, skip, rows=self._rows(decoded), halo=FUSION_HALO)
        del decoded, skip
        texture = self._featured(model.texture_head, fused)
        geometry = self._featured(model.geometry_head, fused)
        watch(1, 1)
        return self.network.prediction_head(texture, geometry)

    def _featured(self, head: nn.Sequential, x: Tensor) -> Tensor:
        first, second, *rest = head
        for block in (first, second):
            x = self._residual(cast("NormedResidual", block), x)
        narrow = nn.Sequential(*rest)

        def features(strip: Tensor) -> Tensor:
            return narrow(strip.float())

        return in_strips(features, x, rows=self._rows(x), halo=0)

    def _residual(self, block: NormedResidual, x: Tensor) -> Tensor:
        norm1, _, conv1, norm2, _, conv2 = block.residual
        hidden = self._norm_and_convolve(cast("nn.GroupNorm", norm1), conv1, x)
        return self._norm_and_convolve(cast("nn.GroupNorm", norm2), conv2, hidden, added=x)

    def _norm_and_convolve(
        self, norm: nn.GroupNorm, conv: nn.Module, x: Tensor, *, added: Tensor | None = None
    ) -> Tensor:
        rows = self._rows(x)
        factor, summand = normed(x, norm, rows=rows)
        ready = self._ready(conv)

        def residual(strip: Tensor, *others: Tensor) -> Tensor:
            scaled = torch.addcmul(summand, strip.float(), factor)
            made = ready(scaled.relu_().to(strip.dtype))
            return made.add_(others[0]) if others else made

        others = [] if added is None else [added]
        return in_strips(residual, x, *others, rows=rows, halo=1)

    def _rows(self, x: Tensor) -> int:
        finest = self.network.architecture.grid_size
        return max(STEP_HALO, self.tile * finest // x.shape[-1])

    def _ready(self, module: Module) -> Module:
        if self.precision == "float32":
            return module
        small = copy.deepcopy(module).to(torch.bfloat16)
        return small.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def _laid(self, x: Tensor) -> Tensor:
        return x.to(map_dtype(self.precision), memory_format=torch.channels_last)


class _Counted:
    """Turns the progress of pieces into progress of the whole."""

    def __init__(self, watch: Callable[[int, int], None]) -> None:
        self._watch = watch
        self._total = sum(PIECES.values())

    def part(self, name: str) -> Callable[[int, int], None]:
        names = list(PIECES)
        before = sum(PIECES[other] for other in names[: names.index(name)])

        def told(done: int, total: int) -> None:
            self._watch(before + PIECES[name] * done // total, self._total)

        return told
