"""Artifacts: files and folders of a declared kind, by which stages meet.

A kind is a word and a look at the outside of a file: whether it is a file or a folder and how its
name ends. What is inside is checked by the room that reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fovea.errors import ArtifactError, RecipeError


@dataclass(frozen=True)
class Kind:
    """A sort of artifact. Two stages join when output and input have the same kind."""

    name: str
    help: str
    suffixes: tuple[str, ...] = ()
    """File name endings that are accepted; none means that any is."""
    is_folder: bool = False

    def check(self, path: Path, *, wanted_by: str) -> None:
        """Refuse a path that cannot be of this kind.

        Raises:
            ArtifactError: nothing is there, it is a folder where a file is wanted or the other way
                round, or the name ends in something else.
        """
        noun = "folder" if self.is_folder else "file"
        wanted = f"{wanted_by} needs {self.help}"
        if not path.exists():
            near = path.parent
            hint = (
                f"Its folder {near} holds: {_listing(near)}."
                if near.is_dir()
                else f"There is no folder {near} either."
            )
            raise ArtifactError(f"{wanted}, and {path} does not exist. {hint}")
        if self.suffixes and path.is_file() and path.suffix.lower() not in self.suffixes:
            raise ArtifactError(
                f"{wanted} ({', '.join(self.suffixes)}), and {path} ends in "
                f"{path.suffix or 'nothing'}. Give a file of that format."
            )
        if path.is_dir() and not self.is_folder:
            raise ArtifactError(f"{wanted}, a {noun}, and {path} is a folder: {_listing(path)}.")
        if path.is_file() and self.is_folder and not self.suffixes:
            raise ArtifactError(f"{wanted}, a {noun}, and {path} is a file. Give its folder.")


def _listing(folder: Path, most: int = 6) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


KINDS: dict[str, Kind] = {}
"""All kinds by name. A room that needs another adds it here, beside its neighbours."""

for _kind in (
    Kind("capture", "posed photographs", (".json",), is_folder=True),
    Kind(
        "photographs",
        "photographs or a video",
        (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm"),
        is_folder=True,
    ),
    Kind("gaussians", "a Gaussian scene", (".ply", ".spz", ".sog", ".splat", ".glb", ".pth")),
    Kind(
        "photo",
        "a photograph, or a folder of them",
        (
            *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
            *(".heic", ".heif", ".hif", ".avif", ".jp2", ".ppm", ".pgm", ".tga"),
        ),
        is_folder=True,
    ),
    Kind("scenes", "a folder of Gaussian scenes", is_folder=True),
    Kind("depth", "a folder of depth maps", is_folder=True),
    Kind("cameras", "camera positions and a path", (".json",)),
    Kind("scores", "scores", (".json",)),
    Kind("mesh", "a triangle mesh", (".ply", ".glb", ".gltf", ".obj")),
    Kind("occlusion", "an occlusion volume", (".npz", ".pth")),
    Kind("light", "an environment map", (".hdr", ".exr")),
    Kind("lighting", "a fitted light with its indirect part", (".npz",)),
    Kind(
        "events",
        "a recording of an event camera",
        (".raw", ".dat", ".h5", ".hdf5", ".aedat4", ".csv", ".txt", ".npz"),
    ),
    Kind("recordings", "a folder of recordings with boxes beside them", is_folder=True),
    Kind("eventset", "a data set of event histograms and boxes", is_folder=True),
    Kind("detector", "a detector's weights", (".pt", ".ckpt", ".safetensors")),
    Kind("boxes", "boxes", (".json", ".npy")),
    Kind("onnx", "a network in ONNX", (".onnx",)),
    Kind("samples", "image-text data", (".jsonl", ".json", ".parquet", ".gz"), is_folder=True),
    Kind("vlm", "a vision-language model's folder", is_folder=True),
    Kind("answers", "a model's answers", (".jsonl",)),
    Kind("log", "a training's log", (".log", ".txt")),
    Kind("llava", "conversations in LLaVA's form", (".json",)),
    Kind("page", "a page", (".html",)),
    Kind("video", "a video", (".mp4", ".webm", ".gif")),
    Kind("images", "a folder of images", is_folder=True),
    Kind("checkpoint", "a checkpoint", (".pt", ".pth", ".safetensors")),
    Kind("table", "a table", (".csv", ".jsonl", ".parquet")),
    Kind("file", "a file"),
    Kind("folder", "a folder", is_folder=True),
):
    KINDS[_kind.name] = _kind


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        RecipeError: there is none.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise RecipeError(
            f"'{name}' is not a kind of artifact. Known kinds: {', '.join(sorted(KINDS))}."
        ) from None
