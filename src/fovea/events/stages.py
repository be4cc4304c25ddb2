"""The stages of the room `events`, declared: recordings become a data set, a detector and films.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""

from __future__ import annotations

from fovea.events.settings.annotate import AnnotateConfig
from fovea.events.settings.audit import AuditConfig
from fovea.events.settings.check import CheckConfig
from fovea.events.settings.compare import CompareConfig
from fovea.events.settings.convert import ConvertConfig
from fovea.events.settings.detect import DetectConfig
from fovea.events.settings.evaluate import EvaluateConfig
from fovea.events.settings.export import ExportConfig
from fovea.events.settings.film import FilmConfig
from fovea.events.settings.label import LabelConfig
from fovea.events.settings.preprocess import PreprocessConfig
from fovea.events.settings.simulate import SimulateConfig
from fovea.events.settings.train import TrainConfig
from fovea.runs.stage import Output, Stage

SIMULATE = Stage(
    name="events.simulate",
    summary="made scenes become a data set with exact boxes, or a video becomes a recording",
    config=SimulateConfig,
    implementation="fovea.events.simulation:simulate",
    outputs={
        "dataset": Output("eventset", "dataset", "the made scenes as a data set", optional=True),
        "recordings": Output(
            "recordings", "recordings", "their events and *_bbox.npy; keep_raw", optional=True
        ),
        "recording": Output("events", "recording.raw", "the video's events, EVT3", optional=True),
        "boxes": Output("boxes", "recording_bbox.npy", "the video's boxes", optional=True),
    },
    resumable="items",
    metrics={"recordings": "max", "moments": "max", "boxes": "max", "events": "max"},
    occasional=("recordings", "moments", "boxes", "events"),
    positional=("video",),
    requires=("events",),
)
TRAIN = Stage(
    name="events.train",
    summary="labelled recordings become a detector; teacher and student alike",
    config=TrainConfig,
    implementation="fovea.events.train:train",
    outputs={"detector": Output("detector", "detector.pt", "the detector with its sensor")},
    resumable="checkpoint",
    metrics={"val/AP": "max", "train/loss": "min"},
    positional=("data",),
    requires=("events",),
)
COMPARE = Stage(
    name="events.compare",
    summary="scores of several detectors side by side: a table, curves, and what was gained",
    config=CompareConfig,
    implementation="fovea.events.compare:compare",
    outputs={
        "table": Output("table", "table.csv", "a line for each kind of detector"),
        "page": Output("page", "table.html", "the table with curves"),
        "gains": Output("file", "gains.json", "every score and gain by seed"),
    },
    metrics={"score": "max", "gain": "max", "closed": "max", "base": "max", "goal": "max"},
    occasional=("score", "gain", "closed", "base", "goal"),
    positional=("scores",),
    requires=("events",),
)

PREPROCESS = Stage(
    name="events.preprocess",
    summary="recordings with boxes beside them become a data set of histograms",
    config=PreprocessConfig,
    implementation="fovea.events.preprocess:preprocess",
    outputs={
        "dataset": Output("eventset", "dataset", "the data set, in the published ones' layout")
    },
    resumable="items",
    metrics={"recordings": "max", "histograms": "max", "frames": "max", "boxes": "max"},
    positional=("recordings",),
    requires=("events",),
)
CHECK = Stage(
    name="events.check",
    summary="a data set is looked through, and what is wrong with it is said",
    config=CheckConfig,
    implementation="fovea.events.check:check",
    outputs={
        "scores": Output("scores", "check.json", "every problem with its file, and the counts"),
        "page": Output("page", "check.html", "the same as a page, with pictures of the boxes"),
    },
    metrics={"errors": "min", "warnings": "min", "recordings": "max", "boxes": "max"},
    positional=("data",),
    requires=("events",),
)
ANNOTATE = Stage(
    name="events.annotate",
    summary="boxes go out as COCO or YOLO files, or come back as *_bbox.npy",
    config=AnnotateConfig,
    implementation="fovea.events.annotate:annotate",
    outputs={
        "annotations": Output("folder", "annotations", "COCO or YOLO files; or *_bbox.npy"),
    },
    metrics={"frames": "max", "boxes": "max"},
    positional=("data",),
    requires=("events",),
)
CONVERT = Stage(
    name="events.convert",
    summary="a recording in any format becomes one in another, whole or in part",
    config=ConvertConfig,
    implementation="fovea.events.convert:convert",
    outputs={
        "raw": Output("events", "recording.raw", "EVT 3.0; format=raw", optional=True),
        "dat": Output("events", "recording.dat", "DAT; format=dat", optional=True),
        "h5": Output("events", "recording.h5", "event HDF5; format=h5", optional=True),
        "csv": Output("events", "recording.csv", "text; format=csv", optional=True),
    },
    metrics={"events": "max", "seconds": "max"},
    positional=("recording",),
    requires=("events",),
)
EVALUATE = Stage(
    name="events.evaluate",
    summary="a detector is held against the boxes of a data set: AP by Prophesee's protocol",
    config=EvaluateConfig,
    implementation="fovea.events.evaluate:evaluate",
    outputs={
        "scores": Output("scores", "scores.json", "COCO's twelve numbers, and each class's"),
        "detections": Output("boxes", "detections.json", "the boxes at every moment with truth"),
        "page": Output("page", "scores.html", "the scores, precision by recall, and pictures"),
    },
    resumable="items",
    metrics={
        f"{split}/{name}": "max"
        for split in ("val", "test", "train")
        for name in ("AP", "AP_50", "AP_75", "AR_100")
    },
    occasional=tuple(
        f"{split}/{name}"
        for split in ("val", "test", "train")
        for name in ("AP", "AP_50", "AP_75", "AR_100")
    ),
    positional=("data", "detector"),
    requires=("events",),
)
LABEL = Stage(
    name="events.label",
    summary="a detector labels the training recordings; what no track holds is ignored",
    config=LabelConfig,
    implementation="fovea.events.label:label",
    outputs={
        "dataset": Output("eventset", "dataset", "the recordings with pseudo labels"),
        "log": Output("table", "log.csv", "every box, its track, and what became of it"),
        "quality": Output(
            "file", "quality.json", "scores against hidden truth, before the filter and after it",
            optional=True,
        ),
    },
    resumable="items",
    metrics={
        "precision": "max", "recall": "max", "truth": "max", "kept": "max", "removed": "min",
        "inpainted": "min",
    },
    occasional=("precision", "recall"),
    positional=("data", "detector"),
    requires=("events",),
)  # fmt: skip
AUDIT = Stage(
    name="events.audit",
    summary="pseudo labels are held against hidden truth: a page with advice",
    config=AuditConfig,
    implementation="fovea.events.audit:audit",
    outputs={
        "page": Output("page", "audit.html", "precision and recall, advice, and pictures"),
        "scores": Output("scores", "audit.json", "the same as numbers"),
    },
    metrics={"precision": "max", "recall": "max", "kept": "max", "truth": "max"},
    positional=("labels", "data"),
    requires=("events",),
)
DETECT = Stage(
    name="events.detect",
    summary="a recording, or a stream while it comes, gets boxes and a video that shows them",
    config=DetectConfig,
    implementation="fovea.events.detect:detect",
    outputs={
        "video": Output("video", "detections.mp4", "events with boxes; video=true", optional=True),
        "boxes": Output("boxes", "boxes.json", "the boxes of every window"),
    },
    metrics={
        "windows": "max",
        "boxes": "max",
        "events": "max",
        "latency/median_ms": "min",
        "latency/p95_ms": "min",
        "real_time": "max",
    },
    positional=("recording", "detector"),
    requires=("events",),
)
EXPORT = Stage(
    name="events.export",
    summary="a detector becomes an ONNX network with its memory as inputs and outputs",
    config=ExportConfig,
    implementation="fovea.events.export:export",
    outputs={"network": Output("onnx", "detector.onnx", "histograms and states in, boxes out")},
    metrics={
        "boxes_px_off": "min",
        "probabilities_off": "min",
        "states_off": "min",
        "size_mb": "min",
    },
    positional=("detector",),
    requires=("events", "onnx"),
)
FILM = Stage(
    name="events.film",
    summary="recordings of a data set as videos, with true boxes and those that are found",
    config=FilmConfig,
    implementation="fovea.events.film:film",
    outputs={
        "video": Output("video", "film.mp4", "the first recording"),
        "videos": Output("folder", "videos", "a video of each further one", optional=True),
    },
    metrics={},
    positional=("data", "detector"),
    requires=("events",),
)
