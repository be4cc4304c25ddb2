"""SHARP's reference answers, and a walk through our network that stops at each of them.

`Golden` samples an array as the file did and says how far it is off, in units of the reference's
standard deviation. `stages` gives every intermediate result under its name in the files, one after
another, so that no more is in memory than the network needs.
"""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from fovea.photo.composer import Ndc, compose
from fovea.photo.model.initializer import depth_from_disparity, initialize
from fovea.photo.model.network import SharpNetwork
from fovea.photo.model.vit import VitTokens
from fovea.photo.precision.pages import release


@dataclass(frozen=True)
class Deviation:
    """How far an array is from the reference, in units of the reference's standard deviation."""

    largest: float
    percentile_99: float


class Golden:
    """One pair of files, `tiny.npz` and `tiny.json`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.index = json.loads((folder / f"{name}.json").read_text())
        self.data = np.load(folder / f"{name}.npz")
        self.meta = self.index["_meta"]
        rule = rule_of(folder)
        self.picture: np.ndarray = rule.image(self.meta["image"])
        self.disparity_factor: float = self.meta["focal_px"] / self.meta["image_size"][0]

    def pair(self, key: str, array: Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ours, sampled as the file was, and the file's, in float64."""
        info, ours = self.index[key], np.asarray(array)
        assert list(ours.shape) == info["shape"], f"{key}: {ours.shape}, not {info['shape']}"
        stride = info.get("gaussian_stride")
        sampled = ours[::stride] if stride else ours.reshape(-1)[:: info["stride"]]
        return sampled.astype(np.float64), self.data[key].astype(np.float64)

    def deviation(self, key: str, array: Tensor | np.ndarray) -> Deviation:
        """Of the sampled values; a constant is measured by its own size."""
        ours, theirs = self.pair(key, array)
        spread = np.max(self.index[key].get("std", theirs.std()))
        error = np.abs(ours - theirs) / (spread if spread > 1e-6 else np.abs(theirs).max())
        return Deviation(float(error.max()), float(np.percentile(error, 99)))


def rule_of(folder: Path) -> ModuleType:
    """The module `fill.py` of the folder: weights by key, pictures by formula."""
    spec = importlib.util.spec_from_file_location("sharp_fill", folder / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    return rule


def filled_state(folder: Path, size: str) -> dict[str, Tensor]:
    """The whole state dict of `tiny`, `thin` or `full`, filled by the rule."""
    if size == "full":
        listed = json.loads((folder / "state_dict.json").read_text())["state_dict"]
        shapes = {key: entry["shape"] for key, entry in listed.items()}
    else:
        shapes = json.loads((folder / f"{size}_state_shapes.json").read_text())
    rule = rule_of(folder)
    return {key: torch.from_numpy(rule.fill_tensor(key, shape)) for key, shape in shapes.items()}


@torch.inference_mode()
def stages(
    network: SharpNetwork, image: Tensor, disparity_factor: float, *, crops_at_once: int = 5
) -> Iterator[tuple[str, Tensor]]:
    """Every result that the files name, in the order of the computation."""
    yield "image_resized", image
    yield "monodepth_input", 2 * image - 1
    encoder, vit = network.encoder, network.encoder.patch_encoder
    crops = encoder.crops(2 * image - 1)
    yield "patch_batch", crops
    yield "lowres_image", crops[-1:]
    yield from _first_block(network, crops)
    groups = [vit(group) for group in crops.split(crops_at_once)]
    tokens = VitTokens(*(torch.cat(parts) for parts in zip(*groups, strict=True)))
    del groups
    yield "hook_tokens_latent0", tokens.early
    yield "hook_tokens_latent1", tokens.middle
    yield "patch_vit_out", vit.as_map(tokens.final)
    merged = encoder.merge(tokens, encoder.image_encoder(crops[-1:]).final, batch=1)
    del tokens
    yield "image_vit_out", merged.whole
    for name in ("latent0", "latent1"):
        yield f"merged_{name}", getattr(merged, name)
    for number, name in enumerate(("full", "half", "quarter")):
        yield f"merged_x{number}", getattr(merged, name)
    yield "lowres_upsampled", encoder.upsample_lowres(merged.whole)
    maps = encoder.maps(merged)
    for number, each in enumerate(maps):
        yield f"encoder_feature_{number}", each
    release(encoder.parameters())  # 2.5 GiB of the full network's file
    fused = network.monodepth_decoder.begin(maps[4])
    yield "monodepth_fusion_4", fused
    for level in (3, 2, 1, 0):
        fused = network.monodepth_decoder.step(level, fused, maps[level])
        if level == 3:
            yield "monodepth_fusion_3", fused
    yield "monodepth_decoder_out", fused
    fused = network.depth_head.upsample(fused)
    yield "monodepth_head_after_upsample", fused
    disparity = network.depth_head.finish(fused)
    del fused
    yield "disparity", disparity
    yield from _gaussians(network, image, disparity, disparity_factor, maps)


def _first_block(network: SharpNetwork, crops: Tensor) -> Iterator[tuple[str, Tensor]]:
    vit = network.encoder.patch_encoder
    yield "patch_embed_tokens", vit.patch_embed(crops)
    tokens = vit.embed(crops)
    yield "tokens_with_pos_embed", tokens
    block = vit.blocks[0]
    yield "block0_attn", block.attn(block.norm1(tokens))
    yield "block0_out", block(tokens)


def _gaussians(
    network: SharpNetwork,
    image: Tensor,
    disparity: Tensor,
    disparity_factor: float,
    maps: tuple[Tensor, ...],
) -> Iterator[tuple[str, Tensor]]:
    depth_m = depth_from_disparity(disparity, torch.tensor([disparity_factor]))
    base = initialize(image, depth_m)
    yield "global_scale", base.global_scale
    yield "feature_input", base.features
    yield "base_x_ndc", base.x_ndc
    yield "base_y_ndc", base.y_ndc
    yield "base_inverse_z", base.inverse_depth
    yield "base_scale", base.scale
    yield "base_color", base.colors
    decoded = network.feature_model.decoder(maps)
    yield "gaussian_decoder_out", decoded
    yield "image_skip", network.feature_model.image_encoder(base.features)
    decoded = network.feature_model.fuse(decoded, base.features)
    yield "gaussian_fusion_out", decoded
    texture, geometry = network.feature_model.heads(decoded)
    del decoded
    yield "texture_features", texture
    yield "geometry_features", geometry
    delta = network.prediction_head(texture, geometry)
    yield "delta", delta
    yield from named(compose(base, delta, disparity=disparity, depth_m=depth_m))


def named(ndc: Ndc) -> Iterator[tuple[str, Tensor]]:
    """The Gaussians of the first picture under the files' names."""
    yield "ndc_mean_vectors", ndc.means[0]
    yield "ndc_singular_values", ndc.scales[0]
    yield "ndc_quaternions", ndc.quats[0]
    yield "ndc_colors", ndc.colors[0]
    yield "ndc_opacities", ndc.opacities[0]
