"""The stages of the room `relight`, declared: posed photographs become a scene, scores and a film.

Only declarations stand here, so that help and schemas cost no torch. Schedules are written as
fractions of `iterations`: that one number may be turned and the rest follows.
"""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.runs.stage import Output, Stage


class CaptureConfig(Config):
    """How photographs are read from a capture."""

    resolution: int = setting(
        0,
        "divide the photographs' size by 1, 2, 4 or 8; any larger number is the width in px; -1"
        " keeps up to 1600 px; 0 is the first of 1, 2, 4, 8 that brings the longer side to 512 px",
        ge=-1,
    )
    hold_out: int = setting(
        8,
        "every n-th view is for testing where the capture has no test split; 0 trains on all",
        ge=0,
    )
    images: str = setting(
        "images",
        "folder of the photographs in a COLMAP capture",
        pattern=r"^\w[\w.\- ]*(/\w[\w.\- ]*)*$",
    )


class StartConfig(Config):
    """What the fit starts from."""

    points: Literal["auto", "file", "triangulate", "random"] = setting(
        "auto",
        "the capture's own points, points triangulated from the photographs, or random ones; auto"
        " takes the first that can be had, and for cut-out photographs random ones inside them",
    )
    count: int = setting(
        30_000, "points, random ones or at most of those found", ge=10, tunable=(5_000, 100_000)
    )
    opacity: float = setting(0.1, "opacity of a Gaussian at the start", gt=0, lt=1)


class RatesConfig(Config):
    """Learning rates of the parameters' raw values."""

    means: float = setting(
        1.6e-4, "positions, times the scene's radius", gt=0, tunable=(5e-5, 2e-3), log=True
    )
    means_final: float = setting(
        1.6e-6, "the same at the last iteration; exponential in between", gt=0, log=True
    )
    harmonics: float = setting(
        2.5e-3,
        "constant colour; the directional part learns 20 times slower",
        gt=0,
        log=True,
        tunable=(5e-4, 2e-2),
    )
    opacities: float = setting(0.05, "opacities", gt=0, tunable=(5e-3, 0.2), log=True)
    scales: float = setting(5e-3, "logarithms of the scales", gt=0, tunable=(1e-3, 0.05), log=True)
    quats: float = setting(1e-3, "rotations", gt=0, log=True)
    normals: float = setting(0.05, "normals", gt=0, log=True)


class LossConfig(Config):
    """Weights of the loss's terms."""

    ssim: float = setting(0.2, "share of 1 - SSIM beside L1", ge=0, le=1, tunable=(0.0, 0.5))
    normal: float = setting(1.0, "rendered normals against the normals of the depth map", ge=0)
    normal_tv: float = setting(
        5.0, "smoothness of the normals where the photograph is smooth", ge=0
    )
    normal_from: float = setting(
        0.35, "part of the iterations after which normals are learnt", ge=0, le=1
    )
    axes: float = setting(
        0.05,
        "shortest axes of the Gaussians against the normals of the depth map; moves the geometry;"
        " like the next two in mode=corrected only, and from normal_from on",
        ge=0,
        tunable=(0.01, 0.2),
        log=True,
    )
    spread: float = setting(
        16.0, "variance of the depths that a pixel sees, over its squared depth", ge=0
    )
    thickness: float = setting(4.0, "smallest scale of the Gaussians, over their depth", ge=0)
    opacity: float = setting(0.0, "mean opacity, so that idle Gaussians fade", ge=0)
    scale: float = setting(0.0, "mean scale relative to the scene's radius", ge=0)


class DensifyConfig(Config):
    """When Gaussians are added and removed."""

    start: float = setting(1 / 60, "part of the iterations before the first time", ge=0, le=1)
    stop: float = setting(0.5, "part of the iterations after which the number stays", ge=0, le=1)
    interval: int = setting(50, "iterations between two times", ge=1)
    gradient: float = setting(
        1.5e-4,
        "mean screen gradient from which a Gaussian is cloned or split",
        gt=0,
        log=True,
        tunable=(5e-5, 1e-3),
    )
    small: float = setting(
        0.01, "largest scale of a clone, in scene radii; larger ones are split", gt=0
    )
    large: float = setting(0.1, "scale above which a Gaussian is removed, in scene radii", gt=0)
    opacity: float = setting(0.005, "opacity below which a Gaussian is removed", ge=0, lt=1)
    reset: float = setting(
        0.1, "part of the iterations between two opacity resets; 0 never resets", ge=0, le=1
    )
    most: int = setting(60_000, "most Gaussians; those with the largest gradients go first", ge=10)


