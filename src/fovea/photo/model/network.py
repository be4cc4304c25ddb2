"""The whole network: one picture, deltas of 1.18 million Gaussians.

`predict_ndc` is the plain way through, the judge of every faster one. An engine that counts its
memory runs the pieces named in `SharpNetwork` by itself.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fovea.errors import DataError
from fovea.photo.composer import Ndc, compose
from fovea.photo.model.alignment import DepthAlignment
from fovea.photo.model.architecture import Architecture
from fovea.photo.model.decoder import MultiresDecoder
from fovea.photo.model.features import GaussianDecoder, PredictionHead
from fovea.photo.model.head import DepthHead
from fovea.photo.model.initializer import depth_from_disparity, initialize
from fovea.photo.model.pyramid import EncoderMaps, PyramidEncoder


class SharpNetwork(nn.Module):
    """SHARP with the names of its public state dict; what inference never runs is not built.

    Pieces, in the order of their use: `encoder` (crops -> patch_encoder, image_encoder -> merge ->
    level0..4), `monodepth_decoder` (begin, step 3..0), `depth_head`, then `feature_model` (decoder:
    begin, step 3..0; image_encoder; fusion; texture_head, geometry_head) and `prediction_head`.

    Args:
        architecture: its sizes.
        alignment: whether the learned alignment with a given depth map is built.
    """

    def __init__(self, architecture: Architecture, *, alignment: bool = False) -> None:
        super().__init__()
        self.architecture = architecture
        self.monodepth_model = nn.Module()
        self.monodepth_model.monodepth_predictor = Monodepth(architecture)
        self.feature_model = GaussianDecoder(architecture)
        self.prediction_head = PredictionHead(architecture.feature_width)
        self.depth_alignment = DepthAlignment() if alignment else None

    @property
    def monodepth(self) -> Monodepth:
        """The half that predicts disparity."""
        monodepth = self.monodepth_model.monodepth_predictor
        assert isinstance(monodepth, Monodepth), "it was put there when the network was made"
        return monodepth

    @property
    def encoder(self) -> PyramidEncoder:
        """A picture in [-1, 1] to five maps."""
        return self.monodepth.encoder

    @property
    def monodepth_decoder(self) -> MultiresDecoder:
        """Five maps to the one that the depth head reads."""
        return self.monodepth.decoder

    @property
    def depth_head(self) -> DepthHead:
        """That map to disparity."""
        return self.monodepth.head

    @property
    def dtype(self) -> torch.dtype:
        """In which the network computes."""
        return self.prediction_head.geometry_prediction_head.weight.dtype

    def encode(
        self, image: Float[Tensor, "B 3 S S"], *, crops_at_once: int | None = None
    ) -> EncoderMaps:
        """Five maps from a picture in [0, 1]."""
        return self.encoder((2 * image - 1).to(self.dtype), crops_at_once=crops_at_once)

    def disparity(self, maps: EncoderMaps) -> Float[Tensor, "B 2 S S"]:
        """Of the visible surface and the one behind it, at least zero."""
        return self.depth_head(self.monodepth_decoder(maps))

    def align(
        self, depth_m: Float[Tensor, "B 2 S S"], given_m: Float[Tensor, "B 1 S S"]
    ) -> Float[Tensor, "B 2 S S"]:
        """Predicted depth, drawn towards a given map in metres.

        Raises:
            DataError: the network was built without the alignment, or the sizes differ.
        """
        if self.depth_alignment is None:
            raise DataError(
                "a depth map was given, and this network was loaded without the learned alignment."
                " Load it with alignment=True."
            )
        return self.depth_alignment(depth_m, given_m)

    def delta(
        self, maps: EncoderMaps, features: Float[Tensor, "B 5 S S"]
    ) -> Float[Tensor, "B 14 2 h w"]:
        """Of every attribute of the base Gaussians."""
        texture, geometry = self.feature_model(maps, features)
        return self.prediction_head(texture, geometry)


class Monodepth(nn.Module):
    """The half that predicts disparity: an encoder, a decoder, a head."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.monodepth_width
        self.encoder = PyramidEncoder(architecture)
        self.decoder = MultiresDecoder(architecture.encoder_widths, width)
        self.head = DepthHead(width)


@torch.inference_mode()
def predict_ndc(
    network: SharpNetwork,
    image: Float[Tensor, "B 3 S S"],
    disparity_factor: Float[Tensor, " B"] | float,
    *,
    depth: Float[Tensor, "B 1 S S"] | None = None,
    crops_at_once: int | None = None,
) -> Ndc:
    """Gaussians in the network's space from a picture in [0, 1].

    Args:
        network: with weights.
        image: of the size in its architecture, see `picture.resize_to_network`.
        disparity_factor: focal length / width of the photograph, both in its own pixels.
        depth: a given depth map in metres, see `picture.depth_to_network`.
        crops_at_once: how many crops pass the transformer together; by default all.

    Raises:
        DataError: the picture has another size, or the depth map does not fit.
    """
    size = network.architecture.network_size
    if tuple(image.shape[-2:]) != (size, size):
        raise DataError(
            f"this network sees pictures of {size} x {size} px only: this one has"
            f" {list(image.shape[-2:])}. Resize it with `resize_to_network`."
        )
    factor = torch.as_tensor(disparity_factor, dtype=torch.float32, device=image.device)
    maps = network.encode(image, crops_at_once=crops_at_once)
    disparity = network.disparity(maps).float()
    depth_m = depth_from_disparity(disparity, factor.reshape(-1))
    if depth is not None:
        depth_m = network.align(depth_m, depth)
    base = initialize(image, depth_m)
    return compose(base, network.delta(maps, base.features), disparity=disparity, depth_m=depth_m)
