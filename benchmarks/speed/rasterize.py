"""How fast the CPU rasteriser is, beside OpenSplat's CPU rasteriser and gsplat's PyTorch one.

    python benchmarks/speed/rasterize.py --opensplat opensplat_cpu.so --gsplat-source gsplat/

All get the same projected Gaussians of gsplat's garden scene (view 0; random shapes and opacities
as in gsplat's own tests) and return the image and the gradients of 2D means, conics, colours and
opacities. Runs are interleaved, the first is thrown away, medians are of process CPU time on one
thread: ratios survive a busy machine, milliseconds do not.

Nothing of the peers is part of this project. To have them measured:
- `--opensplat`: OpenSplat's `rasterizer/gsplat-cpu/gsplat_cpu.cpp`, built with -O3 -march=native
  as a Python extension that exposes
  `rasterize_forward(width, height, xys, conics, colors, opacities, background, cov2d, depths)`
  -> `(image, T, ids)` and `rasterize_backward(height, width, the same seven, T, ids, v_image,
  v_alpha)`, where `ids` is the address of px2gid, freed by the backward.
- `--gsplat-source`: a checkout of gsplat. Its `accumulate` needs nerfacc, which works on CUDA only,
  and the list of contributing (Gaussian, pixel) pairs; both are stood in for here, and making the
  list is not counted.
"""

import argparse
import importlib.machinery
import importlib.util
import os
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from record import write_record
from torch import Tensor

from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.raster import cpu, plain
from fovea.scene.raster.splats import ALPHA_MIN, TILE, TRANSMITTANCE_MIN, Splats, View
from fovea.scene.rasterize import rasterize

ROOT = Path(__file__).parents[2]
CROP = 2.0
LARGEST_SCALE = 0.02


@dataclass
class Work:
    """One picture to draw and differentiate."""

    gaussians: Gaussians
    view: View
    splats: Splats
    colors: Tensor
    v_image: Tensor
    v_alpha: Tensor


def garden(path: Path, channels: int) -> Work:
    data = np.load(path)
    make = torch.Generator().manual_seed(42)
    means = torch.from_numpy(data["means3d"]).float()
    means = means[(means.abs() < CROP).all(dim=1)]
    count = len(means)
    gaussians = Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=make), dim=-1),
        scales=torch.rand(count, 3, generator=make) * LARGEST_SCALE + 1e-4,
        opacities=torch.rand(count, generator=make),
        harmonics=torch.randn(count, 16, 3, generator=make) * 0.3,
    )
    height, width = int(data["height"]), int(data["width"])
    view = View(
        world_to_camera=torch.from_numpy(data["viewmats"][0]).float(),
        intrinsics=torch.from_numpy(data["Ks"][0]).float(),
        height=height,
        width=width,
        near=0.2,
        blur=0.3,
        in_tiles=False,
    )
    placed = cpu.project(gaussians, view)
    seen = placed.visible
    leaf = [
        getattr(placed, name)[seen].clone().requires_grad_()
        for name in ("means2d", "conics", "opacities")
    ]
    splats = Splats(leaf[0], leaf[1], placed.depths[seen], leaf[2], placed.radii[seen])
    return Work(
        gaussians=gaussians,
        view=view,
        splats=splats,
        colors=torch.rand(int(seen.sum()), channels, generator=make).requires_grad_(),
        v_image=torch.randn(height, width, channels, generator=make),
        v_alpha=torch.randn(height, width, generator=make),
    )


class Ours:
    name = "fovea cpu"

    def __init__(self, work: Work) -> None:
        self.work = work
        self.attached = torch.ones(work.colors.shape[1])

    def forward(self) -> Tensor:
        work = self.work
        self.image, self.left = cpu.blend(work.splats, work.colors, self.attached, work.view)
        return self.image

    def backward(self) -> None:
        work = self.work
        for values in (work.splats.means2d, work.splats.conics, work.splats.opacities, work.colors):
            values.grad = None
        torch.autograd.backward([self.image, self.left], [work.v_image, -work.v_alpha])

    def gradient(self) -> Tensor:
        return self.work.splats.means2d.grad


class OpenSplat:
    name = "OpenSplat cpu"

    def __init__(self, work: Work, path: Path) -> None:
        self.work = work
        loader = importlib.machinery.ExtensionFileLoader(path.stem, str(path))
        spec = importlib.util.spec_from_loader(path.stem, loader)
        self.module = importlib.util.module_from_spec(spec)
        loader.exec_module(self.module)
        splats = work.splats
        conics = splats.conics.detach()
        determinant = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
        a, b, c = (column / determinant for column in conics.unbind(1))
        covariances = torch.stack([c, -b, -b, a], dim=1).reshape(-1, 2, 2).contiguous()
        self.inputs = (
            splats.means2d.detach() - 0.5,  # its pixel centres are at whole numbers
            conics,
            work.colors.detach(),
            splats.opacities.detach()[:, None].contiguous(),
            torch.zeros(3),
            covariances,
            splats.depths,
        )

    def forward(self) -> Tensor:
        view = self.work.view
        made = self.module.rasterize_forward(view.width, view.height, *self.inputs)
        self.image, self.left, self.ids = made
        return self.image

    def backward(self) -> None:
        view, work = self.work.view, self.work
        rest = self.left, self.ids, work.v_image, work.v_alpha[..., None].contiguous()
        made = self.module.rasterize_backward(view.height, view.width, *self.inputs, *rest)
        self.v_means2d = made[0]

    def gradient(self) -> Tensor:
        return self.v_means2d


