"""Wrong inputs, and the sentences that answer them; see README.md beside this file."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fovea import dialect
from fovea.runs.lock import RunLock

HERE = Path(__file__).parent
STILL_LIFE = dialect.SAMPLES / "still_life"
QUICK = ["iterations=20", "resolution=8", "start.points=random", "start.count=100"]


@dataclass
class Call:
    """A command and what surrounds it."""

    words: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    around: Callable[[], object] = nullcontext


def capture(folder: Path, photographs: int = 4) -> Path:
    """A few photographs of the sample scene, in a folder of their own."""
    found = folder / "bear"
    for split in ("train", "test"):
        poses = json.loads((STILL_LIFE / f"transforms_{split}.json").read_text())
        poses["frames"] = poses["frames"][:photographs]
        for frame in poses["frames"]:
            name = Path(frame["file_path"]).with_suffix(".png")
            (found / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(STILL_LIFE / name, found / name)
        (found / f"transforms_{split}.json").write_text(json.dumps(poses))
    return found


def one_photograph(folder: Path) -> Path:
    return sorted(folder.glob("train_*/*.png"))[0]


def misspelt_key(tmp: Path) -> Call:
    (tmp / "bear.yaml").write_text("iterations: 500\ndensify:\n  intervall: 50\n")
    return Call(["relight", "fit", "bear", "--config", "bear.yaml"])


def bad_value_in_a_file(tmp: Path) -> Call:
    (tmp / "bear.yaml").write_text("iterations: many\nmode: refrence\n")
    return Call(["relight", "fit", "bear", "--config", "bear.yaml"])


def bad_value_in_the_environment(tmp: Path) -> Call:
    return Call(
        ["relight", "fit", "bear"],
        {"FOVEA_RELIGHT_FIT__LOSS__SSIM": "2", "FOVEA_RELIGHT_FIT__ITERATONS": "5"},
    )


def bad_values_as_flags(tmp: Path) -> Call:
    return Call(
        ["relight", "fit", "bear", "--iterations", "-1", "--rates.means=fast", "degre=3", "more"]
    )


def a_key_given_twice(tmp: Path) -> Call:
    (tmp / "bear.yaml").write_text("iterations: 500\nmode: corrected\niterations: 5000\n")
    return Call(["relight", "fit", "bear", "--config", "bear.yaml"])


def a_file_that_is_not_yaml(tmp: Path) -> Call:
    (tmp / "bear.yaml").write_text("loss: {ssim: 0.2\nmode: corrected\n")
    return Call(["relight", "fit", "bear", "--config", "bear.yaml"])


def missing_input(tmp: Path) -> Call:
    (tmp / "bears").mkdir()
    return Call(["relight", "fit", "bear"])


def unknown_stage(tmp: Path) -> Call:
    return Call(["relight", "fti", "bear"])


def unknown_room(tmp: Path) -> Call:
    return Call(["relihgt", "fit", "bear"])


def unknown_preset(tmp: Path) -> Call:
    return Call(["relight", "fit", "bear", "--preset", "fsat"])


def unknown_recipe(tmp: Path) -> Call:
    return Call(["run", "dmeo"])


def recipe_that_does_not_join(tmp: Path) -> Call:
    (tmp / "film.yaml").write_text("name: film\nstages:\n  film: {use: relight.film}\n")
    return Call(["run", "film.yaml"])


def recipe_that_joins_the_wrong_kind(tmp: Path) -> Call:
    capture(tmp)
    (tmp / "film.yaml").write_text(
        "name: film\nstages:\n  fit: {use: relight.fit, with: {data: bear}}\n"
        '  film: {use: relight.film, with: {scene: "${fit.out.scores}"}}\n'
    )
    return Call(["run", "film.yaml"])


def missing_pose_file(tmp: Path) -> Call:
    (capture(tmp) / "transforms_train.json").unlink()
    return Call(["relight", "fit", "bear", *QUICK])


def image_of_another_size(tmp: Path) -> Call:
    from PIL import Image

    path = sorted(capture(tmp).glob("train_*/*.png"))[1]
    Image.open(path).resize((200, 100)).save(path)
    return Call(["relight", "fit", "bear", *QUICK])


def text_file_as_png(tmp: Path) -> Call:
    one_photograph(capture(tmp)).write_text("a bear, sitting\n")
    return Call(["relight", "fit", "bear", *QUICK])


def broken_ply(tmp: Path) -> Call:
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 1000\n"
    columns = "".join(f"property float {name}\n" for name in ("x", "y", "z"))
    (tmp / "scene.ply").write_bytes(f"{header}{columns}end_header\n".encode() + b"\0" * 100)
    return Call(["relight", "film", "scene.ply", "--preset", "tiny"])


def wrong_colmap_model(tmp: Path) -> Call:
    capture(tmp)
    bear, model = tmp / "bear", tmp / "bear" / "sparse" / "0"
    model.mkdir(parents=True)
    (bear / "images").mkdir()
    shutil.copy(one_photograph(bear), bear / "images" / "one.png")
    (model / "cameras.txt").write_text("1 EQUIRECTANGULAR 200 100\n")
    (model / "images.txt").write_text("1 1 0 0 0 0 0 4 1 one.png\n\n")
    (model / "points3D.txt").write_text("")
    return Call(["relight", "fit", "bear", *QUICK])


def lens_in_px(tmp: Path, **frame: object) -> Path:
    """Four photographs with one `transforms.json` that gives the focal length in px."""
    bear = capture(tmp)
    poses = json.loads((bear / "transforms_train.json").read_text())
    for name in ("train", "test"):
        (bear / f"transforms_{name}.json").unlink()
    poses["frames"][1] |= frame
    document = {"fl_x": 280.0, "frames": poses["frames"]}
    (bear / "transforms.json").write_text(json.dumps(document))
    return bear


def photographs_of_two_sizes(tmp: Path) -> Call:
    from PIL import Image

    path = sorted(lens_in_px(tmp).glob("train_*/rgba.png"))[1]
    Image.open(path).resize((100, 100)).save(path)
    return Call(["relight", "fit", "bear", *QUICK])


def photographs_that_are_missing(tmp: Path) -> Call:
    for path in lens_in_px(tmp).glob("train_*/rgba.png"):
        path.unlink()
    return Call(["relight", "fit", "bear", *QUICK])


def photographs_that_are_copies(tmp: Path) -> Call:
    paths = sorted(lens_in_px(tmp).glob("train_*/rgba.png"))
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    return Call(["relight", "fit", "bear", "hold_out=0", *QUICK])


def pose_with_nan(tmp: Path) -> Call:
    lens_in_px(tmp, transform_matrix=[[1, 0, 0, float("nan")], [0, 1, 0, 0], [0, 0, 1, 0]])
    return Call(["relight", "fit", "bear", *QUICK])


def photograph_with_nan(tmp: Path) -> Call:
    import numpy as np
    from PIL import Image

    values = np.full((20, 20), 0.5, np.float32)
    values[3, 4] = np.nan
    bear = lens_in_px(tmp, file_path="train_001/float.tif", fl_x=28.0)
    Image.fromarray(values).save(bear / "train_001" / "float.tif")
    poses = json.loads((bear / "transforms.json").read_text())
    del poses["fl_x"]
    (bear / "transforms.json").write_text(json.dumps(poses | {"camera_angle_x": 0.69}))
    return Call(["relight", "fit", "bear", *QUICK])


def photographs_too_large_for_memory(tmp: Path) -> Call:
    from PIL import Image

    bear, side = lens_in_px(tmp), 12_000
    poses = json.loads((bear / "transforms.json").read_text())
    poses["frames"] = [poses["frames"][n % 4] for n in range(1_000)]
    (bear / "transforms.json").write_text(json.dumps(poses))
    for number, path in enumerate(sorted(bear.glob("train_*/rgba.png"))):
        # One bit a pixel: large only once it is decoded.
        Image.new("1", (side, side), number % 2).save(path)
    return Call(["relight", "fit", "bear", "resolution=1"])


def photographs_that_share_nothing(tmp: Path) -> Call:
    import numpy as np
    from PIL import Image

    (tmp / "walk").mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        noise = random.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp / "walk" / f"walk_{number}.png")
    return Call(["relight", "poses", "walk", "features=256"])


def video_that_is_none(tmp: Path) -> Call:
    (tmp / "walk.mp4").write_text("a walk around a bear\n")
    return Call(["relight", "poses", "walk.mp4"])


def folder_without_photographs(tmp: Path) -> Call:
    (tmp / "walk").mkdir()
    (tmp / "walk" / "notes.txt").write_text("a bear, sitting\n")
    return Call(["relight", "poses", "walk"])


def locked_run(tmp: Path) -> Call:
    capture(tmp)
    return Call(
        ["relight", "fit", "bear", *QUICK, "--run", "busy"], around=lambda: RunLock(tmp / "busy")
    )


def full_disk(tmp: Path) -> Call:
    capture(tmp)
    return Call(
        ["relight", "fit", "bear", *QUICK, "--root", "small"], around=lambda: small_disk(tmp)
    )


def small_scene(tmp: Path, *, has_materials: bool = False) -> None:
    """A scene of a few Gaussians, and a map of light."""
    import numpy as np
    import torch

    from fovea.scene.gaussians import Gaussians
    from fovea.scene.ply import write_ply
    from fovea.scene.radiance import write_radiance

    count = 4
    widths = {"normal": 3, "albedo": 3, "roughness": 1, "metallic": 1} if has_materials else {}
    scene = Gaussians(
        means=torch.eye(count, 3),
        quats=torch.eye(1, 4).repeat(count, 1),
        scales=torch.full((count, 3), 0.1),
        opacities=torch.full((count,), 0.9),
        harmonics=torch.zeros(count, 1, 3),
        extras={name: torch.full((count, width), 0.5) for name, width in widths.items()},
    )
    write_ply(tmp / "scene.ply", scene)
    write_radiance(tmp / "dusk.hdr", np.ones((4, 8, 3), np.float32))


def picture_as_light(tmp: Path) -> Call:
    small_scene(tmp)
    shutil.copy(one_photograph(STILL_LIFE), tmp / "dusk.png")
    return Call(["relight", "film", "scene.ply", "light=dusk.png"])


def picture_named_as_light(tmp: Path) -> Call:
    small_scene(tmp, has_materials=True)
    shutil.copy(one_photograph(STILL_LIFE), tmp / "dusk.hdr")
    return Call(["relight", "film", "scene.ply", "light=dusk.hdr"])


def scene_without_materials_under_a_light(tmp: Path) -> Call:
    small_scene(tmp)
    return Call(["relight", "film", "scene.ply", "light=dusk.hdr"])


def cameras_of_another_scene(tmp: Path) -> Call:
    small_scene(tmp)
    turned = {"rotation": [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], "position": [9, 0, 0]}
    camera = {"width": 8, "height": 8, "fx": 9, "fy": 9, "cx": 4, "cy": 4, "split": "train"}
    (tmp / "cameras.json").write_text(json.dumps({"cameras": [camera | turned]}))
    return Call(["relight", "film", "scene.ply", "cameras.json"])


@contextmanager
def small_disk(tmp: Path) -> Iterator[None]:
    """A file system of 64 KiB at `small`."""
    folder = tmp / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here; it takes root and tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


CASES = [
    misspelt_key,
    bad_value_in_a_file,
    bad_value_in_the_environment,
    bad_values_as_flags,
    a_key_given_twice,
    a_file_that_is_not_yaml,
    missing_input,
    unknown_stage,
    unknown_room,
    unknown_preset,
    unknown_recipe,
    recipe_that_does_not_join,
    recipe_that_joins_the_wrong_kind,
    missing_pose_file,
    image_of_another_size,
    text_file_as_png,
    broken_ply,
    picture_as_light,
    picture_named_as_light,
    scene_without_materials_under_a_light,
    cameras_of_another_scene,
    wrong_colmap_model,
    photographs_of_two_sizes,
    photographs_that_are_missing,
    photographs_that_are_copies,
    pose_with_nan,
    photograph_with_nan,
    photographs_too_large_for_memory,
    photographs_that_share_nothing,
    video_that_is_none,
    folder_without_photographs,
    locked_run,
    full_disk,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_wrong_input_is_answered_as_written(case: Callable[[Path], Call], tmp_path: Path) -> None:
    call = case(tmp_path)
    own = {name: value for name, value in os.environ.items() if not name.startswith("FOVEA_")}
    with call.around():
        done = subprocess.run(
            [sys.executable, "-m", "fovea", *call.words],
            cwd=tmp_path,
            env=own | call.variables,
            capture_output=True,
            text=True,
        )
    given = " ".join([*(f"{n}={v}" for n, v in call.variables.items()), "fovea", *call.words])
    message = normal(f"$ {given}\n{done.stderr}exit status {done.returncode}\n", tmp_path)
    path = HERE / f"{case.__name__}.txt"
    if os.environ.get("FOVEA_UPDATE_MESSAGES"):
        path.write_text(message)
    assert "Traceback" not in message
    assert message == path.read_text()


def normal(text: str, tmp: Path) -> str:
    """The text without what differs from one machine and hour to the next."""
    text = text.replace(str(tmp.resolve()), "<tmp>").replace(str(tmp), "<tmp>")
    text = text.replace(socket.gethostname(), "<host>")
    text = re.sub(r"\d{4}-\d\d-\d\d_\d{4}_([\w-]+)_\w{4}\b", r"<run of \1>", text)
    text = re.sub(r"\b(\w+)-[0-9a-f]{8}\b", r"<folder of \1>", text)
    text = re.sub(r"process \d+", "process <pid>", text)
    text = re.sub(r"[\d.]+ GB are free", "<gigabytes> are free", text)
    return re.sub(r"\d\d:\d\d:\d\d", "<time>", text)


def test_every_message_belongs_to_a_case() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == {case.__name__ for case in CASES}
