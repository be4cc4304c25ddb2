"""Folders of MGM's own scripts: what they say and hold, and what our weights are called there.

Two kinds are read. Stage 2 leaves a folder as Hugging Face has it (`model_type: mgm_gemma`, one
file of weights or shards with an index); stage 1 leaves `mm_projector.bin` and a configuration that
names the language model. Weights are taken strictly by name: nothing is missing, left over or of
another shape. The towers' weights may be among them, or are taken from where they are published.

Source: the published MGM-2B and its scripts, as of 2024.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fovea.dialect import mapping
from fovea.errors import DataError
from fovea.training.checkpoint import read_weights

CONFIG = "config.json"
MODEL_TYPE = "mgm_gemma"
PROJECTOR = "mm_projector.bin"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""One of them, or its name with `.index.json` beside shards."""
TOWERS = ("model.vision_tower.", "model.vision_tower_aux.")
NOT_LEARNT = re.compile(r"\.(position_ids|inv_freq)$|^lm_head\.weight$")
"""Buffers that older files hold, and a head that is the embedding itself."""
MOST_NAMED = 5

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Described:
    """What the configuration of a folder says."""

    folder: Path
    values: Mapping[str, Any]

    @property
    def language(self) -> Any:
        """The language model's configuration."""
        from transformers import GemmaConfig

        known = {name: value for name, value in self.values.items() if name != "model_type"}
        return GemmaConfig.from_dict({"tie_word_embeddings": True, **known})

    @property
    def is_whole(self) -> bool:
        """Whether the folder holds a language model, not a projector alone."""
        return any((self.folder / f"{name}{end}").is_file() for name in WEIGHTS
                   for end in ("", ".index.json"))  # fmt: skip

    @property
    def base(self) -> str:
        """The language model that training began with."""
        return str(self.values.get("_name_or_path", ""))

    def tower(self, which: str, published: str) -> str:
        """Where a tower comes from: a folder that is there, or its name on the hub."""
        said = str(self.values.get(which) or published)
        if Path(said).is_dir() or Path(said).name.lower() != Path(published).name.lower():
            return said
        return published


def is_mgm(folder: Path) -> bool:
    """Whether a folder is one of MGM's."""
    path = folder / CONFIG
    if not path.is_file():
        return False
    try:
        about = mapping(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return False
    return str(about.get("model_type")) == MODEL_TYPE


def describe(folder: Path) -> Described:
    """What a folder of MGM says of itself.

    Raises:
        DataError: it uses what was never published for this model.
    """
    about = mapping(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    wanted = {"mm_vision_select_layer": -2, "mm_vision_select_feature": "patch",
              "mm_use_im_start_end": False}  # fmt: skip
    for name, value in wanted.items():
        if about.get(name, value) != value:
            raise DataError(
                f"MGM-2B has {name}={value!r}, and {folder / CONFIG} says {about[name]!r}. Such a "
                "model cannot be read here."
            )
    return Described(folder, about)


def published_name(name: str) -> str:
    """What MGM's files call one of our weights."""
    part, _, rest = name.partition(".")
    if part == "language":
        return rest
    if part == "tokens":
        return f"model.{rest}"
    inner = rest.removeprefix("vision_tower.")
    if inner != rest:
        return f"{TOWERS[0]}vision_tower.vision_model.{inner.removeprefix('vision_model.')}"
    inner = rest.removeprefix("vision_tower_aux.")
    return f"{TOWERS[1]}vision_{inner}"


def names(model: nn.Module) -> dict[str, str]:
    """MGM's name of each of a model's weights -> ours."""
    return {published_name(name): name for name in model.state_dict()}


class Weights:
    """The weights in the files of a folder: names and shapes at once, values when asked.

    Raises:
        DataError: there is none, or a shard is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Path] = {}
        self.shapes: Shapes = {}
        for file in _files(folder):
            for name, shape in _shapes(file).items():
                self.files[name] = file
                self.shapes[name] = shape

    @property
    def has_towers(self) -> bool:
        """Whether the towers are among them."""
        return any(name.startswith(TOWERS) for name in self.shapes)

    def check(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Compare with the weights of a model.

        Raises:
            DataError: a weight is missing, of another shape, or left over; the first are named.
        """
        missing = [name for name in wanted if name not in self.shapes]
        missing = [name for name in missing if not NOT_LEARNT.search(name)]
        other = [
            f"{name} {list(self.shapes[name])} for {list(shape)}"
            for name, shape in wanted.items()
            if self.shapes.get(name, shape) != shape
        ]
        extra = [n for n in self.shapes if n not in wanted and not NOT_LEARNT.search(n)]
        for found, what in ((missing, "lacks"), (other, "has in another shape"), (extra, "has")):
            if found:
                listed = ", ".join(found[:MOST_NAMED])
                more = f" and {len(found) - MOST_NAMED} more" * (len(found) > MOST_NAMED)
                which = " which no part of the model takes" * (what == "has")
                raise DataError(
                    f"the files of a model are read name by name; {self.folder} {what} {listed}"
                    f"{more}{which}. Give the folder as MGM's scripts left it, with its own "
                    f"{CONFIG}."
                )

    def read(self, wanted: Iterable[str]) -> dict[str, Tensor]:
        """The weights of these names, those that are there, in single precision."""
        found: dict[str, Tensor] = {}
        by_file: dict[Path, list[str]] = {}
        for name in wanted:
            if name in self.files:
                by_file.setdefault(self.files[name], []).append(name)
        for file, inside in by_file.items():
            values = _values(file, inside)
            found |= {name: value.float() for name, value in values.items()}
        return found


def _files(folder: Path) -> list[Path]:
    for name in WEIGHTS:
        index = folder / f"{name}.index.json"
        if index.is_file():
            parts = mapping(mapping(json.loads(index.read_text(encoding="utf-8")))["weight_map"])
            files = [folder / str(part) for part in sorted(set(parts.values()))]
            for file in files:
                if not file.is_file():
                    raise DataError(
                        f"{index} names {len(files)} files of weights, and {file.name} is not "
                        "there. Download the folder again."
                    )
            return files
        if (folder / name).is_file():
            return [folder / name]
    if (folder / PROJECTOR).is_file():
        return [folder / PROJECTOR]
    raise DataError(
        f"a folder of MGM holds {WEIGHTS[0]}, shards with their index, or {PROJECTOR}; {folder} has"
        " none of them. Download it again."
    )


def _shapes(file: Path) -> Shapes:
    if file.suffix != ".safetensors":
        return {name: tuple(value.shape) for name, value in _pickled(file).items()}
    from safetensors import safe_open

    with safe_open(file, framework="pt") as held:
        return {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118, no mapping


def _values(file: Path, wanted: Iterable[str]) -> dict[str, Tensor]:
    if file.suffix != ".safetensors":
        held = _pickled(file)
        return {name: held[name] for name in wanted}
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in wanted}


def _pickled(file: Path) -> dict[str, Tensor]:
    return read_weights(file, mmap=True)