class GsplatTorch:
    name = "gsplat torch (pair list not counted)"

    def __init__(self, work: Work, source: Path) -> None:
        self.work = work
        self.accumulate = load_accumulate(source)
        self.splat_ids, self.pixels = pairs(work)
        self.zeros = torch.zeros_like(self.pixels)

    def forward(self) -> Tensor:
        work, view = self.work, self.work.view
        inputs = (work.splats.means2d, work.splats.conics, work.splats.opacities, work.colors)
        lists = self.splat_ids, self.pixels, self.zeros
        image, alpha = self.accumulate(
            *(values[None] for values in inputs), *lists, view.width, view.height
        )
        self.image, self.alpha = image[0], alpha[0, ..., 0]
        return self.image

    def backward(self) -> None:
        work = self.work
        for values in (work.splats.means2d, work.splats.conics, work.splats.opacities, work.colors):
            values.grad = None
        torch.autograd.backward([self.image, self.alpha], [work.v_image, work.v_alpha])

    def gradient(self) -> Tensor:
        return self.work.splats.means2d.grad


def load_accumulate(source: Path) -> Callable[..., tuple[Tensor, Tensor]]:
    """gsplat's compositing in PyTorch, without its CUDA wrapper and with nerfacc stood in for."""
    folder = source / "gsplat" / "cuda"
    for name in ("gsplat", "gsplat.cuda"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(folder if name.endswith("cuda") else folder.parent)]
    wrapper = types.ModuleType("gsplat.cuda._wrapper")
    wrapper.CameraModel = wrapper.RollingShutterType = object
    sys.modules[wrapper.__name__] = wrapper
    stand_in = types.ModuleType("nerfacc")
    stand_in.render_weight_from_alpha = render_weight_from_alpha
    stand_in.accumulate_along_rays = accumulate_along_rays
    sys.modules["nerfacc"] = stand_in
    return importlib.import_module("gsplat.cuda._torch_impl").accumulate


def render_weight_from_alpha(alphas: Tensor, ray_indices: Tensor, n_rays: int) -> tuple:
    """Weights along rays, entries sorted by ray: a running sum of logarithms, less its start."""
    logs = torch.log1p(-alphas).double()
    before = torch.cumsum(logs, dim=0) - logs
    first = torch.searchsorted(ray_indices, torch.arange(n_rays))
    start = before[first.clamp(max=len(before) - 1)]
    trans = torch.exp(before - start[ray_indices]).float()
    return alphas * trans, trans


def accumulate_along_rays(
    weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int
) -> Tensor:
    rows = weights[:, None] if values is None else weights[:, None] * values
    return rows.new_zeros((n_rays, rows.shape[1])).index_add(0, ray_indices, rows)


@torch.no_grad()
def pairs(work: Work) -> tuple[Tensor, Tensor]:
    """The contributing (Gaussian, pixel) pairs, by pixel and front to back."""
    splats, view = work.splats, work.view
    order = torch.argsort(splats.depths, stable=True)
    half = plain.half_sizes(splats.conics, splats.opacities)[order] + 0.01
    low, high = splats.means2d[order] - half, splats.means2d[order] + half
    found = []
    for top in range(0, view.height, TILE):
        for left in range(0, view.width, TILE):
            bottom, right = min(top + TILE, view.height), min(left + TILE, view.width)
            touch = (low[:, 0] < right) & (high[:, 0] > left)
            touch &= (low[:, 1] < bottom) & (high[:, 1] > top)
            ids = order[touch]
            y, x = torch.meshgrid(
                torch.arange(top, bottom), torch.arange(left, right), indexing="ij"
            )
            x, y = x.reshape(-1, 1), y.reshape(-1, 1)
            alpha = plain.alphas(splats, ids, x + 0.5, y + 0.5)
            alive = torch.cumprod(1 - alpha, dim=1) >= TRANSMITTANCE_MIN
            pixel, place = torch.nonzero((alpha >= ALPHA_MIN) & alive, as_tuple=True)
            found.append(torch.stack([ids[place], (y * view.width + x)[pixel, 0]]))
    splat_ids, pixels = torch.cat(found, dim=1)
    by_pixel = torch.argsort(pixels, stable=True)
    return splat_ids[by_pixel], pixels[by_pixel]


def measure(peers: list, repeats: int) -> dict[str, dict[str, list[float]]]:
    """CPU and wall ms of every run, the peers taking turns; the first round is thrown away."""
    times = {peer.name: {"forward": [], "both": [], "wall": []} for peer in peers}
    for turn in range(repeats + 1):
        for peer in peers:
            start, start_wall = time.process_time(), time.perf_counter()
            peer.forward()
            middle = time.process_time()
            peer.backward()
            end, end_wall = time.process_time(), time.perf_counter()
            if turn:
                times[peer.name]["forward"].append(1e3 * (middle - start))
                times[peer.name]["both"].append(1e3 * (end - start))
                times[peer.name]["wall"].append(1e3 * (end_wall - start_wall))
    return times