class PosesConfig(Config):
    """Photographs without poses, or a video, become a capture with poses."""

    photographs: Path = artifact("photographs", "a folder of photographs, or a video")
    pattern: str = setting(
        "**/*", "which files of the folder are photographs; ** stands for any folders", min_length=1
    )
    frames: int = setting(
        80, "photographs taken from a video: the sharpest of as many equal parts", ge=3
    )
    lens: Literal[
        "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"
    ] = setting("SIMPLE_RADIAL", "COLMAP's camera model; OPENCV_FISHEYE for action cameras")
    camera: Literal["auto", "one", "each"] = setting(
        "auto",
        "whose focal length is the same: photographs of one size and EXIF camera, all, or none",
    )
    matching: Literal["auto", "exhaustive", "sequential"] = setting(
        "auto",
        "each photograph with each, or with those that follow it; auto is sequential for videos and"
        " for more than 150 photographs",
    )
    overlap: int = setting(10, "how many that follow, where matching is sequential", ge=1)
    longest_px: int = setting(
        1600, "features are looked for in photographs shrunk to this longer side", ge=64
    )
    features: int = setting(4096, "features of a photograph, at most", ge=64)
    least: float = setting(
        0.5, "share of the photographs that must get a pose, or else it is an error", ge=0, le=1
    )
    upright: bool = setting(
        True, "turn the scene so that z is up, with its middle at 0 and the cameras 4 units away"
    )


class FitConfig(CaptureConfig):
    """Photographs with poses become 3D Gaussians."""

    data: Path = artifact(
        "capture", "posed photographs: NeRF-synthetic, TensoIR, COLMAP or instant-ngp"
    )
    iterations: int = setting(
        2000, "optimisation steps, one view each", ge=1, tunable=(500, 30_000)
    )
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference keeps the published system's oddities, to compare with it"
    )
    background: Literal["auto", "black", "white", "random"] = setting(
        "auto",
        "what stands behind cut-out photographs; auto is random for them and black for others",
    )
    degree: int = setting(3, "degree of the spherical harmonics", ge=0, le=3)
    degree_every: float = setting(
        1 / 30, "part of the iterations after which the degree rises by one", gt=0, le=1
    )
    coarse: float = setting(
        0.0, "part of the iterations on photographs of half the size, to begin with", ge=0, le=1
    )
    normal_grad: Literal["normals", "geometry"] = setting(
        "normals", "whether the normal losses also move the geometry", advanced=True
    )
    start: StartConfig = setting(StartConfig(), "the first Gaussians")
    rates: RatesConfig = setting(RatesConfig(), "learning rates")
    loss: LossConfig = setting(LossConfig(), "weights of the loss")
    densify: DensifyConfig = setting(DensifyConfig(), "adding and removing Gaussians")
    evaluate_every: int = setting(
        500, "iterations between two looks at test views; 0 never looks", ge=0, in_fingerprint=False
    )
    checkpoint_s: float = setting(
        60.0, "seconds between two checkpoints", gt=0, in_fingerprint=False, advanced=True
    )


