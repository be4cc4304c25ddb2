"""The page: its files, what it may do, and a copy of it that needs no server.

Whoever serves the page (`fovea view`, the service) answers these under any prefix, with the page's
content security policy, and nothing else:

    GET NAME             assets()[NAME]; the empty name is index.html
    GET page.json        describe(path)
    GET files/PATH,      locate(path, address)
        photos/NAME, lights/NAME

`index.html?data=ADDRESS` reads another JSON than `page.json` beside it; the addresses in it are
relative to it.
"""

from __future__ import annotations

import base64
import io
import json
import mimetypes
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fovea.viewer import relighting
from fovea.viewer.describe import FORMATS, describe, locate, not_begun

__all__ = [
    "CONTENT_SECURITY_POLICY", "FORMATS", "assets", "describe", "export", "locate", "not_begun",
]  # fmt: skip

HERE = Path(__file__).parent
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Under which the page works: no script inside the page, nothing from elsewhere."""
CONVERTED_BYTES = 2 << 20
"""A larger .ply is put into an exported page as .spz, about ten times smaller."""
MOST_SCENE_BYTES = 200 << 20
MOST_VIDEO_BYTES = 40 << 20
MOST_FRAMES = 8
MOST_PHOTOGRAPHS = 24
MOST_RELIT = 6
MOST_LIGHTS = 8
PHOTOGRAPH_PX = 800

OCTETS = "application/octet-stream"

Json = dict[str, Any]


def assets() -> dict[str, Path]:
    """The page's own files by the relative address under which the page asks for them."""
    files = {path.name: path for path in (HERE / "static").iterdir()}
    vendored = HERE / "vendor" / "spark-three.min.js"
    return files | {"": files["index.html"], f"vendor/{vendored.name}": vendored}


def export(path: Path, target: Path | None = None) -> Path:
    """Write the page of a run or a scene as one file that a double click opens, without a server.

    Scene, pictures, films, photographs and lights are put into the file: a large scene as .spz and
    its materials in 8 bits, long rows of pictures and photographs thinned out, lights made smaller.
    What is still too large is left out and named in its notes.

    Args:
        path: a run's folder or a scene file.
        target: the file to write; `page/index.html` in the run's folder, or beside the scene.

    Returns:
        The file written.

    Raises:
        ArtifactError: `path` is neither a run nor a scene.
    """
    page = describe(path)
    if target is None:
        target = path / "page" / "index.html" if path.is_dir() else path.with_suffix(".html")
    page["live"] = False
    _put_scenes_in(page, path)
    _put_pictures_in(page, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_html(page), encoding="utf-8")
    return target


def _html(page: Json) -> str:
    """The page with its style, scripts and data inside it."""
    files = assets()
    text = files["index.html"].read_text(encoding="utf-8")
    scripts = re.findall(r'<script src="([^"]+)" defer></script>\n', text)
    text = re.sub(r'<script src="[^"]+" defer></script>\n', "", text)
    style = f"<style>\n{files['style.css'].read_text(encoding='utf-8')}</style>"
    text = text.replace('<link rel="stylesheet" href="style.css">', style)
    text = text.replace('href="icon.svg"', f'href="{_data(files["icon.svg"])}"')
    data = json.dumps(page, ensure_ascii=False).replace("</", "<\\/")
    parts = [f'<script type="application/json" id="page-data">{data}</script>']
    for name in scripts:
        code = files[name].read_text(encoding="utf-8").replace("</script", "<\\/script")
        parts.append(f"<script>\n{code}</script>")
    return text.replace("</body>", "\n".join([*parts, "</body>"]))


def _data(path: Path, kind: str = "") -> str:
    return _data_of(path.read_bytes(), kind or mimetypes.guess_type(path.name)[0] or OCTETS)


