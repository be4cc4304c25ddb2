"""What the page shows of a scene file or a run's folder, as data, and where its files are.

`describe` gives the JSON that `viewer.js` reads. Addresses in it are relative to that JSON:
`files/...` are files of the folder itself, `photos/NAME` the photographs that a scene was made
from (`photos/NAME/LIGHT` the same view under another light), `lights/NAME` the lights that the run
used, wherever they lie; `locate` finds all of them.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fovea.catalog import STAGES, stage
from fovea.errors import ArtifactError
from fovea.runs.run import Run, StageState
from fovea.viewer import relighting

FORMATS = {
    ".ply": "ply",
    ".spz": "spz",
    ".sog": "pcsogszip",
    ".splat": "splat",
    ".ksplat": "ksplat",
}
"""Scene files that the viewer reads, by what the renderer calls them."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
NO_CAMERAS_UP = (0.0, -1.0, 0.0)
"""Up in a scene that nothing is known of, as the page takes it: y down, as in photographs."""

MOST_POINTS = 400
EVENT_TAIL_BYTES = 1 << 18
Json = dict[str, Any]


def describe(path: Path) -> Json:
    """What there is to show of a scene file, or of a run's folder, finished or not.

    Raises:
        ArtifactError: it is neither.
    """
    if (path / "run.json").is_file():
        return _describe_run(path)
    if path.is_file() and path.suffix.lower() in FORMATS:
        page = _nothing(path.name) | {"kind": "scene", "scenes": [_scene(path.parent, path)]}
        address = relighting.best_scene({_address(path.parent, path): path})
        if address:
            page["relight"] = {"scene": address, "lights": [], "up": list(NO_CAMERAS_UP)}
        return page
    found = (
        "is a folder without run.json"
        if path.is_dir()
        else f"ends in {path.suffix or 'nothing'}"
        if path.exists()
        else "does not exist"
    )
    raise ArtifactError(
        f"the viewer shows a scene ({', '.join(FORMATS)}) or a run's folder, and {path} {found}."
        " 'fovea runs ls' lists the runs."
    )


def not_begun(name: str) -> Json:
    """The same of a run that waits for its turn and has no folder yet."""
    return _nothing(name) | {"kind": "run", "state": "pending", "live": True}


def locate(path: Path, address: str) -> Path | None:
    """The file behind an address of the page's data, or None where there is none to be had.

    Only files below the run's folder (for a scene file: that file), the photographs named in its
    cameras and the lights named in its settings are given out, however the address is spelt.
    """
    kind, _, name = unquote(address).partition("/")
    if kind == "photos":
        return _photographs(path).get(name)
    if kind == "lights":
        return _lights(path, Run.open(path).stages).get(name, (None,))[0] if path.is_dir() else None
    if kind != "files" or "\0" in name:
        return None
    root = (path if path.is_dir() else path.parent).resolve()
    file = (root / name).resolve()
    if not file.is_file() or not file.is_relative_to(root):
        return None
    return file if path.is_dir() or file == path.resolve() else None


def _nothing(name: str) -> Json:
    return {
        "schema": 1,
        "kind": "scene",
        "name": name,
        "state": "done",
        "live": False,
        "seconds": 0.0,
        "files": "./",
        "stages": [],
        "scores": [],
        "curves": {},
        "pictures": [],
        "videos": [],
        "scenes": [],
        "cameras": None,
        "relight": None,
        "notes": [],
    }


def _describe_run(folder: Path) -> Json:
    run = Run.open(folder)
    manifest, stages, state = run.manifest, run.stages, run.state
    events = list(_latest_events(folder / "events.jsonl"))
    page: Json = _nothing(manifest["name"]) | {"kind": "run", "id": manifest["id"], "state": state}
    page["live"] = state in ("running", "pending")
    page["seconds"] = _run_seconds(manifest, state, stages)
    page["stages"] = [_stage(item, state, events) for item in stages]
    page["scores"] = [
        score for item in stages for score in _scores(item) if math.isfinite(score["value"])
    ]
    page["curves"] = {item.key: curves for item in stages if (curves := _curves(run, item.key))}
    for item in stages:
        page["pictures"].extend(_pictures(folder, item))
        for name, output in item.outputs.items():
            _add_output(page, folder, item.key, name, folder / output["path"], output["kind"])
    page["cameras"] = _cameras(folder, stages)
    page["relight"] = _relight(page, folder, stages)
    page["notes"] = [
        {"level": event["level"], "message": event["message"]}
        for event in events
        if event["kind"] == "log"
    ][-12:]
    page["notes"] += [
        {"level": "warning", "message": problem} for item in stages for problem in item.problems
    ]
    return page


