"""The stages of the room `photo`, declared: a photograph becomes a scene, a scene a film.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""

from __future__ import annotations

from fovea.photo.settings.predict import PredictConfig
from fovea.runs.stage import Output, Stage

PREDICT = Stage(
    name="photo.predict",
    summary="a photograph becomes metric 3D Gaussians; or each one in a folder",
    config=PredictConfig,
    implementation="fovea.photo.predict:predict",
    outputs={
        "scene": Output(
            "gaussians", "scene.ply", "the scene, of a single photograph", optional=True
        ),
        "scenes": Output("scenes", "scenes", "a .ply of each, of a folder", optional=True),
        "depth": Output("depth", "depth", "a depth map of each; depth=png|npy|exr", optional=True),
        "sheet": Output("file", "sheet.png", "each photograph beside a view from the side"),
        "table": Output("table", "table.csv", "every file and what became of it"),
    },
    resumable="items",
    metrics={"photographs": "max", "failed": "min", "gaussians": "max"},
    positional=("photo",),
    requires=("photo",),
)
