"""The stages of the room `relight`, declared: posed photographs become a scene, scores and a film.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""

from __future__ import annotations

from fovea.relight.settings.bake import BakeConfig
from fovea.relight.settings.decompose import DecomposeConfig
from fovea.relight.settings.evaluate import EvaluateConfig
from fovea.relight.settings.export import ExportConfig
from fovea.relight.settings.film import FilmConfig
from fovea.relight.settings.fit import FitConfig
from fovea.relight.settings.poses import PosesConfig
from fovea.runs.stage import Output, Stage

POSES = Stage(
    name="relight.poses",
    summary="a folder of photographs or a video gets camera poses",
    config=PosesConfig,
    implementation="fovea.relight.poses:poses",
    outputs={
        "capture": Output("capture", "capture", "the photographs made straight, with their poses"),
        "scores": Output("scores", "scores.json", "what was found, and which photographs were not"),
        "picture": Output("file", "cameras.png", "where the photographs were taken from"),
    },
    resumable="items",
    metrics={"poses/registered": "max", "poses/points": "max", "poses/reprojection_px": "min"},
    positional=("photographs",),
    requires=("relight",),
)

FIT = Stage(
    name="relight.fit",
    summary="photographs with poses become 3D Gaussians with normals",
    config=FitConfig,
    implementation="fovea.relight.fit:fit",
    outputs={
        "scene": Output("gaussians", "scene.ply", "the Gaussians"),
        "cameras": Output("cameras", "cameras.json", "the views and a path around the scene"),
        "scores": Output("scores", "scores.json", "PSNR and SSIM of each split"),
    },
    resumable="checkpoint",
    metrics={
        "test/psnr": "max",
        "test/ssim": "max",
        "train/psnr": "max",
        "train/ssim": "max",
        "train/loss": "min",
    },
    positional=("data",),
    requires=("relight",),
)

BAKE = Stage(
    name="relight.bake",
    summary="a scene becomes a surface, and places near it learn what they see of the sky",
    config=BakeConfig,
    implementation="fovea.relight.bake:bake",
    outputs={
        "surface": Output("mesh", "surface.ply", "triangles fused from the depth of all views"),
        "occlusion": Output("occlusion", "occlusion.npz", "what is open, at the nodes of a grid"),
    },
    resumable="checkpoint",
    metrics={"visibility/error": "min"},
    positional=("scene", "cameras"),
    requires=("relight",),
)

DECOMPOSE = Stage(
    name="relight.decompose",
    summary="colours become base colour, roughness, metallic, and the light they were seen under",
    config=DecomposeConfig,
    implementation="fovea.relight.decompose:decompose",
    outputs={
        "scene": Output("gaussians", "scene.ply", "the Gaussians with materials"),
        "light": Output("light", "light.hdr", "the light as a lat-long map"),
        "lighting": Output("lighting", "lighting.npz", "the light as it was learnt, and how"),
        "surface": Output("mesh", "surface.ply", "the surface with materials", optional=True),
    },
    resumable="checkpoint",
    metrics={"train/loss": "min", "train/psnr": "max"},
    positional=("scene", "data"),
    requires=("relight",),
)

EXPORT = Stage(
    name="relight.export",
    summary="a scene with materials for other programs: glTF, HDR, and Gaussians for the page",
    config=ExportConfig,
    implementation="fovea.relight.export:export",
    outputs={
        "scene": Output("gaussians", "relightable.ply", "the Gaussians, with shadows for the page"),
        "object": Output("mesh", "object.glb", "a textured mesh, glTF 2.0"),
        "light": Output("light", "light.hdr", "the light, turned to fit the object", optional=True),
        "light_exr": Output("light", "light.exr", "the same as OpenEXR", optional=True),
    },
    metrics={"object/seen": "max"},
    positional=("scene", "surface", "light"),
    requires=("relight",),
)

EVALUATE = Stage(
    name="relight.evaluate",
    summary="a scene is held against photographs and truth: scores, a report, a sheet of pictures",
    config=EvaluateConfig,
    implementation="fovea.relight.evaluate:evaluate",
    outputs={
        "scores": Output("scores", "scores.json", "every score, for all views and each"),
        "renders": Output("images", "renders", "each view as rendered, its error and its buffers"),
        "sheet": Output("file", "sheet.png", "photograph, rendering and error side by side"),
        "report": Output("file", "report.html", "tables of all scores, and strips of pictures"),
    },
    resumable="items",
    metrics={
        "test/psnr": "max",
        "test/ssim": "max",
        "test/normal_deg": "min",
        "test/pbr_psnr": "max",
        "test/albedo_psnr": "max",
        "test/roughness_mae": "min",
        "test/metallic_mae": "min",
        "test/relit_psnr": "max",
        "test/relit_ssim": "max",
    },
    occasional=(
        "test/pbr_psnr",
        "test/albedo_psnr",
        "test/roughness_mae",
        "test/metallic_mae",
        "test/relit_psnr",
        "test/relit_ssim",
    ),
    version=2,
    positional=("scene", "data"),
    requires=("relight",),
)

FILM = Stage(
    name="relight.film",
    summary="a camera moves around a scene, or a light does: a video",
    config=FilmConfig,
    implementation="fovea.relight.film:film",
    outputs={
        "video": Output("video", "film.mp4", "the film; of the first light where each has its own"),
        "films": Output("folder", "films", "a film for each further light", optional=True),
        "stills": Output("images", "stills", "the frames that were asked for", optional=True),
    },
    metrics={},
    version=2,
    positional=("scene", "cameras"),
    requires=("relight",),
)