def _data_of(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _leave_out(page: Json, name: str, size: int) -> None:
    message = f"{name} ({size / 2**20:.0f} MB) is too large to stand inside this page."
    page["notes"].append({"level": "warning", "message": message})


def _put_scenes_in(page: Json, path: Path) -> None:
    """Keep the scene that is shown: the one to relight, else the last."""
    scenes, relight = page["scenes"], page["relight"]
    page["scenes"], page["relight"] = [], None
    shown = [scene for scene in scenes if relight and scene["path"] == relight["scene"]]
    for scene in shown or scenes[-1:]:
        file = locate(path, scene["path"])
        assert file, "describe names only files that locate finds"
        is_large = file.suffix.lower() == ".ply" and file.stat().st_size > CONVERTED_BYTES
        data, materials, size = _converted(file) if is_large else (None, None, file.stat().st_size)
        if size > MOST_SCENE_BYTES:
            _leave_out(page, file.name, size)
            continue
        scene["format"] = "spz" if is_large else scene["format"]
        page["scenes"] = [scene | {"path": data or _data(file, OCTETS)}]
        if relight:
            relight |= {"scene": page["scenes"][0]["path"], "materials": materials}
            page["relight"] = relight | {"lights": _lights_inside(page, relight["lights"], path)}


def _converted(ply: Path) -> tuple[str, str | None, int]:
    """A large scene as .spz, what materials it has beside it, and how many bytes that takes."""
    from fovea.scene.ply import read_ply
    from fovea.scene.spz import write_spz

    gaussians = read_ply(ply)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "scene.spz"
        write_spz(target, gaussians)
        data, size = _data(target, OCTETS), target.stat().st_size
    if not relighting.columns(ply).issuperset(relighting.COLUMNS):
        return data, None, size
    packed = relighting.pack(gaussians)
    return data, _data_of(packed, OCTETS), size + len(packed)


def _lights_inside(page: Json, lights: list[Json], path: Path) -> list[Json]:
    if lights[MOST_LIGHTS:]:
        names = ", ".join(light["name"] for light in lights[MOST_LIGHTS:])
        message = f"This page holds {MOST_LIGHTS} lights, and these not: {names}."
        page["notes"].append({"level": "warning", "message": message})
    inside: list[Json] = []
    for light in lights[:MOST_LIGHTS]:
        file = locate(path, light["address"])
        if file:
            inside.append(light | {"address": _data_of(relighting.small_light(file), OCTETS)})
    return inside


def _put_pictures_in(page: Json, path: Path) -> None:
    def embed(address: str, encode: Callable[[Path], str] = _data) -> str | None:
        file = locate(path, address)
        return encode(file) if file else None

    for group in page["pictures"]:
        group["frames"] = _some(group["frames"], MOST_FRAMES)
        for frame in group["frames"]:
            frame["path"] = embed(frame["path"])
    videos, page["videos"] = page["videos"], []
    for video in videos:
        file = locate(path, video["path"])
        if file and file.stat().st_size <= MOST_VIDEO_BYTES:
            poster = embed(video["poster"]) if video["poster"] else None
            page["videos"].append(video | {"path": _data(file), "poster": poster})
        elif file:
            _leave_out(page, file.name, file.stat().st_size)
    views = [view for view in (page["cameras"] or {}).get("views", ()) if view["photo"]]
    shown = [view for view in views if view["split"] == "test"] or views
    kept = {view["name"] for view in _some(shown, MOST_PHOTOGRAPHS)}
    relit = {view["name"] for view in _some([view for view in shown if view["relit"]], MOST_RELIT)}
    for view in views:
        view["photo"] = embed(view["photo"], _small) if view["name"] in kept else None
        names = view["relit"] if view["name"] in kept & relit else {}
        view["relit"] = {name: embed(address, _small) for name, address in names.items()}


def _some(items: list[Json], most: int) -> list[Json]:
    """At most that many, evenly, the last among them."""
    if len(items) <= most:
        return items
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def _small(path: Path) -> str:
    """A photograph as the page needs it: no larger than a screen shows beside the render."""
    from PIL import Image

    with Image.open(path) as image:
        image.thumbnail((PHOTOGRAPH_PX, PHOTOGRAPH_PX))
        has_alpha = image.mode in ("RGBA", "LA", "P")
        buffer = io.BytesIO()
        if has_alpha:
            image.save(buffer, "PNG")
        else:
            image.convert("RGB").save(buffer, "JPEG", quality=88)
    kind = "image/png" if has_alpha else "image/jpeg"
    return _data_of(buffer.getvalue(), kind)