def _add_output(page: Json, folder: Path, key: str, name: str, path: Path, kind: str) -> None:
    if not path.is_file():
        return
    suffix = path.suffix.lower()
    if suffix in FORMATS and kind == "gaussians":
        page["scenes"].append(_scene(folder, path) | {"stage": key, "name": name})
    elif kind == "video":
        page["videos"].append(_video(page, key, name, _address(folder, path)))
    elif suffix in PICTURES:
        frames = [{"step": None, "path": _address(folder, path)}]
        page["pictures"].append({"stage": key, "name": name, "frames": frames})


def _video(page: Json, key: str, name: str, address: str) -> Json:
    """A film; a lone picture of its stage becomes what it shows before it plays."""
    lone = [g for g in page["pictures"] if g["stage"] == key and len(g["frames"]) == 1]
    page["pictures"] = [group for group in page["pictures"] if group not in lone[:1]]
    poster = lone[0]["frames"][0]["path"] if lone else None
    return {"stage": key, "name": name, "path": address, "poster": poster}


def _scene(folder: Path, path: Path) -> Json:
    about = path.stat()
    return {
        "path": _address(folder, path),
        "format": FORMATS[path.suffix.lower()],
        "bytes": about.st_size,
        "revision": f"{about.st_mtime_ns:x}",
    }


def _address(folder: Path, path: Path) -> str:
    return "files/" + quote(path.relative_to(folder).as_posix())


def _run_seconds(manifest: Json, state: str, stages: list[StageState]) -> float:
    began, ended = manifest.get("started"), manifest.get("ended")
    if not began:
        return 0.0
    if state == "running":
        return round(time.time() - began, 1)
    return round(ended - began, 1) if ended else sum(item.seconds for item in stages)


def _stage(item: StageState, run_state: str, events: list[Json]) -> Json:
    progress = [e for e in events if e["kind"] == "progress" and e["stage"] == item.key]
    is_orphan = item.state == "running" and run_state != "running"
    return {
        "key": item.key,
        "use": item.use,
        "state": "interrupted" if is_orphan else item.state,
        "seconds": round(item.seconds, 2),
        "summary": stage(item.use).summary if item.use in STAGES else "",
        "progress": {name: progress[-1][name] for name in ("done", "total", "unit")}
        if progress
        else None,
        "error": item.error.message if item.error else "",
    }


def _scores(item: StageState) -> Iterator[Json]:
    directions = stage(item.use).metrics if item.use in STAGES else {}
    for name, value in item.scores.items():
        split, _, metric = name.rpartition("/")
        unit = "dB" if metric == "psnr" else "°" if metric.endswith("_deg") else ""
        word = metric.removesuffix("_deg").replace("_", " ")
        word = word.upper() if word in ("psnr", "ssim", "lpips", "map") else word
        yield {
            "stage": item.key,
            "name": name,
            "label": word,
            "split": split,
            "value": float(value),
            "unit": unit,
            "direction": directions.get(name),
        }


def _curves(run: Run, key: str) -> dict[str, list[list[float]]]:
    curves: dict[str, list[list[float]]] = {}
    for point in run.metrics(key):
        for name, value in point["metrics"].items():
            if math.isfinite(value):
                curves.setdefault(name, []).append([point["step"], value])
    return {name: _thinned(points) for name, points in curves.items()}