class LitConfig(Config):
    """Which light falls on a scene with materials, and how the scene is shaded."""

    light: Path | None = artifact(
        "light", "an environment map: a downloaded one, or that of relight.decompose", optional=True
    )
    lighting: Path | None = artifact(
        "lighting",
        "the fitted light as it was learnt, `lighting.npz`; it also says how to shade"
        " in mode=reference",
        optional=True,
    )
    surface: Path | None = artifact(
        "mesh", "the surface that casts shadows, `surface.ply` of relight.bake", optional=True
    )
    occlusion: Path | None = artifact(
        "occlusion",
        "its occlusion volume; only mode=reference with `lighting` asks it",
        optional=True,
    )
    up: Literal["auto", "z", "y"] = setting(
        "auto",
        "which way up is in the world that maps are laid around: z for TensoIR and Blender, y for"
        " GS-IR's unturned maps; auto sees it from the photographs",
    )
    yaw_deg: float = setting(0.0, "turn of the maps about up, in degrees")
    exposure: float = setting(0.0, "brightness of the maps, in stops", ge=-30, le=30)
    shadows: bool = setting(True, "whether the surface or the occlusion volume casts shadows")
    shading: Literal["split-sum", "monte-carlo"] = setting(
        "split-sum",
        "how glossy light is found: from the blurred map, or added up at every pixel, slower",
    )
    samples: int = setting(
        64, "rays from each vertex of the surface, or with monte-carlo from each pixel", ge=4
    )
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference shades as the published system does, without shadows"
    )


class SurfaceConfig(Config):
    """How the depth of all views is fused to a surface."""

    resolution: int = setting(
        224, "voxels along the longest edge of the scene", ge=8, le=2048, tunable=(64, 384)
    )
    truncation: float = setting(
        8.0, "voxels up to which a view's word about a surface reaches", gt=0
    )


class BakeConfig(Config):
    """Places near a scene's surface learn which part of the sky they see."""

    scene: Path = artifact("gaussians", "the scene to bake")
    cameras: Path | None = artifact(
        "cameras",
        "where it was photographed from; without, views around it are made",
        optional=True,
    )
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference bakes as the published system does, to compare with it"
    )
    by: Literal["rays", "cubes"] = setting(
        "rays",
        "what a node looks with: rays against the surface, or rasterised cubes of the Gaussians,"
        " slower, and all there is in reference mode",
    )
    resolution: int = setting(
        0, "nodes along the longest side; 0 is 128, in reference mode 160", ge=0, tunable=(32, 192)
    )
    bound: float = setting(
        0.0,
        "half the side of a cube about the origin, in world units; 0 is the box of what the cameras"
        " see, in reference mode 1.5",
        ge=0,
    )
    threshold: float = setting(
        0.0,
        "distance up to which things hide the sky, fading as exp(-(d / threshold)^2); 0 is any"
        " distance. In reference mode it ends at once, and 0 is 0.4",
        ge=0,
    )
    rays: int = setting(256, "rays from a node", ge=16, le=65_536, tunable=(64, 1024), log=True)
    cube_res: int = setting(
        0, "texels along the edge of a cube's face; 0 is 32, in reference mode 256", ge=0, le=1024
    )
    near: float = setting(
        0.0,
        "distance up to which nothing hides, in world units; 0 is 0.001, in reference mode 0.2",
        ge=0,
        advanced=True,
    )
    valid: float = setting(
        1.5,
        "in reference mode Gaussians farther than this from a node along any axis are left out",
        gt=0,
        advanced=True,
    )
    surface: SurfaceConfig = setting(SurfaceConfig(), "the surface")
    checkpoint_s: float = setting(
        20.0, "seconds between two checkpoints", gt=0, in_fingerprint=False, advanced=True
    )


class MaterialRatesConfig(Config):
    """Learning rates of the second stage, Adam's, on raw values."""

    albedo: float = setting(0.03, "base colours", gt=0, log=True, tunable=(3e-3, 0.1))
    surface: float = setting(0.06, "roughness and metallic", gt=0, log=True, tunable=(3e-3, 0.2))
    light: float = setting(
        0.1, "the light; its logarithm in mode=corrected", gt=0, log=True, tunable=(5e-3, 0.3)
    )


