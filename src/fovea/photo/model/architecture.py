"""What a network of SHARP's form is made of: the numbers that fix its weights' names and shapes.

`sharp` is the public predictor. `thin` has its geometry in very narrow layers, `tiny` a small
picture besides; both exist for tests, and no trained weights exist for them.

Source: "Sharp Monocular View Synthesis in Less Than a Second" (arXiv 2512.10685) and its public
predictor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fovea.errors import ArtifactError

PATCH = "monodepth_model.monodepth_predictor.encoder.patch_encoder."
ENCODER = "monodepth_model.monodepth_predictor.encoder."
LEVELS = ("upsample_latent0.3", "upsample_latent0.0", "upsample0.1", "upsample1.1", "upsample2.1")
"""The convolution that tells the width of each map of the encoder, E0 to E4."""
HEAD_WIDTH = 64
"""Channels of an attention head in a ViT-L; the narrow networks of the tests have 16."""

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class VitArchitecture:
    """The sizes of one vision transformer."""

    width: int
    depth: int
    heads: int
    image_px: int
    patch_px: int
    hooks: tuple[int, int]
    """Blocks after which tokens are taken for the two finest maps."""

    @property
    def grid(self) -> int:
        """Tokens along a side of a crop."""
        return self.image_px // self.patch_px


@dataclass(frozen=True)
class Architecture:
    """The sizes of one network: picture to deltas of Gaussians."""

    vit: VitArchitecture
    encoder_widths: tuple[int, int, int, int, int]
    """Channels of the encoder's maps E0..E4, at strides 2, 4, 8, 16 and 32."""
    monodepth_width: int
    gaussian_width: int
    feature_width: int
    """Channels of the texture and of the geometry features."""

    @classmethod
    def sharp(cls) -> Architecture:
        """The public predictor."""
        vit = VitArchitecture(1024, 24, 16, 384, 16, (5, 11))
        return cls(vit, (256, 256, 512, 1024, 1024), 256, 128, 32)

    @classmethod
    def thin(cls) -> Architecture:
        """The public predictor's geometry in narrow layers, for tests."""
        vit = VitArchitecture(32, 3, 2, 384, 16, (0, 1))
        return cls(vit, (16, 16, 24, 32, 40), 16, 16, 8)

    @classmethod
    def tiny(cls) -> Architecture:
        """A network for a picture of 256 px whose crops do not overlap, for tests."""
        vit = VitArchitecture(64, 4, 4, 64, 16, (0, 1))
        return cls(vit, (32, 32, 48, 64, 80), 32, 16, 8)

    @classmethod
    def of_shapes(cls, shapes: Shapes) -> Architecture:
        """The architecture of a checkpoint, from the shapes of its tensors.

        Two facts leave no trace in shapes and follow a rule: heads have 64 channels, in ViTs
        narrower than 256 only 16; the hooks end the first and the second quarter of the blocks.

        Raises:
            ArtifactError: a tensor that tells a size is not there, or has no such form.
        """
        width, _, patch_px, _ = _shape(shapes, PATCH + "patch_embed.proj.weight", 4)
        tokens = _shape(shapes, PATCH + "pos_embed", 3)[1]
        depth = _blocks(shapes)
        heads = width // (HEAD_WIDTH if width >= 256 else 16)
        hooks = -(-depth // 4) - 1, -(-depth // 2) - 1
        grid = round((tokens - 1) ** 0.5)
        e0, e1, e2, e3, e4 = (_level_width(shapes, name) for name in LEVELS)
        vit = VitArchitecture(width, depth, heads, grid * patch_px, patch_px, hooks)
        decoder = "monodepth_model.monodepth_predictor.decoder.convs.4.weight"
        return cls(
            vit,
            (e0, e1, e2, e3, e4),
            monodepth_width=_shape(shapes, decoder, 4)[0],
            gaussian_width=_shape(shapes, "feature_model.decoder.convs.4.weight", 4)[0],
            feature_width=_shape(shapes, "feature_model.texture_head.3.weight", 4)[0],
        )

    @property
    def network_size(self) -> int:
        """Side of the square picture that the network sees, in pixels."""
        return 4 * self.vit.image_px

    @property
    def grid_size(self) -> int:
        """Gaussians along a side of a layer."""
        return self.network_size // 2

    @property
    def gaussians(self) -> int:
        """In both layers together."""
        return 2 * self.grid_size**2

    @property
    def trims(self) -> tuple[int, int]:
        """Tokens cut off the inner sides of crops of the full and of the half picture.

        Crops overlap by a quarter and by a half of their tokens, each giving up half of that;
        where a quarter is not an even number of tokens, crops do not overlap.
        """
        if self.vit.grid % 8:
            return 0, 0
        return self.vit.grid // 8, self.vit.grid // 4


def _shape(shapes: Shapes, key: str, dimensions: int) -> tuple[int, ...]:
    found = shapes.get(key)
    if found is None:
        raise ArtifactError(
            f"a checkpoint of SHARP has the key '{key}', and among these {len(shapes)} keys it is"
            " missing. Give the file of the whole state dict, as it was published."
        )
    if len(found) != dimensions:
        raise ArtifactError(
            f"'{key}' has {dimensions} dimensions in SHARP, and {list(found)} here. Give the file"
            " of the whole state dict, as it was published."
        )
    return tuple(found)


def _blocks(shapes: Shapes) -> int:
    head = PATCH + "blocks."
    numbers = {key[len(head) :].split(".")[0] for key in shapes if key.startswith(head)}
    if not numbers:
        _shape(shapes, head + "0.norm1.weight", 1)
    return len(numbers)


def _level_width(shapes: Shapes, name: str) -> int:
    # A 1x1 convolution has its outputs first, a transposed one has them second.
    shape = _shape(shapes, f"{ENCODER}{name}.weight", 4)
    return shape[0] if shape[2] == 1 else shape[1]