def whole_step(work: Work, repeats: int) -> dict[str, float]:
    """CPU ms from 3D parameters to their gradients: projection, harmonics of degree 3, depth."""
    names = ("means", "quats", "scales", "opacities", "harmonics")
    inputs = {n: getattr(work.gaussians, n).clone().requires_grad_() for n in names}
    view = work.view
    camera = Camera(view.world_to_camera, view.intrinsics, view.height, view.width)
    taken = []
    for _ in range(repeats + 1):
        start = time.process_time()
        raster = rasterize(replace(work.gaussians, **inputs), camera)
        torch.autograd.backward(
            [raster.features, raster.alpha], [work.v_image[..., :3], work.v_alpha]
        )
        taken.append(1e3 * (time.process_time() - start))
    return summary(taken[1:])


def summary(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median_ms": round(middle, 2), "quartiles_ms": [round(low, 2), round(high, 2)]}


def off_at_most(differences: Tensor, share: float) -> float:
    """What that share of the differences stays below; float32 flips thresholds in a few pixels."""
    values = differences.flatten().sort().values
    return float(values[int(share * (len(values) - 1))])


def peers_for(work: Work, channels: int, options: argparse.Namespace) -> list:
    peers: list = [Ours(work)]
    if options.opensplat and channels == 3:
        peers.append(OpenSplat(work, options.opensplat))
    if options.gsplat_source:
        peers.append(GsplatTorch(work, options.gsplat_source))
    return peers


def two_threads(work: Work, repeats: int) -> tuple[float, float]:
    """Median wall ms of one and of two threads, taking turns."""
    ours = Ours(work)
    walls: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(repeats + 1):
        for threads in walls:
            torch.set_num_threads(threads)
            took = measure([ours], 1)[ours.name]["wall"][-1]
            if turn:
                walls[threads].append(took)
    torch.set_num_threads(1)
    return statistics.median(walls[1]), statistics.median(walls[2])


def main() -> int:
    options = arguments()
    if not options.data.is_file():
        print(f"No scene: {options.data} is not a file. Set FOVEA_DATA or give --data.")
        return 2
    for name, path in (("OpenSplat", options.opensplat), ("gsplat", options.gsplat_source)):
        if path is None or not path.exists():
            print(f"{name} is not measured: no {path or 'path given'}. See the top of this file.")
            setattr(options, "opensplat" if name == "OpenSplat" else "gsplat_source", None)
    torch.set_num_threads(1)
    rows = []
    for channels in options.channels:
        work = garden(options.data, channels)
        peers = peers_for(work, channels, options)
        images = [peer.forward().detach() for peer in peers]
        gradients = []
        for peer in peers:
            peer.backward()
            gradients.append(peer.gradient().clone())
        times = measure(peers, options.repeats)
        ours = statistics.median(times[peers[0].name]["both"])
        for peer, image, gradient in zip(peers, images, gradients, strict=True):
            row = {
                "work": f"garden, {channels} channels",
                "rasteriser": peer.name,
                "forward": summary(times[peer.name]["forward"]),
                "forward_and_backward": summary(times[peer.name]["both"]),
                "times_ours": round(statistics.median(times[peer.name]["both"]) / ours, 2),
                "image_off": off_at_most((image - images[0]).abs(), 0.9999),
                "gradient_off": float((gradient - gradients[0]).norm() / gradients[0].norm()),
            }
            rows.append(row)
            print_row(row)
    one, two = two_threads(garden(options.data, 3), options.repeats)
    print(f"2 threads: {one:.0f} -> {two:.0f} ms wall, {one / two:.2f}x")
    step = whole_step(garden(options.data, 3), options.repeats)
    print(f"rasterize(), from 3D parameters, harmonics of degree 3: {step['median_ms']:.0f} ms")
    write_record(
        options.json,
        "speed/rasterize",
        rows,
        two_threads={"one_wall_ms": round(one, 1), "two_wall_ms": round(two, 1)},
        from_3d_parameters=step,
    )
    return 0


def print_row(row: dict) -> None:
    print(
        f"{row['work']:22} {row['rasteriser']:38} forward {row['forward']['median_ms']:9.1f} ms"
        f"   f+b {row['forward_and_backward']['median_ms']:9.1f} ms {row['times_ours']:7.2f}x"
        f"   image {row['image_off']:.1e}, gradient {row['gradient_off']:.1e} off ours"
    )


def arguments() -> argparse.Namespace:
    data = Path(os.environ.get("FOVEA_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=data / "multiview" / "garden_3views.npz")
    parser.add_argument("--opensplat", type=Path, help="the extension module described above")
    parser.add_argument("--gsplat-source", type=Path, help="a checkout of gsplat")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--channels", type=int, nargs="+", default=[3, 12])
    parser.add_argument("--json", type=Path, help="where to write the record")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