class PriorsConfig(Config):
    """What is thought of materials and light beside the photographs, as weights of the loss."""

    albedo: float = setting(
        0.05,
        "base colours alike where the photographs are alike",
        ge=0,
        tunable=(5e-3, 0.5),
        log=True,
    )
    roughness: float = setting(0.02, "the same of roughness", ge=0, tunable=(5e-3, 0.5), log=True)
    metallic: float = setting(0.05, "the same of metallic", ge=0, tunable=(5e-3, 0.5), log=True)
    dielectric: float = setting(0.02, "few things are of metal", ge=0)
    decided: float = setting(0.03, "a thing is of metal or it is not", ge=0)
    white: float = setting(
        0.8, "base colour of the brightest things, to begin with", gt=0, lt=1, tunable=(0.5, 0.95)
    )
    neutral: float = setting(0.02, "light without a colour of its own", ge=0)


class PublishedConfig(Config):
    """Settings of mode=reference alone: GS-IR's flags and weights."""

    tone: bool = setting(False, "bend highlights by the ACES curve")
    gamma: bool = setting(True, "compare as sRGB; without it, photographs are taken as linear")
    metallic: bool = setting(False, "learn the metallic channel")
    indirect: bool = setting(True, "use the occlusion volume and learn indirect light")
    brdf_tv: float = setting(1.0, "smoothness of the materials", ge=0)
    env_tv: float = setting(0.01, "smoothness of the light", ge=0)
    lambertian: float = setting(1e-3, "rough things, and few of metal", ge=0)
    bound: float = setting(1.5, "half the side of the cube that the volumes fill", gt=0)


class DecomposeConfig(CaptureConfig):
    """Colours are taken apart into materials and light."""

    scene: Path = artifact("gaussians", "the fitted scene; its geometry stays as it is")
    data: Path = artifact("capture", "the photographs it was fitted to")
    surface: Path | None = artifact(
        "mesh", "its surface, `surface.ply` of relight.bake; mode=corrected needs it", optional=True
    )
    occlusion: Path | None = artifact(
        "occlusion", "its occlusion volume; mode=reference with indirect light needs it",
        optional=True,
    )  # fmt: skip
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference is the published second stage, to compare with it"
    )
    iterations: int = setting(
        0, "optimisation steps; 0 is 1000, in reference mode 5000", ge=0, tunable=(200, 5000)
    )
    shading: Literal["monte-carlo", "split-sum"] = setting(
        "monte-carlo",
        "how pixels are lit: by rays to sampled directions, or by blurred light and the occlusion"
        " volume, faster; reference mode knows the split sum alone",
    )
    warmup: float = setting(
        0.1, "part of the iterations that begins with the split sum", ge=0, le=1
    )
    pixels: int = setting(2048, "pixels a step, from all views", ge=16, tunable=(512, 8192))
    samples: int = setting(48, "directions a pixel", ge=4, tunable=(16, 256), log=True)
    light_res: int = setting(
        0, "texels along the edge of the light's cube; 0 is 32, in reference mode 256", ge=0, le=512
    )
    rates: MaterialRatesConfig = setting(
        MaterialRatesConfig(), "learning rates of mode=corrected; the published ones are 0.05"
    )
    priors: PriorsConfig = setting(PriorsConfig(), "beside the photographs, in mode=corrected")
    published: PublishedConfig = setting(PublishedConfig(), "for mode=reference alone")
    checkpoint_s: float = setting(
        30.0, "seconds between two checkpoints", gt=0, in_fingerprint=False, advanced=True
    )


class ExportConfig(Config):
    """A scene with materials is written for other programs."""

    scene: Path = artifact("gaussians", "the scene, with materials")
    surface: Path = artifact("mesh", "its surface, `surface.ply` of relight.bake")
    light: Path | None = artifact("light", "its light, or any other to go with it", optional=True)
    cameras: Path | None = artifact(
        "cameras",
        "where it was photographed from; without, views around it are made",
        optional=True,
    )
    faces: int = setting(20_000, "most triangles of the object", ge=4, le=2_000_000)
    texture: int = setting(1024, "edge of its textures, in texels", ge=16, le=8192)
    rays: int = setting(512, "directions in which a place looks for what hides the sky", ge=16)
    up: Literal["auto", "z", "y"] = setting(
        "auto", "which way is up in the scene's world; auto sees it from the photographs"
    )


