"""A scene held against photographs and truth: every score, a report, and pictures that show it.

First each view as the cameras of the capture see it: radiance, normals, materials, and, with the
fitted light, the shaded picture. Then, for a scene with materials, the same views under each light
that the capture has photographs of. A light is unseen unless the scene was fitted under it.
Every view, and every view under a light, is an item: what was scored once is not scored again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError
from fovea.metrics.albedo import CONVENTIONS, AlbedoConvention, AlbedoPairs, Scaling
from fovea.metrics.metric import MeanMetric
from fovea.metrics.normals import BACKGROUND, decode_normals, normal_error_deg
from fovea.metrics.scores import image_metrics, image_scores, mean_of
from fovea.relight.capture.gsir import read_scene
from fovea.relight.findings import Findings
from fovea.relight.relighting import (
    FittedLight,
    Studio,
    evenly,
    maps_in,
    missing_materials,
    require_materials,
    require_seen,
)
from fovea.relight.report import Evaluation, write_report, write_scores
from fovea.relight.scores import backdrop
from fovea.relight.settings.evaluate import EvaluateConfig
from fovea.relight.truth import Truth, read_truth, relit_lights, relit_photograph
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.capture import Capture, Photograph, View, load, read_capture
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8, write_image
from fovea.scene.rasterize import rasterize
from fovea.scene.sheet import Row, draw_sheet, error_colors
from fovea.training.device import torch_device

if TYPE_CHECKING:
    from fovea.relight.deferred import Relighter

SHOWN_VIEWS = 6
"""Views on the sheet and in the report; of all others only the pictures in `renders`."""
COVERED = 0.5
"""Coverage from which a pixel belongs to the surface, where errors are of the surface alone."""
OPAQUE, EMPTY = 0.996, 0.004
"""Coverage that the published evaluation takes for full and for none."""


def evaluate(config: EvaluateConfig, context: Context) -> dict[str, float]:
    """Render every view of the split, score it, relight it, and write pictures of it."""
    judged = _opened(config, context)
    findings = Findings(context)
    looks: dict[str, _Look] = {}
    pairs = AlbedoPairs()
    total = len(judged.views) + len(judged.lights) * len(judged.relit)
    for number, view in enumerate(judged.views):
        look = looks[view.name] = _look(judged, view, findings, pairs)
        context.progress(number + 1, total, "views", psnr=look.scores["psnr"])
        if context.should_stop():
            context.stop()
    found = Evaluation(
        split=config.split,
        views={name: look.scores for name, look in looks.items()},
        albedo=_albedo_table(pairs, judged.metrics),
        rescale=_rescale(config, pairs),
        ratio=_ratio(config, pairs).tolist(),
        unseen=[name for name in judged.lights if name != judged.fitted],
    )
    done = len(judged.views)
    for light, path in judged.lights.items():
        shading = judged.studio.under(judged.studio.environment(path)) if judged.studio else None
        for number in judged.relit:
            view = judged.views[number]
            relit = _Look(looks[view.name].camera, looks[view.name].is_shown)
            if not relit.recall(findings, key := f"lights/{light}/{view.name}"):
                _relight(judged, relit, view, light, shading, found.ratio)
                relit.keep(findings, key)
            looks[view.name].pictures |= relit.pictures
            found.lights.setdefault(light, {})[view.name] = relit.scores
            done += 1
            context.progress(done, total, "views")
            if context.should_stop():
                context.stop()
    rows = [
        Row(name, {h: picture.numpy() for h, picture in look.pictures.items()}, look.scores)
        for name, look in looks.items()
        if look.is_shown
    ]
    draw_sheet([_without_scalars(row) for row in rows]).save(context.output("sheet"))
    write_scores(context.output("scores"), found)
    write_report(context.output("report"), found, rows, config)
    context.log(0, found.summary)
    return found.summary


def _without_scalars(row: Row) -> Row:
    """The row without roughness and metallic, for which the sheet is not wide enough."""
    kept = {h: p for h, p in row.pictures.items() if not h.endswith(("roughness", "metallic"))}
    return replace(row, pictures=kept)


@dataclass(frozen=True)
class _Judged:
    """A scene and what it is held against."""

    gaussians: Gaussians
    views: tuple[View, ...]
    behind: Tensor
    metrics: Mapping[str, MeanMetric]
    folder: Path
    """Where pictures go."""
    resolution: int
    relit: list[int]
    """Numbers of the views to relight."""
    shown: frozenset[str]
    studio: Studio | None
    """For a scene with materials."""
    lights: Mapping[str, Path]
    """The maps of the lights under which there is truth."""
    fitted: str
    """Which of them is the one the scene was fitted under; empty where none is."""
    shaded_by: Relighter | FittedLight | None = None
    """The shading under the fitted light, where it was given."""


@dataclass
class _Look:
    """What was seen of one view."""

    camera: Camera
    is_shown: bool
    scores: dict[str, float] = field(default_factory=dict[str, float])
    pictures: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    albedo: UInt8[Tensor, "h w 3"] | None = None
    """Base colours as a file holds them, linear; where there is truth."""

    def keep(self, findings: Findings, key: str) -> None:
        """Write it down, so that it need not be seen again."""
        found = {"scores": self.scores, "pictures": self.pictures, "albedo": self.albedo}
        findings.keep(key, found)

    def recall(self, findings: Findings, key: str) -> bool:
        """Whether it was written down before; then it is as it was."""
        if (found := findings.of(key)) is None:
            return False
        self.scores, self.pictures = found["scores"], found["pictures"]
        self.albedo = found["albedo"]
        return True


def _opened(config: EvaluateConfig, context: Context) -> _Judged:
    """Read the scene and the capture, and refuse what does not fit together."""
    gaussians = read_scene(config.scene).to(torch_device(context.device))
    capture = read_capture(config.data, images=config.images, hold_out=config.hold_out)
    views = capture.split(config.split)
    if not views:
        raise DataError(
            f"{config.data} has no {config.split} views to evaluate on. Hold some out, hold_out=8,"
            " or take split=train."
        )
    require_seen(gaussians, [view.camera for view in views], config.scene, config.data)
    if config.light or config.lighting:
        require_materials(gaussians, config.scene, "relight.evaluate with a light")
    cameras = [view.camera for view in capture.split("train")]
    has_materials = not missing_materials(gaussians)
    studio = Studio(gaussians, config, cameras) if has_materials else None
    relit = evenly(len(views), config.relit_views)
    folder = context.output("renders")
    folder.mkdir(parents=True, exist_ok=True)
    return _Judged(
        gaussians=gaussians,
        views=views,
        behind=backdrop(config.background, "cpu"),
        metrics=image_metrics(config.lpips),
        folder=folder,
        resolution=config.resolution,
        relit=relit,
        shown=frozenset(views[relit[n]].name for n in evenly(len(relit), SHOWN_VIEWS)),
        studio=studio,
        lights=_lights(config, capture, views, context) if studio else {},
        fitted=config.fitted_light,
        shaded_by=studio.fitted() if studio else None,
    )


def _lights(
    config: EvaluateConfig, capture: Capture, views: Sequence[View], context: Context
) -> dict[str, Path]:
    """The maps of the lights under which every view of the split is known.

    Raises:
        DataError: maps were given, or a light named, that the capture has no pictures under.
    """
    pictured = set(relit_lights(views[0])).intersection(*(relit_lights(view) for view in views))
    maps = maps_in(config.lights) if config.lights else dict(capture.environments)
    found = {name: maps[name] for name in sorted(pictured & maps.keys())}
    unseen = found.keys() - {config.fitted_light}
    if config.lights and not unseen:
        raise DataError(
            f"relighting is scored under maps that {config.data} has pictures of, rgba_<light>.png,"
            f" and {config.lights} holds {', '.join(maps)}. Pictures are there of:"
            f" {', '.join(sorted(pictured)) or 'no light'}. Name the maps like the pictures."
        )
    if without := sorted(pictured - maps.keys()):
        context.note(f"not relit, for want of a map: {', '.join(without)}; give lights=FOLDER")
    elif not unseen:
        context.note(f"{config.data} has no pictures under an unseen light: relighting is no score")
    return found


# A view as it was photographed


def _look(judged: _Judged, view: View, findings: Findings, pairs: AlbedoPairs) -> _Look:
    """Render a view as the capture's camera took it, and score all that is known of it."""
    photograph = load(view, judged.resolution)
    look = _Look(photograph.camera, view.name in judged.shown)
    truth = read_truth(view, photograph)
    if not look.recall(findings, key := f"views/{view.name}"):
        _keep(judged, look, view, "", "photograph", photograph.over(judged.behind))
        _score_radiance(judged, look, view, photograph, truth)
        if judged.studio:
            _score_materials(judged, look, view, truth)
        look.keep(findings, key)
    if look.albedo is not None and truth.albedo is not None:
        pairs.add(look.albedo / 255, truth.albedo, truth.coverage)
    return look


