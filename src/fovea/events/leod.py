"""Commands of LEOD and RVT, as typed there, in our words: `fovea leod train.py model=rnndet ...`.

What a command asks for is translated setting by setting; what it says about its machine (GPUs to
use, workers that load, loggers) is dropped and named. A word that neither project knows is refused.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fovea import dialect
from fovea.catalog import nearest
from fovea.errors import ConfigError

RATE_BATCH = 8
"""The batch for which `schedule.rate` is written down."""
BATCHES = {"gen1": 8, "gen4": 24}
"""Over all GPUs."""
LENGTHS = {"gen1": 21, "gen4": 5}
LENGTH_OF_FEW = {"gen1": 21, "gen4": 10}
SIZES = ("tiny", "small", "base")


@dataclass
class Translation:
    """One command in our words."""

    stage: str
    words: list[str]
    """Settings, `key=value`."""
    notes: list[str] = field(default_factory=list[str])
    """What was dropped, and why."""

    @property
    def line(self) -> str:
        """The command as it would be typed."""
        room, _, verb = self.stage.partition(".")
        return " ".join(["fovea", room, verb, *map(_quoted, self.words)])


def translated(words: Sequence[str]) -> Translation:
    """A command in our words.

    Raises:
        ConfigError: the script or a word of it is not known, or something needed is missing.
    """
    while words and words[0] in ("python", "python3"):
        words = words[1:]
    name = words[0].rpartition("/")[2] if words else ""
    if name not in SCRIPTS:
        raise ConfigError(
            f"'{name}' is no script of LEOD or RVT.{nearest(name, SCRIPTS)} Known:"
            f" {', '.join(SCRIPTS)}."
        )
    return SCRIPTS[name].translate(list(words[1:]))


@dataclass
class _Given:
    """The words of one command, taken one by one; what is left at the end was not understood."""

    script: str
    values: dict[str, Any]

    @classmethod
    def read(cls, script: str, words: Sequence[str]) -> _Given:
        values: dict[str, Any] = {}
        for word in words:
            key, equals, value = word.lstrip("+").partition("=")
            if not equals:
                raise ConfigError(f"{script}: '{word}' is not understood; settings are key=value.")
            values[key] = dialect.parse(value)
        return cls(script, values)

    def take(self, *names: str, default: Any = None) -> Any:
        """The value under the first of these names that was given; all of them are used up."""
        found = [self.values.pop(name) for name in names if name in self.values]
        return found[0] if found else default

    def need(self, name: str) -> Any:
        """The value under a name that must be given."""
        if name not in self.values:
            raise ConfigError(f"{self.script} needs {name}=..., and it was not given.")
        return self.values.pop(name)

    def put(self, words: list[str], ours: str, *theirs: str) -> None:
        """Hand a value over as it is, if it was given."""
        value = self.take(*theirs)
        if value is not None:
            words.append(f"{ours}={dialect.line(value)}")

    def rest(self, translation: Translation) -> Translation:
        """Drop what is about the machine; refuse what is left."""
        for name in list(self.values):
            if why := next((why for pattern, why in MACHINE if re.match(pattern, name)), ""):
                translation.notes.append(f"{name}={self.values.pop(name)} is dropped: {why}")
        if self.values:
            name = next(iter(self.values))
            raise ConfigError(
                f"{self.script}: there is no twin of {name}={self.values[name]}. Leave it out, and"
                f" look for what it does with `fovea {translation.stage.replace('.', ' ')} --help`."
            )
        return translation


MACHINE = (
    (r"hardware\.gpus", "--device says where to work, cuda:0 or cpu"),
    (r"hardware\.", "reading ahead is a matter of sampling.threads"),
    (r"wandb|logging|suffix|experiment$", "--track says where numbers go, a run names itself"),
    (r"training\.(precision|limit|lr_scheduler)", "its default is ours"),
    (r"dataset\.(train|eval)\.sampling$", "its default is ours"),
    (r"(model\.)?backbone\.", "sizes are named, size=small"),
)


@dataclass(frozen=True)
class _Dataset:
    """What a name like `gen1x0.01_ss-1round` says."""

    sensor: str
    kind: str = "all"
    ratio: float | None = None
    is_pseudo: bool = False
    is_flipped: bool = False

    @classmethod
    def named(cls, name: str) -> _Dataset:
        match = re.fullmatch(r"(gen1|gen4)(?:(-tflip)|x(\d*\.\d+)_(ss|seq)(-\d+round\S*)?)?", name)
        if match is None:
            raise ConfigError(
                f"'{name}' is no data set of LEOD or RVT. Known: gen1, gen4, gen1-tflip,"
                " gen1x0.01_ss, gen1x0.01_seq, gen1x0.01_ss-1round and their like."
            )
        sensor, flip, ratio, setting, rounds = match.groups()
        kind = {"ss": "frames", "seq": "recordings"}.get(setting or "", "all")
        return cls(sensor, kind, float(ratio) if ratio else None, bool(rounds), bool(flip))

    @property
    def has_budget(self) -> bool:
        """Whether some of its labels are to be hidden."""
        return self.ratio is not None and not self.is_pseudo


def _dataset(given: _Given) -> tuple[_Dataset, list[str]]:
    """The data set and the words for it; the parent of `train` is meant by a path that ends so."""
    found = _Dataset.named(str(given.need("dataset")))
    path = str(given.take("dataset.path", default=f"datasets/{found.sensor}"))
    path = re.sub(r"/train/?$", "", path.rstrip("/"))
    return found, [f"data={path}", f"sensor={found.sensor}"]


def _budget(given: _Given, found: _Dataset) -> list[str]:
    """Which labels are visible: from the name, or from the ratios beside it."""
    frames, whole = given.take("dataset.ratio", default=-1), given.take("dataset.train_ratio")
    length = LENGTH_OF_FEW[found.sensor]
    if isinstance(frames, int | float) and frames > 0:
        return ["budget.keep=frames", f"budget.ratio={frames}", f"budget.length={length}"]
    if isinstance(whole, int | float) and 0 < whole < 1:
        return ["budget.keep=recordings", f"budget.ratio={whole}"]
    if not found.has_budget:
        return []
    return [f"budget.keep={found.kind}", f"budget.ratio={found.ratio}", f"budget.length={length}"]


def _size(given: _Given) -> str:
    """From `+experiment/gen1=small.yaml`."""
    name = str(given.take("experiment/gen1", "experiment/gen4", default="small.yaml")).removesuffix(
        ".yaml"
    )
    if name not in SIZES:
        raise ConfigError(f"'{name}.yaml' is no experiment of LEOD or RVT: {', '.join(SIZES)}.")
    return name


def _train(words: list[str]) -> Translation:
    given = _Given.read("train.py", words)
    model = str(given.take("model", default="rnndet"))
    found, ours = _dataset(given)
    gpus = given.take("hardware.gpus", default=0)
    ranks = len(gpus) if isinstance(gpus, list) else 1
    batch = int(given.take("batch_size.train", default=BATCHES[found.sensor] // ranks)) * ranks
    few = LENGTH_OF_FEW if found.has_budget else LENGTHS
    length = int(given.take("dataset.sequence_length", default=few[found.sensor]))
    ours += [f"size={_size(given)}", f"batch={batch}", f"length={length}"]
    ours += _budget(given, found)
    given.put(ours, "steps", "training.max_steps")
    rate = given.take("training.learning_rate")
    if rate is not None:
        ours.append(f"schedule.rate={float(rate) / math.sqrt(batch / RATE_BATCH):.6g}")
    ours += _soft(given, model, found)
    given.put(ours, "sampling.w_stream", "dataset.train.mixed.w_stream")
    given.put(ours, "sampling.w_random", "dataset.train.mixed.w_random")
    given.put(ours, "sampling.workers", "hardware.num_workers.train")
    given.put(ours, "validation.batch", "batch_size.eval")
    given.put(ours, "validation.confidence", "model.postprocess.confidence_threshold")
    given.put(ours, "validation.every", "validation.val_check_interval")
    given.put(ours, "weights", "weight")
    given.take("checkpoint")  # a run goes on by itself
    if found.is_flipped or found.has_budget or found.is_pseudo:
        ours += ["sampling.random.prob_tflip=0.5", "sampling.stream.prob_tflip=0.5"]
    else:
        ours += ["sampling.random.prob_tflip=0", "sampling.stream.prob_tflip=0"]
    return given.rest(
        Translation(
            "events.train",
            ours,
            ["the checkpoint is chosen on val; the original chooses it on test:"
             " validation.split=test"],
        )
    )  # fmt: skip


def _soft(given: _Given, model: str, found: _Dataset) -> list[str]:
    """How pseudo labels count."""
    words: list[str] = []
    thresholds = {"rnndet-soft": "[0.7,0.35]", "rnndet-soft-gen4-wsod": "[0.7,0.55]"}
    if model in thresholds:
        words += ["loss.assignment=soft", f"loss.ignore_bbox_thresh={thresholds[model]}"]
    elif model != "rnndet":
        raise ConfigError(f"train.py trains rnndet, {' or '.join(thresholds)}, not '{model}'.")
    given.put(words, "loss.ignore_bbox_thresh", "model.head.ignore_bbox_thresh")
    given.put(words, "loss.bbox_loss_weighting", "model.head.bbox_loss_weighting")
    given.put(words, "loss.soft_label_weight", "model.pseudo_label.soft_label_weight")
    return words


def _evaluate(words: list[str]) -> Translation:
    given = _Given.read("val.py", words)
    given.take("model")
    found, ours = _dataset(given)
    ours += [f"detector={given.need('checkpoint')}"]
    on_test = given.take("use_test_set", default=1)
    ours += [f"split={'test' if on_test else 'val'}"]
    _size(given)
    given.put(ours, "batch", "batch_size.eval")
    given.put(ours, "confidence", "model.postprocess.confidence_threshold")
    given.put(ours, "reverse", "reverse")
    given.put(ours, "tta.enable", "tta.enable")
    given.put(ours, "ratio", "dataset.test_ratio", "dataset.val_ratio")
    _budget(given, found)
    return given.rest(Translation("events.evaluate", ours))


def _predict(words: list[str]) -> Translation:
    given = _Given.read("predict.py", words)
    model = str(given.take("model", default="pseudo_labeler"))
    found, ours = _dataset(given)
    ours += [f"detector={given.need('checkpoint')}", *_budget(given, found)]
    _size(given)
    save = given.take("save_dir")
    if model == "pseudo_labeler-gen4-wsod":
        ours += ["obj_thresh=[0.6,0.5]", "cls_thresh=[0.6,0.5]"]
    given.put(ours, "batch", "batch_size.eval")
    given.put(ours, "confidence", "model.postprocess.confidence_threshold")
    given.put(ours, "tta", "tta.enable")
    _labelling(given, ours)
    notes = [f"the run's folder is in place of save_dir={save}; say --run to name it"]
    return given.rest(Translation("events.label", ours, notes if save else []))


def _labelling(given: _Given, ours: list[str]) -> None:
    for name in ("obj_thresh", "cls_thresh", "track_method", "inpaint", "use_gt", "skip_first_t"):
        given.put(ours, name, f"model.pseudo_label.{name}", f"model.pseudo_label.filter.{name}")
    length = "min_track_len"
    given.put(ours, length, f"model.pseudo_label.{length}", f"model.pseudo_label.filter.{length}")


def _audit(words: list[str]) -> Translation:
    given = _Given.read("val_dst.py", words)
    given.take("model", "checkpoint")
    found, ours = _dataset(given)
    labels = ours[0].partition("=")[2]
    ours[0] = f"data=datasets/{found.sensor}"
    ours += [f"labels={labels}"]
    _budget(given, found)
    _size(given)
    given.take("model.pseudo_label.cls_thresh")
    given.put(ours, "score_thresh", "model.pseudo_label.obj_thresh")
    note = f"truth is looked for in datasets/{found.sensor}; say data= for another place"
    return given.rest(Translation("events.audit", ours, [note]))


def _film(words: list[str]) -> Translation:
    given = _Given.read("vis_pred.py", words)
    given.take("model")
    _, ours = _dataset(given)
    ours += [f"detector={given.need('checkpoint')}", "mode=reference", "split=test"]
    _size(given)
    given.put(ours, "count", "num_video")
    given.put(ours, "confidence", "model.postprocess.confidence_threshold")
    given.put(ours, "reverse", "reverse")
    return given.rest(Translation("events.film", ours))


def _preprocess(words: list[str]) -> Translation:
    places = [word for word in words if not word.startswith("-") and not word.endswith(".yaml")]
    options = dict(itertools.pairwise(words))
    if len(places) < 2 or options.get("-ds") not in LENGTHS:
        raise ConfigError(
            "preprocess_dataset.py needs IN OUT and -ds gen1 or -ds gen4; found"
            f" {' '.join(words) or 'nothing'}."
        )
    notes = [f"the run's folder is in place of {places[1]}; say --run to name it"]
    ours = [f"recordings={places[0]}", f"sensor={options['-ds']}"]
    return Translation("events.preprocess", ours, notes)


@dataclass(frozen=True)
class _Script:
    what: str
    translate: Callable[[list[str]], Translation]


SCRIPTS: Mapping[str, _Script] = {
    "train.py": _Script("pre-train or self-train: events.train", _train),
    "val.py": _Script("scores: events.evaluate", _evaluate),
    "validation.py": _Script("the same in RVT: events.evaluate", _evaluate),
    "predict.py": _Script("pseudo labels: events.label", _predict),
    "val_dst.py": _Script("quality of pseudo labels: events.audit", _audit),
    "vis_pred.py": _Script("videos: events.film", _film),
    "preprocess_dataset.py": _Script("recordings to a data set: events.preprocess", _preprocess),
}
"""The scripts of both projects, and what each is here."""


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[\s\[\]*{}$&|;<>()]", word) else word
