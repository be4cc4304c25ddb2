"""Train `lite` on rendered views, on a CPU, for as many minutes as there are.

    python benchmarks/lite/train.py --views runs/lite/views --into runs/lite --minutes 25

The rendering may still be under way. The state is written every minute; started again, it goes on.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from views import fields

from fovea.photo.lite.network import LiteNetwork, Surfaces
from fovea.scene.efficientnet import published

LEAST_INVERSE = 0.01
HELD_OUT = 64
"""The first views of the folder are never trained on."""


def batch(views: dict, rows: np.ndarray, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
    """Pictures, colours behind, inverse depths (both layers, half size) and focal lengths."""
    color = torch.from_numpy(views["color"][rows]).permute(0, 1, 4, 2, 3).float() / 255
    inverse = torch.from_numpy(views["inverse_depth"][rows].astype(np.float32))
    focal = torch.from_numpy(views["camera"][rows, 0].copy())
    if views["camera"][rows[0], 1] > 0.5:
        color, inverse = color.transpose(3, 4), inverse.transpose(2, 3)
    if rng is not None:
        if rng.random() < 0.5:
            color, inverse = color.flip(4), inverse.flip(3)
        color = torch.stack([_developed(c, rng) for c in color])
    behind = F.avg_pool2d(color[:, 1], 2)
    return color[:, 0], behind, inverse[:, :, ::2, ::2], focal


def _developed(color: Tensor, rng: np.random.Generator) -> Tensor:
    """Another exposure, tone, tint, sharpness and grain of the same view."""
    color = color.clamp(0.001, 1) ** float(np.exp(rng.normal() * 0.3)) * rng.uniform(0.7, 1.25)
    color = color * torch.tensor(rng.normal(1, 0.06, 3), dtype=torch.float32)[None, :, None, None]
    gray = color.mean(1, keepdim=True)
    color = gray + (color - gray) * (0.0 if rng.random() < 0.08 else rng.uniform(0.3, 1.3))
    if rng.random() < 0.25:
        color = 0.5 * color + 0.5 * F.avg_pool2d(color, 3, 1, 1)
    if rng.random() < 0.5:
        grain = torch.from_numpy(rng.standard_normal(color.shape, dtype=np.float32))
        color = color + grain * rng.uniform(0.0, 0.05)
    return color.clamp(0, 1)


def losses(said: Surfaces, behind: Tensor, inverse: Tensor, focal: Tensor) -> dict[str, Tensor]:
    """Every term, each about 0.1 to 1 in size."""
    clipped = inverse.clamp_min(LEAST_INVERSE)
    truth = torch.log(clipped * focal[:, None, None, None])
    gap = said.log_inverse - truth[:, 0]
    middle = gap.flatten(1).median(1).values[:, None, None]
    terms = {"metric": gap.abs().mean(), "shape": (gap - middle).abs().mean()}
    a, b = _standard(torch.exp(said.log_inverse.clamp(max=4))), _standard(torch.exp(truth[:, 0]))
    terms["affine"] = (a - b).abs().clamp(max=4).mean()
    slopes = []
    for step in (1, 2, 4, 8):
        g = gap[:, ::step, ::step]
        slopes += [g.diff(dim=1).abs().clamp(max=1).mean(), g.diff(dim=2).abs().clamp(max=1).mean()]
    terms["edges"] = torch.stack(slopes).sum() / 4
    ratio = (truth[:, 0] - truth[:, 1]).clamp(0, 3)
    is_there = (inverse[:, 1] > LEAST_INVERSE).float()
    terms["behind"] = ((said.log_behind - ratio).abs() * is_there).mean()
    hidden = (ratio > 0.05)[:, None].float()
    terms["hidden_color"] = ((said.color_behind - behind).abs() * hidden).mean()
    return terms


WEIGHTS = dict(metric=0.4, shape=1.0, affine=0.6, edges=1.0, behind=0.25, hidden_color=1.0)


def _standard(values: Tensor) -> Tensor:
    flat = values.flatten(1)
    middle = flat.median(1, keepdim=True).values
    spread = (flat - middle).abs().mean(1, keepdim=True).clamp_min(1e-3)
    return ((flat - middle) / spread).view_as(values)


def save_weights(network: torch.nn.Module, path: Path) -> None:
    """As half floats, which is what the package ships."""
    state = {k: v.half().contiguous() for k, v in network.state_dict().items()}
    save_file(state, str(path), metadata={"made_by": "benchmarks/lite/train.py"})


def main() -> None:
    """The loop, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--encoder-rate", type=float, default=3e-4)
    given = parser.parse_args()
    torch.manual_seed(0)
    network = LiteNetwork()
    network.encoder.load_state_dict(published())
    network = network.to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    encoder = list(network.encoder.parameters())
    ids = {id(p) for p in encoder}
    rest = [p for p in network.parameters() if id(p) not in ids]
    optimizer = torch.optim.AdamW(
        [{"params": encoder, "peak": given.encoder_rate}, {"params": rest, "peak": given.rate}],
        lr=1e-4, weight_decay=1e-3,
    )  # fmt: skip
    step, state = 0, given.into / "state.pt"
    if state.exists():
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    views = fields(given.views, given.count, "r")
    began = saved_at = time.time()
    sums: dict[str, float] = {}
    first, ready = step, 0
    while (share := (time.time() - began) / (60 * given.minutes)) < 1:
        rng = np.random.default_rng([7, step])
        ready = int((given.views / "done.txt").read_text() or ready)
        sideways = rng.random() < 0.25
        candidates = rng.integers(HELD_OUT, ready, 12 * given.batch)
        candidates = candidates[(views["camera"][candidates, 1] > 0.5) == sideways]
        rows = candidates[: given.batch]
        if len(rows) < 2:
            step += 1
            continue
        image, behind, inverse, focal = batch(views, rows, rng)
        fall = max(0.5 * (1 + float(np.cos(np.pi * share))), 0.02)
        rate = min(1.0, (step - first + 1) / 60) * fall
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        said = network(image.contiguous(memory_format=torch.channels_last), focal)
        terms = losses(said, behind, inverse, focal)
        loss = torch.stack([WEIGHTS[k] * v for k, v in terms.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            keep = min(0.99, step / (step + 20))
            for kept, new in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 1 - keep)
        for name, value in terms.items():
            sums[name] = 0.97 * sums.get(name, float(value)) + 0.03 * float(value)
        if step % 20 == 0:
            shown = " ".join(f"{k} {v:.3f}" for k, v in sums.items())
            seconds = (time.time() - began) / max(step - first, 1)
            print(f"step {step} ({share:.0%}, {seconds:.2f} s, {ready} views) {shown}", flush=True)
        if time.time() - saved_at > 60:
            saved_at = time.time()
            _save(given.into, network, average, optimizer, step)
    _save(given.into, network, average, optimizer, step)


def _save(folder: Path, network, average, optimizer, step: int) -> None:
    partial = folder / "state.partial"
    torch.save(
        {
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
        },
        partial,
    )
    partial.replace(folder / "state.pt")
    save_weights(average, folder / "lite.safetensors")


if __name__ == "__main__":
    main()