def _keep(
    judged: _Judged, look: _Look, view: View, suffix: str | None, heading: str, picture: Tensor
) -> None:
    """Hold a picture for the sheet and the report, and write it where it is ours."""
    if look.is_shown:
        look.pictures[heading] = picture
    if suffix is not None and heading != "photograph":
        write_image(judged.folder / f"{view.name}{suffix}.png", picture)


@torch.no_grad()
def _score_radiance(
    judged: _Judged, look: _Look, view: View, photograph: Photograph, truth: Truth
) -> None:
    gaussians = judged.gaussians
    normals = gaussians.extras.get("normal", torch.zeros_like(gaussians.means))
    behind = judged.behind.to(gaussians.means)
    raster = rasterize(gaussians, look.camera, passengers=normals, background=behind)
    image, wanted = raster.features.clamp(0, 1).cpu(), photograph.over(judged.behind)
    look.scores.update(image_scores(judged.metrics, image, wanted))
    error = torch.from_numpy(error_colors(image.numpy(), wanted.numpy()))
    blended, alpha = raster.passengers.cpu(), raster.alpha.cpu()
    if judged.studio is not None and judged.studio.tracer is not None:
        # The normals that are shaded: the surface's where there is one.
        blended = judged.studio.buffer(look.camera).normals.cpu() * alpha[..., None]
    ours = functional.normalize(blended, dim=-1)
    _keep(judged, look, view, "", "rendering", image)
    _keep(judged, look, view, "_error", "error", error)
    shown = torch.where(alpha[..., None] > COVERED, ours, 0.0) * 0.5 + 0.5
    _keep(judged, look, view, "_normal", "normals", shown)
    if truth.normals is None:
        return
    surface = truth.coverage > COVERED
    if surface.any():
        look.scores["normal_deg"] = float(normal_error_deg(ours, truth.normals, surface))
    published = decode_normals(_eight_bit(_padded(blended, alpha)))
    look.scores["normal_deg_background"] = float(normal_error_deg(published, truth.normals))
    shown = torch.where(surface[..., None], truth.normals, 0.0) * 0.5 + 0.5
    _keep(judged, look, view, None, "true normals", shown)


