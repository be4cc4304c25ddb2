"""How fast the detector is on a CPU, beside the network of RVT's own repository.

    python benchmarks/speed/detector.py --rvt RVT/

Both are RVT-T at gen1 size (240 x 304, padded to 256 x 320) with the same weights, go through the
same sequence of histograms from uint8 on, and are asked for the same: `forward` is every frame's
decoded predictions, with states carried and without gradients; `step` is features of all frames,
loss of the labelled ones (two a recording), gradients, and AdamW. Runs are interleaved, the first
is thrown away, medians are of process CPU time on one thread: ratios survive a busy machine,
milliseconds do not. Before that the predictions and the losses are held against each other.

`nano` is measured alone, at the sizes that rehearsals on a CPU use.

Nothing of RVT is part of this project: `--rvt` is a checkout of github.com/uzh-rpg/RVT, and needs
the package omegaconf. What its network imports beside (label types,
torchvision) is stood in for.
"""

import argparse
import importlib
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from record import write_record
from torch import Tensor

from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector, at_frames
from fovea.events.sensor import GEN1, Sensor
from fovea.events.settings.losses import LossConfig

RATE = 2e-4


class Work:
    """One batch of histograms and labels, the same for all."""

    def __init__(self, sensor: Sensor, *, batch: int, length: int, labelled: int) -> None:
        make = torch.Generator().manual_seed(7)
        height, width = sensor.network_height, sensor.network_width
        shape = (length, batch, 20, height, width)
        hit = torch.rand(shape, generator=make) < 0.08
        counts = torch.randint(1, 11, shape, generator=make)
        self.histograms = torch.where(hit, counts, 0).to(torch.uint8)
        self.padded = sensor.padded
        steps = torch.linspace(length - 1, 0, labelled).round().long().unique()
        self.steps = steps.repeat_interleave(batch)
        self.lanes = torch.arange(batch).repeat(len(steps))
        self.targets = boxes(len(self.steps), height, width, len(sensor.classes), make)


def boxes(frames: int, height: int, width: int, classes: int, make: torch.Generator) -> Tensor:
    """Three boxes a frame."""
    rows = torch.ones(frames, 3, 7)
    rows[..., 0] = torch.randint(classes, (frames, 3), generator=make)
    extents = (0.1 + 0.3 * torch.rand(frames, 3, 2, generator=make)) * min(height, width)
    size = torch.tensor([width, height])
    rows[..., 1:3] = extents / 2 + torch.rand(frames, 3, 2, generator=make) * (size - extents)
    rows[..., 3:5] = extents
    return rows


class Ours:
    name = "fovea"

    def __init__(self, work: Work, size: str, sensor: Sensor) -> None:
        torch.manual_seed(3)
        self.work = work
        self.network = Detector(Architecture.of(size, sensor))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=RATE, weight_decay=0, fused=True
        )

    @torch.no_grad()
    def forward(self) -> Tensor:
        states, found = None, []
        for histograms in self.work.histograms:
            decoded, states = self.network(histograms, states)
            found.append(decoded)
        return torch.stack(found)

    def step(self) -> float:
        work = self.work
        features, _ = self.network.sequence_features(work.histograms)
        loss = self.network.losses(
            at_frames(features, work.steps, work.lanes), work.targets, LossConfig()
        ).total
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())


class Rvt:
    name = "RVT"

    def __init__(
        self, work: Work, folder: Path, weights: dict[str, Tensor], sensor: Sensor
    ) -> None:
        self.work = work
        self.network = reference(folder, sensor)
        self.network.load_state_dict(weights)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=RATE, weight_decay=0)

    def padded(self, histograms: Tensor) -> Tensor:
        below, right = (a - b for a, b in zip(self.work.padded, histograms.shape[2:], strict=True))
        return torch.nn.functional.pad(histograms.float(), (0, right, 0, below))

    @torch.no_grad()
    def forward(self) -> Tensor:
        states, found = None, []
        for histograms in self.work.histograms:
            decoded, _, states = self.network(self.padded(histograms), states)
            found.append(decoded)
        return torch.stack(found)

    def step(self) -> float:
        work, states = self.work, None
        found: dict[int, list[Tensor]] = {}
        for step, histograms in enumerate(work.histograms):
            features, states = self.network.forward_backbone(self.padded(histograms), states)
            for number, each in features.items():
                found.setdefault(number, []).append(each[work.lanes[work.steps == step]])
        order = torch.argsort(work.steps, stable=True)
        joined = {number: torch.cat(each) for number, each in found.items()}
        _, losses = self.network.forward_detect(joined, targets=work.targets[order][..., :5])
        self.optimizer.zero_grad()
        losses["loss"].backward()
        torch.nn.utils.clip_grad_value_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return float(losses["loss"].detach())


