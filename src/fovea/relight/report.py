"""What an evaluation found, as `scores.json` and as one page that works from a disk.

The page fetches nothing and runs nothing: pictures stand in it, small.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fovea.metrics.albedo import AlbedoConvention
from fovea.metrics.scores import mean_of
from fovea.relight.settings.evaluate import EvaluateConfig
from fovea.scene import page
from fovea.scene.sheet import Row

PUBLISHED = AlbedoConvention().key
"""The convention of base colours that the summary shows."""

Scores = Mapping[str, float]

IMAGE_COLUMNS = {
    "psnr": ("PSNR", "{:.2f}"),
    "psnr_channel": ("PSNR per channel", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "lpips": ("LPIPS", "{:.4f}"),
    "lpips_unscaled": ("LPIPS unscaled", "{:.4f}"),
}
TILES = {
    "psnr": ("held-out views", "{:.2f} dB"),
    "pbr_psnr": ("shaded by the fitted light", "{:.2f} dB"),
    "normal_deg": ("normals, surface", "{:.1f}°"),
    "albedo_psnr": ("base colour", "{:.2f} dB"),
    "relit_psnr": ("relit, unseen lights", "{:.2f} dB"),
}


@dataclass(frozen=True)
class Evaluation:
    """The scores of one scene against one capture.

    Attributes:
        split: of the views.
        views: the scores of each view.
        albedo: the mean scores of base colours under each convention, by its key.
        rescale: how base colours were scaled before relighting.
        ratio: by how much, each channel.
        unseen: the lights that the scene was not fitted under.
        lights: under each light, the scores of each view.
    """

    split: str
    views: Mapping[str, Scores]
    albedo: Mapping[str, Scores]
    rescale: str
    ratio: Sequence[float]
    unseen: Sequence[str]
    lights: dict[str, dict[str, Scores]] = field(default_factory=dict[str, dict[str, Scores]])

    @property
    def under(self) -> dict[str, dict[str, float]]:
        """Under each light, the means over the views."""
        return {light: mean_of(scores.values()) for light, scores in self.lights.items()}

    @property
    def relit(self) -> dict[str, float]:
        """The means over the unseen lights."""
        return mean_of(scores for light, scores in self.under.items() if light in self.unseen)

    @property
    def summary(self) -> dict[str, float]:
        """The numbers that say it in one line, `test/psnr` and so on."""
        base = self.albedo.get(PUBLISHED, {})
        found = mean_of(self.views.values())
        found |= {f"albedo_{name}": value for name, value in base.items()}
        found |= {f"relit_{name}": value for name, value in self.relit.items()}
        return {f"{self.split}/{name}": value for name, value in found.items()}


def write_scores(path: Path, found: Evaluation) -> None:
    """Write every score as JSON; what is not finite becomes null."""
    document = found.summary | {
        "views": found.views,
        "albedo": found.albedo,
        "albedo_rescale": {"applied": found.rescale, "ratio": found.ratio},
        "lights": {
            light: means | {"unseen": light in found.unseen, "views": found.lights[light]}
            for light, means in found.under.items()
        },
    }
    path.write_text(json.dumps(_finite(document), indent=2) + "\n")


def write_report(
    path: Path, found: Evaluation, rows: Sequence[Row], config: EvaluateConfig
) -> None:
    """Write the page."""
    lead = (
        f"{len(found.views)} {found.split} views, mode={config.mode}, up={config.up}, behind them"
        f" {config.background}"
    )
    parts = [_tiles(found), _images(found), _surface(found)]
    parts += [*_strips(rows), _albedo(found), _each(found)]
    title = f"{config.scene.name} against {config.data.name}"
    path.write_text(page.page(title, *parts, lead=lead), encoding="utf-8")


# The parts of the page


def _tiles(found: Evaluation) -> str:
    means = {name.partition("/")[2]: value for name, value in found.summary.items()}
    return page.tiles(
        {
            heading: form.format(means[name])
            for name, (heading, form) in TILES.items()
            if name in means
        }
    )


def _images(found: Evaluation) -> str:
    """Scores of pictures, a row a quantity."""
    means = mean_of(found.views.values())
    rows: dict[str, Scores] = {"novel views, radiance": means}
    if "pbr_psnr" in means:
        rows["novel views, shaded"] = {
            name: means[f"pbr_{name}"] for name in IMAGE_COLUMNS if f"pbr_{name}" in means
        }
    for light, scores in found.under.items():
        rows[f"relit: {light}" + ("" if light in found.unseen else " (fitted under it)")] = scores
    if found.relit:
        rows["relit, mean over unseen lights"] = found.relit
    if found.albedo:
        rows["base colour, one ratio a channel"] = found.albedo[PUBLISHED]
    note = (
        "PSNR is of all pixels and channels at once; per channel it is the mean of three, as 3D"
        " Gaussian splatting and GS-IR count it."
    )
    if found.lights:
        ratio = ", ".join(f"{value:.3f}" for value in found.ratio)
        note += f" Base colours before relighting: albedo_rescale={found.rescale}, times {ratio}."
    return page.section("Pictures", page.table(rows, IMAGE_COLUMNS), note)


def _surface(found: Evaluation) -> str:
    """Errors of normals and materials."""
    means = mean_of(found.views.values())
    columns = {
        "normal_deg": ("normals, surface alone", "{:.2f}°"),
        "normal_deg_background": ("normals, background included", "{:.2f}°"),
        "roughness_mae": ("roughness, mean error", "{:.3f}"),
        "roughness_rmse": ("roughness, RMS", "{:.3f}"),
        "metallic_mae": ("metallic, mean error", "{:.3f}"),
        "metallic_rmse": ("metallic, RMS", "{:.3f}"),
    }
    known = {name: what for name, what in columns.items() if name in means}
    if not known:
        return ""
    note = (
        "Papers since TensoIR mean normals over whole pictures, where the background, right by"
        " construction, dilutes the error by the coverage."
    )
    return page.section("Surface", page.table({"mean of the views": means}, known), note)


def _strips(rows: Iterable[Row]) -> list[str]:
    return [
        page.section(
            row.name,
            page.strip(page.figure(picture, heading) for heading, picture in row.pictures.items()),
        )
        for row in rows
    ]


def _albedo(found: Evaluation) -> str:
    if not found.albedo:
        return ""
    note = (
        "scale / space / behind: which ratio of truth to ours multiplies ours, the values that are"
        " compared, and whether they are cut to 0..1 and laid over white. Marked: the published"
        " convention of GS-IR, in the summary."
    )
    table = page.table(found.albedo, IMAGE_COLUMNS, marked=PUBLISHED)
    return page.section("Base colour, all conventions", table, note)


def _each(found: Evaluation) -> str:
    names = list(dict.fromkeys(name for scores in found.views.values() for name in scores))
    columns = {name: (name, "{:.3f}") for name in names}
    return page.section("Each view", page.folded(page.table(found.views, columns)))


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
