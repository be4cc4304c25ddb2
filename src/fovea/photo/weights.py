"""SHARP's weights: where they are found, and how a network is filled with them.

A network is built without memory, and the mapped tensors of the file become its parameters: there
is no random start and no second copy. What inference never runs stays on the disk unread. Keys are
compared with the whole published list first; values must be finite.

The weights are Apple's and not part of this project: they are fetched from their own address, once
their licence is accepted.
"""

from __future__ import annotations

import difflib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fovea.errors import ArtifactError, BackendError
from fovea.photo.checkpoint import Checkpoint, open_checkpoint
from fovea.photo.download import Progress, Source, download, recorded
from fovea.photo.model.architecture import Architecture
from fovea.photo.model.keys import Listed, built_on_meta, classes_of, public_shapes, recognize
from fovea.photo.model.network import SharpNetwork
from fovea.photo.precision.pages import release
from fovea.runs.durable import write_json

log = logging.getLogger(__name__)
NAME = "sharp"
LICENCE_ENV = "FOVEA_ACCEPT_LICENCE"


@dataclass(frozen=True)
class Published:
    """A file of weights that somebody else publishes under a licence."""

    url: str
    licence_name: str
    licence_url: str
    sentence: str
    """What the licence allows, in our words."""

    @property
    def filename(self) -> str:
        """As its publisher calls it."""
        return self.url.rsplit("/", 1)[-1]


SHARP = Published(
    url="https://ml-site.cdn-apple.com/models/sharp/sharp_2572gikvuh.pt",
    licence_name="Apple Machine Learning Research Model License Agreement",
    licence_url="https://github.com/apple/ml-sharp/blob/main/LICENSE_MODEL",
    sentence="They may be used for non-commercial research only, and not in a product or service.",
)


def load_network(
    path: Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    alignment: bool = False,
) -> SharpNetwork:
    """A network with the weights of a file, ready to predict.

    Args:
        path: a state dict with SHARP's keys, `.pt` or `.safetensors`.
        dtype: of the parameters; the file's own costs no copy.
        device: to put it on; the file stays mapped on `cpu`.
        alignment: whether the learned alignment with a given depth map is loaded as well.

    Raises:
        ArtifactError: the file cannot be read; a key is missing, one too many or of another shape;
            a value is NaN or infinite.
    """
    checkpoint = open_checkpoint(Path(path))
    architecture = require_sharp(checkpoint)
    network = built_on_meta(architecture, alignment=alignment)
    values = {
        key: _checked(checkpoint, key).to(device=device, dtype=dtype)
        for key in network.state_dict()
    }
    network.load_state_dict(values, strict=True, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def require_sharp(checkpoint: Checkpoint) -> Architecture:
    """The architecture of a checkpoint whose keys and shapes are exactly the published ones.

    Raises:
        ArtifactError: naming the first that does not fit, and how many more there are.
    """
    found = checkpoint.shapes
    architecture = recognize(found)
    wanted = public_shapes(architecture, classes=classes_of(found))
    problems = [_missing(key, wanted[key], found) for key in wanted if key not in found]
    problems += [_extra(key, found[key], wanted) for key in found if key not in wanted]
    problems += [
        f"the key '{key}' has shape {_words(wanted[key])} in SHARP and {_words(found[key])} here"
        for key in wanted
        if key in found and wanted[key] != found[key]
    ]
    if problems:
        more = f" ({len(problems) - 1} more do not fit)" if len(problems) > 1 else ""
        raise ArtifactError(
            f"{checkpoint.path} is no checkpoint of SHARP: {problems[0]}{more}. Give the whole"
            " state dict under its published names, or download it again."
        )
    return architecture


def find_weights(
    name_or_path: str | Path,
    *,
    accept_licence: bool = False,
    watch: Progress | None = None,
    published: Published = SHARP,
) -> Path:
    """The file of weights: a path as it is, or `sharp` from the cache or from its publisher.

    Args:
        name_or_path: `sharp`, or the path of a file.
        accept_licence: that the licence is accepted; FOVEA_ACCEPT_LICENCE=1 says the same. Once is
            enough: it is noted in the cache.
        watch: told (bytes here, bytes in all) while the file comes; by default the log is.
        published: what `sharp` stands for.

    Raises:
        ArtifactError: the path is no file, or the file in the cache was changed.
        BackendError: the licence is not accepted, or the publisher cannot be reached.
    """
    if str(name_or_path) != NAME:
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise ArtifactError(
                f"weights are '{NAME}' or a file, and {path} is none. Give the path of a .pt or"
                " .safetensors."
            )
        return path
    if (cached := cached_weights(published)) is not None:
        return cached
    _require_licence(published, accepted=accept_licence)
    target = weights_folder() / published.filename
    log.info("%s comes from %s", published.filename, published.url)
    download(Source(published.url), target, check=_require_sharp, watch=watch or _Logged())
    return target


def cached_weights(published: Published = SHARP) -> Path | None:
    """The published file, if an earlier download put it into the cache.

    Raises:
        ArtifactError: it is there, and not as long as it was when it came.
    """
    path = weights_folder() / published.filename
    if not path.is_file():
        return None
    came = recorded(path).get("bytes")
    if came is not None and came != path.stat().st_size:
        raise ArtifactError(
            f"{path} had {came} bytes when it was downloaded and has {path.stat().st_size} now."
            " Remove it, and it will be downloaded again."
        )
    return path


def weights_folder() -> Path:
    """The folder of weights: below FOVEA_CACHE, XDG_CACHE_HOME or ~/.cache."""
    root = os.environ.get("FOVEA_CACHE")
    if root is None:
        root = str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "fovea")
    return Path(root).expanduser() / "weights"


