"""`photo.predict`: a photograph becomes metric 3D Gaussians; or each one in a folder.

In a folder a bad file costs only itself: its sentence stands in the table and on the contact sheet,
and the run ends with status 4. What is finished stays finished when the run is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fovea.errors import ArtifactError, DataError
from fovea.photo.batch import Outcome, distinct_names, photographs_in, write_table
from fovea.photo.contact_sheet import beside, contact_sheet
from fovea.photo.depth import normal_preview, normals_from_depth, write_depth
from fovea.photo.engine import Prediction, Predictor, load_predictor
from fovea.photo.photograph import read_photograph
from fovea.photo.settings.predict import PredictConfig
from fovea.photo.sharp_ply import write_sharp_ply
from fovea.runs.stage import Context
from fovea.scene.image import resize, write_image
from fovea.training.device import torch_device

MOST_SAID = 3
"""Sentences in the error when no photograph of a folder could be used."""


def predict(config: PredictConfig, context: Context) -> dict[str, float]:
    """Predict the scene of a photograph, or of each in a folder."""
    work = _Work(config, context)
    if config.photo.is_dir():
        outcomes = _folder(work)
    else:
        alone = _Place(0, 1, config.photo.name, config.photo.stem)
        outcomes = [work.kept_or_done(config.photo, alone)]
    write_table(context.output("table"), outcomes)
    sheet = contact_sheet(outcomes, context.folder)
    write_image(context.output("sheet"), sheet.astype("float32") / 255)
    failed = [outcome for outcome in outcomes if outcome.problem]
    context.partly([outcome.problem for outcome in failed])
    return {
        "photographs": float(len(outcomes) - len(failed)),
        "failed": float(len(failed)),
        "gaussians": float(sum(outcome.gaussians for outcome in outcomes)),
    }


@dataclass(frozen=True)
class _Place:
    """One file among those of the folder."""

    number: int
    count: int
    file: str
    """Relative to the folder."""
    name: str


def _folder(work: _Work) -> list[Outcome]:
    config, context = work.config, work.context
    paths = photographs_in(config.photo, recursive=config.recursive)
    files = {path.relative_to(config.photo).as_posix(): path for path in paths}
    names = distinct_names(files)
    outcomes: list[Outcome] = []
    for number, (file, path) in enumerate(files.items()):
        if context.should_stop():
            context.stop()
        outcomes.append(work.kept_or_done(path, _Place(number, len(files), file, names[file])))
        failed = sum(bool(outcome.problem) for outcome in outcomes)
        context.progress(number + 1, len(files), "photographs", failed=failed)
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    if len(problems) == len(outcomes):
        raise DataError(
            f"none of the {len(outcomes)} photographs in {config.photo} could be used: "
            + " ".join(problems[:MOST_SAID])
        )
    return outcomes


@dataclass
class _Work:
    """What is needed for every photograph, the predictor loaded for the first that wants it."""

    config: PredictConfig
    context: Context

    @cached_property
    def predictor(self) -> Predictor:
        """The network, loaded."""
        predictor = load_predictor(self.config.engine, self.context.device)
        self.context.note(f"predicts with {predictor.name}")
        if predictor.limits:
            self.context.note(predictor.limits)
        return predictor

    def kept_or_done(self, path: Path, place: _Place) -> Outcome:
        """The outcome of an earlier attempt, or of this one; in a folder a bad file has one too."""
        kept = self.context.folder / "outcomes" / f"{place.number:05d}.json"
        found = Outcome.read(kept) if place.file in self.context.items else None
        if found and found.file == place.file:
            return found
        try:
            outcome = self.done(path, place)
        except (ArtifactError, DataError) as error:
            if not self.config.photo.is_dir():
                raise
            said = str(error).replace(f"{self.config.photo}/", "")
            outcome = Outcome(place.file, place.name, problem=said)
        outcome.write(kept)
        self.context.items.add(place.file)
        return outcome

    def done(self, path: Path, place: _Place) -> Outcome:
        """Predict one photograph and write what it became."""
        context = self.context
        began = time.perf_counter()
        photograph = replace(read_photograph(path, self.config.photograph), name=place.name)
        read_s = time.perf_counter() - began
        if place.count == 1:
            context.note(f"{place.file}: {photograph.focal_source}")
        for note in photograph.notes:
            context.note(f"{place.file}: {note}")

        def watch(done: int, total: int) -> None:
            if context.should_stop():
                context.stop()
            if place.count == 1:
                context.progress(done, total, "parts")

        prediction = self.predictor.predict(photograph, watch=watch)
        began = time.perf_counter()
        self._write(prediction, place)
        parts = {"read": read_s} | prediction.seconds | {"write": time.perf_counter() - began}
        context.log(place.number, _seconds(parts))
        pair = beside(prediction, aside=self.config.aside, device=torch_device(context.device))
        picture = context.picture(place.number, "photograph-and-aside", pair)
        return Outcome.of(
            place.file,
            place.name,
            photograph,
            gaussians=len(prediction.gaussians),
            picture=picture.relative_to(context.folder).as_posix(),
        )

    def _write(self, prediction: Prediction, place: _Place) -> None:
        photograph, context = prediction.photograph, self.context
        if self.config.photo.is_dir():
            target = context.output("scenes") / f"{place.name}.ply"
        else:
            target = context.output("scene")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_sharp_ply(
            target,
            prediction.gaussians,
            focal_px=photograph.focal_px,
            height=photograph.height,
            width=photograph.width,
        )
        if self.config.depth != "none" or self.config.normals:
            self._write_maps(prediction, place.name)

    def _write_maps(self, prediction: Prediction, name: str) -> None:
        """Depth and normals of what is seen, in the photograph's shape, no finer than predicted."""
        photograph, folder = prediction.photograph, self.context.output("depth")
        folder.mkdir(exist_ok=True)
        seen = prediction.depth_m[0]
        scale = min(1.0, max(seen.shape) / max(photograph.height, photograph.width))
        height = max(1, round(photograph.height * scale))
        width = max(1, round(photograph.width * scale))
        # Nearest: between two depths there is nothing.
        fitted = resize(seen[..., None], height=height, width=width, filter="nearest")[..., 0]
        if self.config.depth != "none":
            write_depth(folder / f"{name}.{self.config.depth}", fitted)
        if self.config.normals:
            camera = photograph.camera().resized(height=seen.shape[0], width=seen.shape[1])
            normals = normal_preview(normals_from_depth(seen, camera)).astype("float32") / 255
            normals = resize(normals, height=height, width=width, filter="area")
            write_image(folder / f"{name}.normals.png", normals)


def _seconds(parts: Mapping[str, float]) -> dict[str, float]:
    return {f"seconds/{name}": value for name, value in parts.items()} | {
        "seconds/all": sum(parts.values())
    }
