"""The stages of the room `photo`, declared: a photograph becomes a scene, a scene a film.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""

from __future__ import annotations

from fovea.photo.settings.convert import ConvertConfig
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.settings.export import ExportConfig
from fovea.photo.settings.film import FilmConfig
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
        "depth": Output(
            "depth", "depth", "metric depth maps, normals; depth=png|npy|exr", optional=True
        ),
        "sheet": Output("file", "sheet.png", "each photograph beside a view from the side"),
        "table": Output("table", "table.csv", "every file and what became of it"),
    },
    resumable="items",
    metrics={"photographs": "max", "failed": "min", "gaussians": "max"},
    positional=("photo",),
    requires=("photo",),
)

FILM = Stage(
    name="photo.film",
    summary="a camera moves before a scene made of a photograph: a film, its depth, stills",
    config=FilmConfig,
    implementation="fovea.photo.film:film",
    outputs={
        "video": Output("video", "film.mp4", "the film; format=webm|gif", optional=True),
        "depth": Output("video", "depth.mp4", "the same film of the depth", optional=True),
        "webm": Output("video", "film.webm", "the film; format=webm", optional=True),
        "depth_webm": Output("video", "depth.webm", "of the depth; format=webm", optional=True),
        "gif": Output("video", "film.gif", "the film; format=gif", optional=True),
        "depth_gif": Output("video", "depth.gif", "of the depth; format=gif", optional=True),
        "films": Output("folder", "films", "a film of each scene of a folder", optional=True),
        "stills": Output("images", "stills", "the frames that were asked for", optional=True),
    },
    resumable="items",
    metrics={"films": "max", "failed": "min"},
    positional=("scene",),
    requires=("photo",),
)

EVALUATE = Stage(
    name="photo.evaluate",
    summary="a scene is held against other photographs of the place, and true depth: a page",
    config=EvaluateConfig,
    implementation="fovea.photo.evaluate:evaluate",
    outputs={
        "scores": Output("scores", "scores.json", "every score, beside a wall's and the ground's"),
        "sheet": Output("file", "sheet.png", "photographs, predictions, errors, and depth"),
        "page": Output("page", "report.html", "tables of all scores, and the pictures"),
    },
    metrics={
        "test/psnr": "max",
        "test/ssim": "max",
        "test/psnr_seen": "max",
        "test/ssim_seen": "max",
        "test/abs_rel": "min",
        "test/delta_1.25": "max",
        "wall/psnr": "min",
        "raw/psnr": "max",
        "raw/abs_rel": "min",
        "raw/delta_1.25": "max",
    },
    occasional=(
        *("wall/psnr", "raw/psnr", "raw/abs_rel", "raw/delta_1.25"),
        *("test/psnr_seen", "test/ssim_seen", "test/abs_rel", "test/delta_1.25"),
    ),
    positional=("scene", "data"),
    requires=("photo",),
)

EXPORT = Stage(
    name="photo.export",
    summary="SHARP becomes a folder of ONNX networks that predicts without torch",
    config=ExportConfig,
    implementation="fovea.photo.onnx.export:export",
    outputs={
        "network": Output("folder", "network", "the parts and network.json; weights= takes it"),
    },
    metrics={"off": "min", "size_mb": "min"},
    positional=("weights",),
    requires=("photo", "onnx"),
)

CONVERT = Stage(
    name="photo.convert",
    summary="a scene becomes a file of another format, smaller, or in other axes",
    config=ConvertConfig,
    implementation="fovea.photo.convert:convert",
    outputs={
        "ply": Output("gaussians", "scene.ply", "every value; format=ply", optional=True),
        "compressed": Output(
            "gaussians", "scene.compressed.ply", "16 bytes each; format=compressed", optional=True
        ),
        "spz": Output("gaussians", "scene.spz", "SPZ 3; format=spz", optional=True),
        "sog": Output("gaussians", "scene.sog", "SOG 2; format=sog", optional=True),
        "splat": Output("gaussians", "scene.splat", "32 bytes each; format=splat", optional=True),
        "glb": Output("gaussians", "scene.glb", "glTF; format=glb", optional=True),
        "scores": Output("scores", "scores.json", "size, and how alike the pictures are"),
    },
    metrics={"gaussians": "min", "megabytes": "min", "psnr": "max", "ssim": "max"},
    occasional=("psnr", "ssim"),
    positional=("scene",),
    requires=("photo",),
)
