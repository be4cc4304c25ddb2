"""Which part of the sky each place near a surface sees, baked once for all that is lit later.

Depths of all views become a surface; a grid is laid over the scene, and every node beside the
surface looks around: by rays against it, or through rasterised cubes. `mode=reference` is the
published system's baking, cubes of the Gaussians with its near plane, threshold and grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch
from jaxtyping import Float, Int

from fovea.errors import BackendError, DataError
from fovea.relight.cameras import read_cameras
from fovea.relight.capture.gsir import read_scene
from fovea.relight.settings.bake import BakeConfig
from fovea.relight.surface.fusion import box, fuse
from fovea.relight.surface.mesh import Mesh, read_mesh, write_mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.volumes.grid import Grid, filled, numbered
from fovea.relight.volumes.occlusion import OcclusionVolume, scene_box
from fovea.relight.volumes.visibility import (
    Cubes,
    Look,
    Rays,
    Seen,
    shown_depths,
    spread_directions,
    traced_visibility,
)
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8
from fovea.training.device import torch_device
from fovea.training.every import EverySeconds

RAYS_NODES, CUBES_NODES = 1024, 16
"""Nodes between two looks at the clock; they are always the same ones, so that a resumed bake adds
up in the same order."""
VIEWS_AROUND, VIEWS_PX, VIEWS_FOV = 48, 256, math.radians(45)
JUDGED_PLACES, JUDGED_RAYS, JUDGE_NEAR = 2000, 512, 1e-3
PICTURE_PX, PICTURE_RAYS = 200, 64
NODES_A_SQUARE = 16
"""Nodes beside a surface, in squares of the nodes along the grid's longest side; 7 to 9 found."""
BYTES_A_NODE, BYTES_A_SEEN_NODE = 24, 200
"""Ids, their padded copy, marks and numbers of a node; position, coefficients and their copies of
one that looks around."""


def bake(config: BakeConfig, context: Context) -> dict[str, float]:
    """Make the surface, let every node beside it look around, and write what they see."""
    plan = Plan.of(config)
    gaussians = read_scene(config.scene).to(torch_device(context.device)).detach()
    scene = scene_box(gaussians)
    known = config.cameras
    views = read_cameras(known) if known else views_around(gaussians, VIEWS_AROUND)
    grid = _grid(plan, gaussians, views)
    require_memory(grid, _most_seen(plan, gaussians), where=config.scene)

    mesh = _surface(config, context, gaussians, views)
    nodes = np.flatnonzero(_marked(plan, grid, gaussians, mesh))
    context.note(f"{len(nodes)} of {grid.count} nodes look around, by {plan.by}")
    look = _look(config, plan, gaussians, views, mesh)
    seen = _look_around(look, grid.positions(nodes), config, plan, context)
    volume = _volume(grid, nodes, seen, plan, scene)
    volume.write(context.output("occlusion"))
    scores = {"nodes/seen": float(len(nodes)), "nodes/inside": float(seen[1].mean())}
    return scores | _judged(volume, mesh, views[0], plan, context)


@dataclass(frozen=True)
class Plan:
    """The choices of a config with its zeros replaced by what they stand for in its mode."""

    by: str
    resolution: int
    bound: float
    cube_res: int
    near: float
    threshold: float
    is_reference: bool

    @classmethod
    def of(cls, config: BakeConfig) -> Plan:
        """The choices of a config."""
        is_reference = config.mode == "reference"
        bound, resolution, cube_res, near, threshold = (
            (1.5, 160, 256, 0.2, 0.4) if is_reference else (0.0, 128, 32, 1e-3, math.inf)
        )
        return cls(
            by="cubes" if is_reference else config.by,
            resolution=config.resolution or resolution,
            bound=config.bound or bound,
            cube_res=config.cube_res or cube_res,
            near=config.near or near,
            threshold=config.threshold or threshold,
            is_reference=is_reference,
        )


def views_around(gaussians: Gaussians, count: int) -> list[Camera]:
    """Cameras on a sphere around a scene of which no photographs are known."""
    low, high = (np.array(corner) for corner in scene_box(gaussians))
    centre = (low + high) / 2
    away = max(float(np.linalg.norm(high - low)) / 2, 1e-3) / math.sin(VIEWS_FOV / 2) * 1.05
    # None of them looks straight along z, which is up in their pictures.
    return [
        Camera.look_at(
            (centre + away * direction).tolist(),
            centre.tolist(),
            fov_x=VIEWS_FOV,
            height=VIEWS_PX,
            width=VIEWS_PX,
        )
        for direction in spread_directions(count)
    ]


