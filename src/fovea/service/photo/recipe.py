"""From the options of a prediction to the recipe that makes it: predict, convert, film.

What a caller says (`PredictOptions`) and what the service was started with (`ServeConfig`) meet
here. A scene that is asked for as the network makes it is not converted: it is SHARP's file, byte
for byte.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.errors import ConfigError
from fovea.runs import recipe as recipes
from fovea.runs.recipe import Recipe
from fovea.service.photo.devices import Chosen
from fovea.service.photo.options import PredictOptions
from fovea.service.photo.sizes import LARGEST, Settled, settled
from fovea.service.plugins.installed import MODEL, Plugin, enabled
from fovea.service.settings import ServeConfig

STAGES = "fovea.service.plugins.stages"
CROPS, TILE = 5, 256
"""What the network works on at a time: photo.predict's own defaults."""
SUFFIX = {"compressed": "compressed.ply"}
"""Where a format's files do not end in its name."""


def recipe_of(
    options: PredictOptions,
    photo: Path,
    settings: ServeConfig,
    *,
    chosen: Chosen,
    dynamic_size: int | None = None,
) -> Recipe:
    """The recipe of one prediction, or of a folder of photographs.

    Args:
        options: what the caller said.
        photo: the photograph, or a folder of them.
        settings: of the service.
        chosen: what it computes on.
        dynamic_size: the size that suits the photograph, where sizes are chosen so.

    Raises:
        ConfigError: a setting of the service does not fit, such as a checkpoint.
    """
    stages: dict[str, Any] = {}
    source, scene = str(photo), "${predict.out.scene}"
    if before := enabled("preprocess", settings.plugins):
        stages["prepare"] = _step(f"{STAGES}:PREPARE", photo=source, plugins=_uses(before))
        source = "${prepare.out.photo}"
    stages["predict"] = _prediction(options, source, settings, chosen)
    if after := enabled("postprocess", settings.plugins):
        stages["finish"] = _step(f"{STAGES}:FINISH", scene=scene, plugins=_uses(after))
        scene = "${finish.out.scene}"
    if conversion := _conversion(options, size_of(options, settings, dynamic_size)):
        stages["convert"] = _step("photo.convert", scene=scene, **conversion)
    if options.video != "none":
        stages["film"] = _step("photo.film", scene=scene, trajectory=options.video)
    return _loaded({"name": "predict", "stages": stages})


def _prediction(
    options: PredictOptions, photo: str, settings: ServeConfig, chosen: Chosen
) -> dict[str, Any]:
    """The stage that predicts: ours, or a plugin's."""
    photograph = _given(focal_mm=options.focal_mm, focal_px=options.focal_px)
    name = settings.model.checkpoint
    if not name.startswith(MODEL):
        network = engine(settings, chosen)
        return _step("photo.predict", photo=photo, photograph=photograph, engine=network)
    known = {one.name: one for one in enabled("model", settings.plugins)}
    found = known.get(name.removeprefix(MODEL))
    if found is None:
        raise ConfigError(
            f"model.checkpoint is {name}, and no such plugin is installed and enabled. There are:"
            f" {', '.join(known) or 'none'}."
        )
    use = _uses([found])[0]
    return _step(f"{STAGES}:FOREIGN", photo=photo, photograph=photograph, plugin=use)


def is_plain(options: PredictOptions, settings: ServeConfig) -> bool:
    """Whether the network's own file is all that is wanted: such photographs may share a job."""
    has_plugins = enabled("preprocess", settings.plugins) or enabled(
        "postprocess", settings.plugins
    )
    is_own = not settings.model.checkpoint.startswith(MODEL) and options.video == "none"
    return is_own and not has_plugins and not _conversion(options, size_of(options, settings))


def size_of(
    options: PredictOptions, settings: ServeConfig, dynamic_size: int | None = None
) -> Settled:
    """The size of the scene: what the caller asks, else what suits the photograph, else ours."""
    if options.size is not None:
        return settled(options.size, options.size)
    if dynamic_size is not None:
        return Settled(dynamic_size)
    return settled(*settings.inference.input_size)


def engine(settings: ServeConfig, chosen: Chosen) -> dict[str, Any]:
    """The network, its numbers and its memory, as photo.predict is told of them."""
    tuning = settings.optimization
    parts = tuning.checkpoint_segments if tuning.gradient_checkpointing else 1
    return {
        "weights": settings.model.checkpoint,
        "accept_licence": settings.model.accept_licence,
        "precision": precision(settings, chosen),
        "crops": math.ceil(CROPS / parts),
        "tile": max(16, TILE // parts),
    }


def precision(settings: ServeConfig, chosen: Chosen) -> str:
    """Whole numbers where they are asked for, 16 bits where they are allowed and good."""
    if settings.optimization.enable_quantization:
        is_folder = Path(settings.model.checkpoint).is_dir()
        return "auto" if is_folder or chosen.is_gpu else "int8"
    return "auto" if chosen.amp else "float32"


def scene_name(options: PredictOptions) -> str:
    """Under which the scene is downloaded: `output.ply`."""
    return f"output.{SUFFIX.get(options.format, options.format)}"


def _conversion(options: PredictOptions, size: Settled) -> dict[str, Any]:
    """The settings of photo.convert; none where the network's own file is what is wanted."""
    budgets = [number for number in (options.max_gaussians, size.gaussians) if number]
    is_thinned = size.size < LARGEST and not options.max_gaussians
    asked = _given(
        budget=min(budgets, default=None),
        opacity_min=options.opacity_min or None,
        # Cells of the grid are joined; a budget also lets the weakest go.
        strategy="merge" if is_thinned else None,
        axes="opengl" if options.coordinate == "opengl" else None,
        colors="keep" if options.color_space == "linear" else None,
    )
    is_own = options.format == "ply" and not asked
    return {} if is_own else {"format": options.format, "check": False, **asked}


def _step(use: str, **settings: Any) -> dict[str, Any]:
    return {"use": use, "with": settings}


def _uses(plugins: Sequence[Plugin]) -> list[dict[str, Any]]:
    return [{"name": one.name, "version": one.version, "settings": one.settings} for one in plugins]


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _loaded(data: Mapping[str, Any]) -> Recipe:
    with tempfile.TemporaryDirectory(prefix="fovea-recipe-") as folder:
        path = Path(folder) / "predict.yaml"
        path.write_text(dialect.dump(data), encoding="utf-8")
        return recipes.load(path, environment={})