def reference(folder: Path, sensor: Sensor) -> torch.nn.Module:
    """RVT-T of the repository in that folder."""
    from omegaconf import OmegaConf

    sys.path.insert(0, str(folder))
    stand_in = types.ModuleType("data.utils.types")
    for name in ("FeatureMap", "BackboneFeatures", "LstmState", "LstmStates"):
        setattr(stand_in, name, Any)
    # torchvision serves its suppression of boxes alone, which is not measured.
    for name in ("data", "data.utils", "torchvision"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["data.utils.types"] = stand_in
    model = OmegaConf.load(folder / "config" / "model" / "maxvit_yolox" / "default.yaml").model
    model.backbone.embed_dim = 32
    model.backbone.in_res_hw = list(sensor.padded)
    model.backbone.partition_split_32 = 1
    model.backbone.stage.attention.partition_size = list(sensor.partition)
    model.fpn.depth = 0.33
    model.head.num_classes = len(sensor.classes)
    module = importlib.import_module("models.detection.yolox_extension.models.detector")
    return module.YoloXDetector(model)


def measure(peers: list[Any], call: str, repeats: int) -> dict[str, list[float]]:
    """CPU ms of every run, the peers taking turns; the first round is thrown away."""
    times: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(repeats + 1):
        for peer in peers:
            peer.network.train(call == "step")
            run: Callable[[], object] = getattr(peer, call)
            start = time.process_time()
            run()
            if turn:
                times[peer.name].append(1e3 * (time.process_time() - start))
    return times


def summary(values: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median_ms": round(middle, 2), "quartiles_ms": [round(low, 2), round(high, 2)]}


def compared(folder: Path | None, options: argparse.Namespace) -> list[dict[str, Any]]:
    """RVT-T at gen1 size, ours and theirs."""
    work = Work(GEN1, batch=options.batch, length=options.length, labelled=2)
    ours = Ours(work, "tiny", GEN1)
    peers: list[Any] = [ours]
    if folder is not None:
        weights = {name: each.clone() for name, each in ours.network.state_dict().items()}
        peers.append(Rvt(work, folder, weights, GEN1))
        check(peers)
    rows = []
    for call in ("forward", "step"):
        times = measure(peers, call, options.repeats)
        middle = {name: statistics.median(each) for name, each in times.items()}
        rows += [
            {
                "work": f"RVT-T, gen1, {options.length} x {options.batch}, {call}",
                "detector": name,
                **summary(each),
                "ratio_ours_to_this": round(middle[ours.name] / middle[name], 3),
            }
            for name, each in times.items()
        ]
    return rows


def check(peers: list[Any]) -> None:
    """Hold ours against theirs before the clock is started."""
    for peer in peers:
        peer.network.eval()
    ours, theirs = (peer.forward() for peer in peers)
    off = float((ours - theirs).abs().max())
    for peer in peers:
        peer.network.train()
    losses = [peer.step() for peer in peers]
    print(f"predictions differ by {off:.1e} at most; losses {losses[0]:.5f} and {losses[1]:.5f}")
    if off > 1e-2 or abs(losses[0] / losses[1] - 1) > 1e-3:
        raise SystemExit("These are not the same network: the figures would mean nothing.")


def nano(repeats: int) -> list[dict[str, Any]]:
    """A training step of nano at the sizes of rehearsals."""
    rows = []
    for height, width in ((64, 96), (96, 128)):
        sensor = Sensor("made", height, width, ("a", "b"))
        ours = Ours(Work(sensor, batch=8, length=5, labelled=2), "nano", sensor)
        times = measure([ours], "step", repeats)[ours.name]
        rows.append(
            {"work": f"nano, {height} x {width}, 5 x 8, step", "detector": ours.name}
            | summary(times)
        )
    return rows


def main() -> int:
    options = arguments()
    torch.set_num_threads(1)
    if options.rvt is None or not options.rvt.is_dir():
        print(f"RVT is not measured: no {options.rvt or 'path given'}. See the top of this file.")
        options.rvt = None
    rows = compared(options.rvt, options) + nano(options.repeats)
    for row in rows:
        ratio = f"   ours {row['ratio_ours_to_this']:.2f}x" if "ratio_ours_to_this" in row else ""
        print(f"{row['work']:34} {row['detector']:6} {row['median_ms']:9.1f} ms{ratio}")
    write_record(options.json, "speed/detector", rows)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rvt", type=Path, help="a checkout of RVT")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the record")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