def require_memory(grid: Grid, most_seen: int, *, where: Path) -> None:
    """Refuse a grid that the machine has no room for.

    Raises:
        DataError: with the estimate.
    """
    needed = grid.count * BYTES_A_NODE + min(grid.count, most_seen) * BYTES_A_SEEN_NODE
    free = psutil.virtual_memory().available
    if needed > free:
        x, y, z = grid.shape
        fitting = int(max(grid.shape) * (free / needed) ** (1 / 3) * 0.9)
        raise DataError(
            f"a grid of {x} x {y} x {z} nodes over {where} needs about {needed / 2**30:.1f} GiB,"
            f" and {free / 2**30:.1f} GiB are free. Take resolution={fitting} or less."
        )


def _grid(plan: Plan, gaussians: Gaussians, views: Sequence[Camera]) -> Grid:
    if plan.bound:
        return Grid.cube(plan.bound, plan.resolution)
    low, high = box(gaussians, views)
    return Grid.around(low.tolist(), high.tolist(), plan.resolution)


def _surface(
    config: BakeConfig, context: Context, gaussians: Gaussians, views: Sequence[Camera]
) -> Mesh:
    """The surface, made once: a resumed bake reads it again."""
    path = context.output("surface")
    if not path.exists():

        def watch(done: int, total: int) -> None:
            context.progress(done, total, "views")
            if context.should_stop():
                context.stop()

        settings = config.surface
        mesh = fuse(
            gaussians,
            views,
            resolution=settings.resolution,
            truncation=settings.truncation,
            watch=watch,
        )
        draft = path.with_name(f".draft-{path.name}")
        write_mesh(draft, mesh)
        draft.replace(path)
    # Read in any case: what was written is rounded, and both ways must give the same bytes.
    return read_mesh(path)


def _marked(plan: Plan, grid: Grid, gaussians: Gaussians, mesh: Mesh) -> np.ndarray:
    """The nodes that look around: those of cells with Gaussians, or beside the surface."""
    if plan.is_reference:
        return grid.nodes_around(gaussians.means.cpu().double().numpy())
    corners = mesh.vertices[mesh.faces].mean(axis=1)
    points = np.concatenate([mesh.vertices, corners]).astype(np.float64)
    outwards = np.concatenate([mesh.normals, mesh.face_normals()]) * grid.step
    points = np.concatenate([points + height * outwards for height in (0.0, 0.5, 1.0)])
    is_in = ((points >= np.array(grid.lower)) & (points <= np.array(grid.upper))).all(axis=1)
    if not is_in.any():
        low, high = mesh.bounds.tolist()
        raise DataError(
            f"none of the scene's surface, which lies between {low} and {high}, is inside the grid"
            f" from {grid.lower} to {grid.upper}. Take a larger bound, or 0 for the scene's box."
        )
    return grid.nodes_around(points[is_in])


def _most_seen(plan: Plan, gaussians: Gaussians) -> int:
    """How many nodes will look around, at most, before any is marked."""
    return 8 * len(gaussians) if plan.is_reference else NODES_A_SQUARE * plan.resolution**2


def _look(
    config: BakeConfig, plan: Plan, gaussians: Gaussians, views: Sequence[Camera], mesh: Mesh
) -> Look:
    if plan.by == "rays":
        return Rays(Tracer(mesh), config.rays, plan.near, plan.threshold)
    bare = replace(gaussians, harmonics=gaussians.harmonics[:, :1], extras={})
    if plan.is_reference:
        return Cubes(
            bare,
            plan.cube_res,
            plan.near,
            plan.threshold,
            softly=False,
            layout="reference",
            within=config.valid,
        )
    return Cubes(
        bare,
        plan.cube_res,
        plan.near,
        plan.threshold,
        views=views,
        depths=shown_depths(bare, views),
    )