def licence_notice(published: Published = SHARP) -> str:
    """What a person should know before the first download."""
    return (
        f"These weights are not part of fovea. They stand under the {published.licence_name}:"
        f" {published.licence_url}. {published.sentence}"
    )


class _Logged:
    """Says every twentieth of the way how far it is."""

    def __init__(self) -> None:
        self._said = 0

    def __call__(self, here: int, whole: int | None) -> None:
        part = 20 * here // whole if whole else here // (100 << 20)
        if part > self._said:
            self._said = part
            of = f" of {whole / 1e9:.2f}" if whole else ""
            log.info("%.2f%s GB of the weights are here", here / 1e9, of)


def _require_licence(published: Published, *, accepted: bool) -> None:
    note = weights_folder() / f"{published.filename}.licence.json"
    if note.is_file():
        return
    if not (accepted or os.environ.get(LICENCE_ENV, "").lower() in ("1", "true", "yes")):
        raise BackendError(
            f"the weights {published.filename} are not in {weights_folder()} and are downloaded"
            f" once their licence is accepted. {licence_notice(published)} To accept it, set"
            f" {LICENCE_ENV}=1 or give engine.accept_licence=true; or take the built-in network,"
            " weights=lite."
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(note, {"licence": published.licence_url, "accepted": when})


def _require_sharp(path: Path) -> None:
    require_sharp(open_checkpoint(path))


def _checked(checkpoint: Checkpoint, key: str) -> Tensor:
    values = checkpoint.tensor(key)
    if not values.is_floating_point():
        raise ArtifactError(
            f"weights are floating-point numbers, and '{key}' in {checkpoint.path} has"
            f" {values.dtype}. Give the published state dict."
        )
    # A sum is one pass without memory; it is finite where all values are, but for overflow.
    if not values.sum(dtype=torch.float32).isfinite() and not values.isfinite().all():
        bad = int((~values.isfinite()).sum())
        raise ArtifactError(
            f"weights are finite, and {bad} of {values.numel()} values of '{key}' in"
            f" {checkpoint.path} are NaN or infinite. The file is damaged, or its training failed:"
            " give another."
        )
    release([values])
    return values


def _missing(key: str, shape: tuple[int, ...], found: Listed) -> str:
    return f"the key '{key}' {_words(shape)} is missing{_near(key, found, 'There is')}"


def _extra(key: str, shape: tuple[int, ...], wanted: Listed) -> str:
    return f"the key '{key}' {_words(shape)} is unknown{_near(key, wanted, 'Known is')}"


def _near(key: str, among: Listed, word: str) -> str:
    close = difflib.get_close_matches(key, list(among), n=1, cutoff=0.8)
    return f". {word} '{close[0]}'" if close else ""


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"
