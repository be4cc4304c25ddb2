"""Ground truth that lies beside photographs, and the environment maps of a capture.

TensoIR's names: in the folder of a view's `rgba.png` stand `normal.png` (world space, n / 2 + 0.5),
`albedo.png` (linear, 8 bit), `roughness.png`, `metallic.png`, and `rgba_<light>.png`, the same view
under another light. Beside a photograph of another name, `r_0.png`, they carry it before theirs:
`r_0_normal.png`, `r_0_rgba_<light>.png`.
"""

from __future__ import annotations

from pathlib import Path

BUFFERS = ("normal", "albedo", "roughness", "metallic")
RELIT = "relit/"
"""Before the name of the light, in the keys of `View.truth`."""

ENVIRONMENTS = (
    "envmaps",
    "Environment_Maps/high_res_envmaps_2k",
    "Environment_Maps/high_res_envmaps_1k",
    "Environment_Maps",
)
"""Folders of environment maps, in the capture's own folder or up to two above it."""


def truth_beside(image: Path) -> dict[str, Path]:
    """The ground truth of one photograph: `normal`, `albedo`, ..., and `relit/<light>`."""
    prefix = "" if image.stem == "rgba" else f"{image.stem}_"
    paths = {name: image.with_name(f"{prefix}{name}.png") for name in BUFFERS}
    truth = {name: path for name, path in paths.items() if path.is_file()}
    relit = f"{prefix}rgba_"
    for path in sorted(image.parent.glob(f"{relit}*.png")):
        truth[RELIT + path.stem.removeprefix(relit)] = path
    return truth


def environments_of(folder: Path) -> dict[str, Path]:
    """The environment maps of a capture by the name of the light; the nearest folder wins."""
    folder = folder.resolve()
    for place in (folder, *folder.parents[:2]):
        for name in ENVIRONMENTS:
            found = sorted(p for p in (place / name).glob("*.*") if p.suffix in (".hdr", ".exr"))
            if found:
                return {path.stem: path for path in found}
    return {}