def _padded(normals: Float[Tensor, "h w 3"], alpha: Float[Tensor, "h w"]) -> Tensor:
    """Blended normals with (0, 0, 1) behind them, as a picture; as they were published."""
    alpha = torch.where(alpha < EMPTY, 0.0, torch.where(alpha > OPAQUE, 1.0, alpha))[..., None]
    mixed = normals * alpha + normals.new_tensor(BACKGROUND) * (1 - alpha)
    return functional.normalize(mixed, dim=-1) * 0.5 + 0.5


def _eight_bit(picture: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """The picture as it comes back from a file."""
    return torch.from_numpy(to_uint8(picture)).to(picture) / 255


def _score_materials(judged: _Judged, look: _Look, view: View, truth: Truth) -> None:
    assert judged.studio is not None, "only scenes with materials are looked at for them"
    buffer = judged.studio.buffer(look.camera)
    alpha = buffer.alpha.cpu()
    albedo = buffer.albedo.cpu()
    _keep(judged, look, view, "_albedo", "albedo", linear_to_srgb(albedo) * alpha[..., None])
    surface = truth.coverage > COVERED
    if truth.albedo is not None:
        # Published pictures hold blended colours; ours are as bright at the outline as within.
        is_blended = judged.studio.config.mode == "reference"
        outside = albedo if is_blended else albedo * alpha[..., None]
        ours = torch.where(truth.coverage[..., None] > 0, albedo, outside)
        look.albedo = torch.from_numpy(to_uint8(ours))
        shown = linear_to_srgb(truth.albedo) * truth.coverage[..., None]
        _keep(judged, look, view, None, "true albedo", shown)
    for name, wanted in (("roughness", truth.roughness), ("metallic", truth.metallic)):
        ours = getattr(buffer, name).cpu().squeeze(-1)
        picture = (ours * alpha)[..., None].expand(-1, -1, 3)
        _keep(judged, look, view, f"_{name}", name, picture)
        if wanted is None or not surface.any():
            continue
        error = (ours - wanted)[surface]
        look.scores[f"{name}_mae"] = float(error.abs().mean())
        look.scores[f"{name}_rmse"] = float(error.square().mean().sqrt())
        shown = (wanted * truth.coverage)[..., None].expand(-1, -1, 3)
        _keep(judged, look, view, None, f"true {name}", shown)
    if judged.shaded_by is not None:
        shaded = judged.studio.picture(judged.shaded_by, buffer, judged.behind).cpu()
        wanted = load(view, judged.resolution).over(judged.behind)
        scores = image_scores(judged.metrics, shaded, wanted)
        look.scores.update({f"pbr_{name}": value for name, value in scores.items()})
        _keep(judged, look, view, "_pbr", "shaded", shaded)


# Base colours, and relighting


def _rescale(config: EvaluateConfig, pairs: AlbedoPairs) -> Scaling:
    """Which scale base colours get before relighting.

    Raises:
        DataError: one is wanted, and there is no truth to scale to.
    """
    if config.albedo_rescale == "auto":
        return "three" if len(pairs) and config.mode == "corrected" else "none"
    if config.albedo_rescale != "none" and not len(pairs):
        raise DataError(
            f"albedo_rescale={config.albedo_rescale} scales base colours to their truth, and"
            f" {config.data} has none, albedo.png. Set albedo_rescale=none."
        )
    return config.albedo_rescale


def _ratio(config: EvaluateConfig, pairs: AlbedoPairs) -> Float[Tensor, " 3"]:
    return pairs.ratio(_rescale(config, pairs)) if len(pairs) else torch.ones(3)


def _albedo_table(
    pairs: AlbedoPairs, metrics: Mapping[str, MeanMetric]
) -> dict[str, dict[str, float]]:
    """The mean scores of the split's base colours under each convention."""
    if not len(pairs):
        return {}
    return {c.key: _albedo_scores(pairs, c, metrics) for c in CONVENTIONS}


def _albedo_scores(
    pairs: AlbedoPairs, convention: AlbedoConvention, metrics: Mapping[str, MeanMetric]
) -> dict[str, float]:
    return mean_of(image_scores(metrics, *pair) for pair in pairs.compared(convention))


@torch.no_grad()
def _relight(
    judged: _Judged,
    look: _Look,
    view: View,
    light: str,
    shading: Relighter | None,
    ratio: Sequence[float],
) -> None:
    """A view under another light, held against its photograph there."""
    assert judged.studio, "without materials there are no lights"
    assert shading, "each light has its shading"
    buffer = judged.studio.buffer(look.camera)
    scaled = (buffer.albedo * buffer.albedo.new_tensor(ratio)).clamp(0, 1)
    image = judged.studio.picture(shading, replace(buffer, albedo=scaled), judged.behind).cpu()
    wanted = relit_photograph(view, light, look.camera, judged.behind)
    _keep(judged, look, view, f"_{light}", f"{light}", image)
    _keep(judged, look, view, None, f"true {light}", wanted)
    look.scores.update(image_scores(judged.metrics, image, wanted))