def _look_around(
    look: Look,
    places: Float[np.ndarray, "M 3"],
    config: BakeConfig,
    plan: Plan,
    context: Context,
) -> Seen:
    """Let the nodes look, some at a time, going on where an earlier attempt was cut off."""
    seen, is_inside = np.zeros((len(places), 16), np.float32), np.zeros(len(places), bool)
    done = 0
    if found := context.checkpoints.latest():
        done, folder = found
        seen[:done], is_inside[:done] = (np.load(folder / f"{n}.npy") for n in ("seen", "inside"))
        context.resumed(done)

    def save(folder: Path) -> None:
        np.save(folder / "seen.npy", seen[:done])
        np.save(folder / "inside.npy", is_inside[:done])

    clock = EverySeconds(config.checkpoint_s)
    at_once = RAYS_NODES if plan.by == "rays" else CUBES_NODES
    while done < len(places):
        some = slice(done, done + at_once)
        seen[some], is_inside[some] = look(places[some])
        done = min(done + at_once, len(places))
        context.progress(done, len(places), "nodes")
        if clock.is_due():
            context.checkpoints.save(done, save)
        if context.should_stop():
            context.checkpoints.save(done, save)
            context.stop()
    return seen, is_inside


def _volume(
    grid: Grid,
    nodes: Int[np.ndarray, " M"],
    seen: Seen,
    plan: Plan,
    scene: tuple[tuple[float, ...], tuple[float, ...]],
) -> OcclusionVolume:
    """All nodes, those inside and those far away with what the nearest others see."""
    found, is_inside = seen
    if is_inside.all():
        raise DataError(
            f"all of the {len(nodes)} nodes beside the surface lie inside it. Its triangles face"
            " the wrong way or the grid is coarser than the scene: take a higher resolution."
        )
    measured = np.zeros(grid.shape, dtype=bool)
    measured.ravel()[nodes[~is_inside]] = True
    ids, _ = filled(numbered(measured))
    return OcclusionVolume(
        grid,
        torch.from_numpy(ids),
        torch.from_numpy(found[~is_inside]),
        plan.threshold,
        "reference" if plan.is_reference else "corrected",
        None if plan.is_reference else torch.from_numpy(measured),
        scene,
    )


def _judged(
    volume: OcclusionVolume, mesh: Mesh, view: Camera, plan: Plan, context: Context
) -> dict[str, float]:
    """How far the volume is from rays at places on the surface, and a picture of both."""
    try:
        tracer = Tracer(mesh)
    except BackendError as error:
        context.note(f"the volume was not held against rays: {error}", level="warning")
        return {}

    def traced(points: np.ndarray, normals: np.ndarray, rays: int) -> np.ndarray:
        return traced_visibility(
            *(tracer, points, normals),
            rays=rays,
            near=JUDGE_NEAR,
            threshold=plan.threshold,
            softly=not plan.is_reference,
        )

    points, normals = places_on(mesh, context.rng("places to judge"), JUDGED_PLACES)
    truth = traced(points, normals, JUDGED_RAYS)
    found = volume.visibility(torch.from_numpy(points), torch.from_numpy(normals)).numpy()
    points, normals, is_hit = _seen_from(tracer, view)
    pair = [
        volume.visibility(torch.from_numpy(points), torch.from_numpy(normals)).numpy(),
        traced(points, normals, PICTURE_RAYS),
    ]
    gray = np.concatenate([np.where(is_hit, each.reshape(is_hit.shape), 0) for each in pair], 1)
    context.picture(0, "visibility", to_uint8(np.repeat(gray[..., None], 3, axis=2)))
    scores = {
        "visibility/error": float(np.abs(found - truth).mean()),
        "visibility/mean": float(found.mean()),
    }
    context.log(0, scores)
    return scores


def places_on(mesh: Mesh, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places on a surface, evenly by area, and the normals there."""
    areas = mesh.areas().astype(np.float64)
    face = mesh.faces[random.choice(len(areas), count, p=areas / areas.sum())]
    shares = random.dirichlet(np.ones(3), count).astype(np.float32)
    points = np.einsum("nk,nkd->nd", shares, mesh.vertices[face])
    return points, _unit(np.einsum("nk,nkd->nd", shares, mesh.normals[face]))


def _seen_from(tracer: Tracer, view: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places of the surface that a small picture shows, their normals, and where any are."""
    scale = min(1.0, PICTURE_PX / view.width)
    view = view.resized(height=round(view.height * scale) or 1, width=round(view.width * scale))
    directions = view.directions().numpy().reshape(-1, 3)
    origins = np.broadcast_to(view.position.numpy(), directions.shape)
    hits = tracer.hit(origins, directions)
    normals = _unit(hits.interpolate(tracer.mesh, tracer.mesh.normals))
    points = origins + directions * np.where(hits.found, hits.distance, 0)[:, None]
    return points.astype(np.float32), normals, hits.found.reshape(view.height, view.width)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
