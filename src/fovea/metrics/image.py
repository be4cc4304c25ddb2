"""PSNR, SSIM and LPIPS of images with values in 0..1.

Images are [height, width, channels], batches [batch, height, width, channels]; a batch scores the
mean of its images. `psnr` and `ssim` are differentiable.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from fovea.errors import BackendError
from fovea.metrics.metric import MeanMetric, check_pair

Convention = Literal["total", "per_channel"]

WINDOW_SIZE = 11
WINDOW_SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def psnr(
    image: Float[Tensor, "*batch height width channels"],
    target: Float[Tensor, "*batch height width channels"],
    *,
    convention: Convention = "total",
) -> Float[Tensor, ""]:
    """Peak signal-to-noise ratio in dB, `-10 log10(mean squared error)`; infinite for equal images.

    Args:
        image: values in 0..1.
        target: values in 0..1.
        convention: `total` takes one mean over pixels and channels, as nearly everybody does.
            `per_channel` takes the PSNR of each channel and then their mean, as the code of 3D
            Gaussian splatting and its descendants does; it is never smaller, and the more coloured
            the error the larger.
    """
    check_pair(image, target)
    return _psnr_of_each(image, target, convention).mean()


def _psnr_of_each(image: Tensor, target: Tensor, convention: Convention) -> Tensor:
    axes = (-3, -2, -1) if convention == "total" else (-3, -2)
    decibels = -10 * torch.log10((image - target).square().mean(dim=axes))
    return decibels if convention == "total" else decibels.mean(dim=-1)


def ssim(
    image: Float[Tensor, "*batch height width channels"],
    target: Float[Tensor, "*batch height width channels"],
) -> Float[Tensor, ""]:
    """Structural similarity: the mean of `ssim_map`, 1 for equal images."""
    return ssim_map(image, target).mean()


def ssim_map(
    image: Float[Tensor, "*batch height width channels"],
    target: Float[Tensor, "*batch height width channels"],
) -> Float[Tensor, "*batch height width channels"]:
    """Structural similarity around each pixel, channel by channel, for values in 0..1.

    The window is an 11 x 11 Gaussian with sigma 1.5. Outside the image is zero, which near the
    border differs from implementations that reflect. Both gradients are written in closed form;
    there is no second derivative.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity" (2004), equation 13. We blur x² + y² in one piece: the two variances only
    ever appear as their sum.
    """
    check_pair(image, target)
    if image.ndim == 3:
        return ssim_map(image[None], target[None])[0]
    return _SSIMMap.apply(image, target)  # pyright: ignore[reportReturnType]


@functools.cache
def _window(dtype: torch.dtype, device: torch.device) -> Tensor:
    offsets = torch.arange(WINDOW_SIZE, dtype=torch.float64) - WINDOW_SIZE // 2
    weights = torch.exp(-offsets.square() / (2 * WINDOW_SIGMA**2))
    return (weights / weights.sum()).to(dtype=dtype, device=device)


def _blur(maps: Tensor) -> Tensor:
    """Gaussian means around each pixel of [maps, batch, height, width, channels]; its own adjoint.

    With the channels innermost in memory a depthwise convolution runs nearly at memory's speed.
    """
    channels, half = maps.shape[-1], WINDOW_SIZE // 2
    window = _window(maps.dtype, maps.device)
    rows = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    blurred = maps.flatten(0, 1).permute(0, 3, 1, 2)
    blurred = F.conv2d(blurred, rows, padding=(half, 0), groups=channels)
    blurred = F.conv2d(blurred, columns, padding=(0, half), groups=channels)
    return blurred.permute(0, 2, 3, 1).reshape(maps.shape)


class _SSIMMap(torch.autograd.Function):
    # Written in place where it can be: on a CPU a fresh array costs more than the sum that fills
    # it.

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        maps = x.new_empty((4, *x.shape))
        maps[0], maps[1] = x, y
        torch.mul(x, x, out=maps[2]).addcmul_(y, y)
        torch.mul(x, y, out=maps[3])
        mean_x, mean_y, mean_squares, mean_xy = _blur(maps)
        product = mean_x * mean_y
        sum_squares = mean_x.square().addcmul_(mean_y, mean_y)
        a2 = mean_xy.sub_(product).mul_(2).add_(C2)
        b2 = mean_squares.sub_(sum_squares).add_(C2)
        a1 = product.mul_(2).add_(C1)
        b1 = sum_squares.add_(C1)
        similarity = torch.mul(a1, a2).div_(b1).div_(b2)
        ctx.save_for_backward(x, y, mean_x, mean_y, a1, a2, b1, b2, similarity)
        return similarity

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Any
    ) -> tuple[Tensor | None, Tensor | None]:
        x, y, mean_x, mean_y, a1, a2, b1, b2, similarity = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        (grad,) = grad_outputs
        # Derivatives by the blurred maps (squares, product, x, y), then through the blur to pixels.
        by_maps = x.new_empty((2 + needs_x + needs_y, *x.shape))
        scaled = (2 * grad / b1).div_(b2)
        torch.mul(scaled, similarity, out=by_maps[0]).mul_(b1).mul_(-0.5)
        torch.mul(scaled, a1, out=by_maps[1])
        by_other_mean = torch.sub(a2, a1).mul_(scaled)
        by_own_mean = torch.sub(b1, b2).mul_(scaled).mul_(similarity)
        if needs_x:
            torch.mul(by_other_mean, mean_y, out=by_maps[2]).addcmul_(by_own_mean, mean_x)
        if needs_y:
            torch.mul(by_other_mean, mean_x, out=by_maps[-1]).addcmul_(by_own_mean, mean_y)
        blurred = _blur(by_maps)
        squares, product = blurred[0], blurred[1]
        grad_x = blurred[2].addcmul_(x, squares, value=2).addcmul_(y, product) if needs_x else None
        grad_y = blurred[-1].addcmul_(y, squares, value=2).addcmul_(x, product) if needs_y else None
        return grad_x, grad_y


class PSNR(MeanMetric):
    """Mean PSNR of the images; see `psnr` for the two conventions."""

    name = "psnr"
    direction = "max"
    unit = "dB"

    def __init__(self, convention: Convention = "total") -> None:
        self.convention: Convention = convention
        super().__init__()

    def scores(self, image: Tensor, target: Tensor, **rest: Any) -> Tensor:
        """The PSNR of each image."""
        return _psnr_of_each(image, target, self.convention)


class SSIM(MeanMetric):
    """Mean structural similarity of the images; see `ssim_map`."""

    name = "ssim"
    direction = "max"

    def scores(self, image: Tensor, target: Tensor, **rest: Any) -> Tensor:
        """The structural similarity of each image."""
        return ssim_map(image, target).mean(dim=(-3, -2, -1))


class LPIPS(MeanMetric):
    """Mean perceptual distance of the images, 0 for equal ones.

    The network's weights are not ours to ship: the package `lpips` carries the small learned part
    and has torchvision fetch the large one on first use.

    Args:
        network: `vgg` is what papers on view synthesis report, `alex` what the authors recommend.
        rescale: bring values from 0..1 to the -1..1 that the network was trained on. The code of 3D
            Gaussian splatting and its descendants leaves this out; `False` repeats their numbers.

    Source: Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep
        Features as a Perceptual Metric" (2018).
    """

    name = "lpips"
    direction = "min"

    def __init__(
        self, network: Literal["vgg", "alex", "squeeze"] = "vgg", *, rescale: bool = True
    ) -> None:
        self.rescale = rescale
        self._distance = _load_lpips(network)
        super().__init__()

    def scores(self, image: Tensor, target: Tensor, **rest: Any) -> Tensor:
        """The perceptual distance of each image."""
        batch = [x.reshape(-1, *x.shape[-3:]).permute(0, 3, 1, 2).float() for x in (image, target)]
        return self._distance.to(image.device)(*batch, normalize=self.rescale).reshape(-1)


def _load_lpips(network: str) -> Any:
    try:
        import lpips  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise BackendError(
            f"LPIPS needs the package 'lpips' and torchvision, and {error.name} is not installed. "
            "pip install lpips, or leave LPIPS out; PSNR and SSIM need nothing more."
        ) from None
    import warnings

    try:
        with warnings.catch_warnings():
            # lpips 0.1.4 still asks torchvision for weights by the older name of the argument.
            warnings.simplefilter("ignore", UserWarning)
            return lpips.LPIPS(net=network, verbose=False).eval().requires_grad_(False)
    except OSError as error:
        folder = torch.hub.get_dir() + "/checkpoints"
        raise BackendError(
            f"LPIPS needs torchvision's {network} weights, which could not be fetched: {error}. "
            f"Put the file of weights that torchvision names into {folder}, or leave LPIPS out."
        ) from None