class EvaluateConfig(CaptureConfig, LitConfig):
    """A scene is rendered from a capture's views and held against its photographs and truth."""

    scene: Path = artifact("gaussians", "the scene to judge")
    data: Path = artifact("capture", "the photographs to judge it by, and truth beside them")
    lights: Path | None = artifact(
        "folder", "maps `<light>.hdr` of the truth `rgba_<light>.png`; else the capture's own",
        optional=True,
    )  # fmt: skip
    fitted_light: str = setting(
        "", "name of the map that the photographs were taken under, where it is among the lights"
    )
    albedo_rescale: Literal["auto", "none", "one", "three"] = setting(
        "auto",
        "scale base colours to the truth before relighting: by one ratio, by one a channel; auto is"
        " three where there is truth, and none in mode=reference",
    )
    split: Literal["test", "train"] = setting("test", "which views")
    relit_views: int = setting(
        0, "relight at most this many views, evenly spread; 0 relights all", ge=0
    )
    lpips: Literal["none", "vgg", "alex"] = setting(
        "none", "network of LPIPS; it needs the package lpips and fetches weights"
    )
    background: Literal["black", "white"] = setting("black", "behind cut-out photographs, in both")


class PointConfig(Config):
    """A point light among the photographs' cameras, in place of an environment."""

    motion: Literal["none", "shadow_map", "light_move"] = setting(
        "none",
        "shadow_map: the light stands at the first camera and the camera moves on; light_move: the"
        " camera stands there and the light moves on",
    )
    start: int = setting(0, "number of the first training camera of the way", ge=0)
    end: int = setting(-1, "number of the camera before which the way ends; -1 takes all", ge=-1)
    loop: bool = setting(False, "return to the first camera")
    intensity: float = setting(100.0, "radiant intensity in each channel", gt=0)
    falloff: float = setting(2.0, "power of the distance by which the light fades", ge=0)
    shadows: Literal["auto", "rays", "cube", "off"] = setting(
        "auto",
        "rays against the surface, or depths around the light; auto takes rays where there is a"
        " surface, and depths in mode=reference",
    )
    cube_px: int = setting(
        512, "width of a face of the depths around the light; 2048 was published", ge=8, le=4096
    )
    shadowed: float = setting(
        -1.0,
        "what is left of the light in a shadow; -1 is nothing, and in mode=reference 0.3 of a"
        " standing and 0.2 of a moving light",
        ge=-1,
        le=1,
    )


class FilmConfig(LitConfig):
    """A camera moves around a scene, or a light does."""

    scene: Path = artifact("gaussians", "the scene to film")
    cameras: Path | None = artifact(
        "cameras", "where its photographs were taken from, `cameras.json`", optional=True
    )
    lights: Path | None = artifact(
        "folder", "a folder of environment maps, to film the scene under each", optional=True
    )
    pick: tuple[str, ...] = setting(
        (), "names of the maps in `lights`, without ending, in order; all where none is named"
    )
    arrange: Literal["beside", "each"] = setting(
        "beside", "several lights side by side in one film, or a film for each"
    )
    path: Literal["auto", "orbit", "cameras", "still"] = setting(
        "auto",
        "a circle around the scene, a ride along the photographs, or a camera that stands; auto"
        " looks at the photographs",
    )
    view: int = setting(0, "number of the photograph from which a still camera looks", ge=0)
    turn: float = setting(0.0, "turns of the light about up during the film")
    seconds: float = setting(6.0, "length of the film in s", gt=0, le=600)
    frames: int = setting(0, "length in frames; 0 takes `seconds`", ge=0, le=100_000)
    fps: int = setting(30, "frames a second", ge=1, le=120)
    width: int = setting(0, "of the film in px; 0 takes that of the photographs", ge=0, le=8192)
    height: int = setting(0, "of the film in px; 0 keeps the photographs' shape", ge=0, le=8192)
    background: Literal["black", "white", "light"] = setting(
        "black", "behind the scene; light shows the environment"
    )
    stills: tuple[int, ...] = setting(
        (), "frames to keep as pictures, counted from 0; negative ones from the end"
    )
    point: PointConfig = setting(PointConfig(), "a point light in place of an environment")


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
