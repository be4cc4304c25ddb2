"""Small data sets of the reference, and recordings made in memory."""

import dataclasses
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.events.boxes import BOX_DTYPE
from fovea.events.dataset import EventSet
from fovea.events.labels import Labels
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector
from fovea.events.model.weights import save_detector
from fovea.events.sensor import GEN1, GEN4, Sensor

MICRO = {
    "micro_gen1": dataclasses.replace(GEN1, height=48, width=64),
    "micro_gen4": dataclasses.replace(GEN4, height=96, width=128),
}


@pytest.fixture(scope="session")
def micro_sets(goldens: Path) -> dict[str, EventSet]:
    """The reference's micro data sets, by name: gen1's rules at full and gen4's at half size."""
    return {name: EventSet(goldens / "events" / name, sensor) for name, sensor in MICRO.items()}


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small detector that finds something everywhere, for `micro_gen1`."""
    torch.manual_seed(3)
    made = Detector(Architecture.of("nano", MICRO["micro_gen1"]))
    with torch.no_grad():
        for each in (*made.yolox_head.obj_preds, *made.yolox_head.cls_preds):
            each.bias.fill_(0.0)
    path = tmp_path_factory.mktemp("detector") / "detector.pt"
    save_detector(path, made, MICRO["micro_gen1"])
    return path


@dataclass(frozen=True)
class MadeRecording:
    """A recording in memory: histogram `i` is full of `i % 256`, each label has one box."""

    name: str
    n_histograms: int
    objframe_to_histogram: np.ndarray
    sensor: Sensor
    is_pseudo: bool = False
    class_ids: tuple[int, ...] = ()
    """Of each label; in turns when left out."""

    @property
    def folder(self) -> Path:
        return Path("/made") / self.name

    @property
    def labels(self) -> np.ndarray:
        boxes = np.zeros(len(self.objframe_to_histogram), BOX_DTYPE)
        boxes["t"] = 0 if self.is_pseudo else 1 + self.objframe_to_histogram
        boxes["x"], boxes["y"], boxes["w"], boxes["h"] = 4, 6, 10, 12
        in_turns = np.arange(len(boxes)) % len(self.sensor.classes)
        boxes["class_id"] = self.class_ids or in_turns
        boxes["class_confidence"] = 1
        return boxes

    @property
    def objframe_to_label(self) -> np.ndarray:
        return np.arange(len(self.objframe_to_histogram))

    def read(self, first: int, last: int) -> np.ndarray:
        height, width = self.sensor.network_height, self.sensor.network_width
        values = (np.arange(first, last) % 256).astype(np.uint8)
        return np.broadcast_to(values[:, None, None, None], (last - first, 20, height, width))

    def labels_at(self, objframe: int) -> Labels:
        rows = self.labels[objframe : objframe + 1]
        found = Labels.from_structured(rows, self.sensor.height, self.sensor.width)
        return found.scaled(0.5) if self.sensor.halved else found


@pytest.fixture(scope="session")
def made_recording():
    """Makes a recording in memory from its number of histograms and where its labels are."""

    def make(name, n_histograms, labelled, *, sensor=MICRO["micro_gen1"], is_pseudo=False):
        return MadeRecording(name, n_histograms, np.asarray(labelled, np.int64), sensor, is_pseudo)

    return make


@pytest.fixture(scope="session")
def fill(goldens: Path):
    """The goldens' own maker of weights and inputs."""
    path = goldens / "events" / "fill.py"
    spec = importlib.util.spec_from_file_location("fill", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def filled(fill):
    """Makes a detector of an architecture with the weights of the goldens."""

    def make(architecture: Architecture) -> Detector:
        detector = Detector(architecture)
        shapes = {name: each.shape for name, each in detector.state_dict().items()}
        state = fill.fill_state(shapes, seed=0)
        detector.load_state_dict({n: torch.from_numpy(np.asarray(v)) for n, v in state.items()})
        return detector.eval()

    return make