def _thinned(points: list[list[float]]) -> list[list[float]]:
    """Means over neighbours, so that no curve has more points than a plot has pixels."""
    size = -(-len(points) // MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [[group[-1][0], sum(value for _, value in group) / len(group)] for group in groups]


def _pictures(folder: Path, item: StageState) -> list[Json]:
    groups: dict[str, list[Json]] = {}
    for path in sorted((item.folder / "pictures").glob("*.png")):
        if found := re.fullmatch(r"(.+)-(\d+)", path.stem):
            frame = {"step": int(found[2]), "path": _address(folder, path)}
            groups.setdefault(found[1], []).append(frame)
    return [{"stage": item.key, "name": name, "frames": frames} for name, frames in groups.items()]


def _latest_events(path: Path) -> Iterator[Json]:
    """The last events of a log, without reading all of a long one."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(0, size - EVENT_TAIL_BYTES))
        lines = file.read().split(b"\n")
    for line in lines[1 if size > EVENT_TAIL_BYTES else 0 : -1]:
        yield json.loads(line)


def _cameras_file(folder: Path, stages: list[StageState]) -> tuple[StageState, Path] | None:
    for item in reversed(stages):
        for output in item.outputs.values():
            if output["kind"] == "cameras" and (folder / output["path"]).is_file():
                return item, folder / output["path"]
    return None


def _cameras(folder: Path, stages: list[StageState]) -> Json | None:
    found = _cameras_file(folder, stages)
    if not found:
        return None
    document = json.loads(found[1].read_text(encoding="utf-8"))
    photographs = _photographs(folder)
    views = []
    for camera in document["cameras"]:
        name = camera["name"]
        photo = _photo_address(name) if name in photographs else None
        relit = {
            key.removeprefix(f"{name}/"): _photo_address(key)
            for key in photographs
            if key.startswith(f"{name}/")
        }
        views.append(camera | {"photo": photo, "relit": relit})
    path = document.get("path", [])
    return {"up": document["up"], "target": document["centre"], "views": views, "path": path}


def _photo_address(name: str) -> str:
    return f"photos/{quote(name, safe='')}"


def _relight(page: Json, folder: Path, stages: list[StageState]) -> Json | None:
    """The scene that has materials, and the lights to choose from; None where there is no such."""
    scenes = {scene["path"]: folder / unquote(scene["path"][6:]) for scene in page["scenes"]}
    address = relighting.best_scene(scenes)
    if address is None:
        return None
    lights = [
        {"name": name, "address": f"lights/{quote(name, safe='')}", "is_fitted": is_fitted}
        for name, (_, is_fitted) in _lights(folder, stages).items()
    ]
    up = page["cameras"]["up"] if page["cameras"] else NO_CAMERAS_UP
    return {"scene": address, "lights": lights, "up": relighting.level_up(up)}


def _lights(folder: Path, stages: list[StageState]) -> dict[str, tuple[Path, bool]]:
    return relighting.lights(folder, stages, {item.key: _config(item) for item in stages})


def _config(item: StageState) -> Json:
    """What a stage was told; nothing before it began."""
    import yaml

    path = item.folder / "config.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _photographs(folder: Path) -> dict[str, Path]:
    """The photographs that the scene was fitted to, by the names of their views.

    `NAME/LIGHT` is the same view under another light, where a capture has such pictures.
    """
    found = _cameras_file(folder, Run.open(folder).stages) if folder.is_dir() else None
    if not found:
        return {}
    config = _config(found[0])
    data = Path(str(config.get("data", "")))
    data = data if data.is_dir() else data.parent
    wanted = {camera["name"] for camera in json.loads(found[1].read_text())["cameras"]}
    photographs: dict[str, Path] = {}
    for pattern in ("*/rgba.png", f"{config.get('images', 'images')}/*", "train/*", "test/*", "*"):
        for path in sorted(data.glob(pattern)):
            name = path.parent.name if path.stem == "rgba" else path.name.split(".")[0]
            if name in wanted and path.suffix.lower() in PICTURES:
                photographs.setdefault(name, path)
    for path in sorted(data.glob("*/rgba_*.png")):
        if path.parent.name in wanted:
            photographs[f"{path.parent.name}/{path.stem.removeprefix('rgba_')}"] = path
    return photographs
