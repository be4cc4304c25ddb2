"""Structure from motion: features, their matches, and the cameras and points that explain them.

The work is pycolmap's; here stand the order, the places from which it goes on, and what makes it
the same each time. Everything is kept in COLMAP's database: a photograph whose features stand in
it, or a pair whose matches do, is not looked at again. Features and matches of one photograph or
pair depend on nothing else, so it does not matter in how many goes they are found; only the mapping
is one piece, done by one thread from a fixed seed.

Notation: pixels [n, 2] are (column, row) of the upright photograph at its full size, pixel centres
at +0.5, as COLMAP has them.

Source: Schönberger and Frahm, "Structure-from-Motion Revisited" (CVPR 2016); Lowe, "Distinctive
image features from scale-invariant keypoints" (2004); Arandjelovic and Zisserman, "Three things
everyone should know to improve object retrieval" (2012) for the root of the descriptors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pycolmap
import torch
from jaxtyping import Float, UInt8
from PIL import ExifTags, Image

from fovea.errors import DataError
from fovea.relight.capture.shots import Shot
from fovea.relight.settings.poses import PosesConfig
from fovea.scene.capture.photographs import decode
from fovea.scene.image import image_size, resize, to_uint8

WITH_EXIF = (".jpg", ".jpeg", ".tif", ".tiff", ".webp")
USUAL_FOCAL = 1.2
"""Focal length of a photograph that does not say, in its longer sides."""
SILHOUETTE_PX = 5
"""Features nearer than half of this to the edge of a cut-out photograph are its outline's."""
MOST_EXHAUSTIVE = 150
"""With more photographs `matching=auto` matches only neighbours."""
RATIO, FARTHEST_RAD = 0.8, 0.7
"""A match is that much nearer than the second best, and descriptors differ by at most this."""
ROWS_AT_ONCE = 512
DESCRIPTOR_LENGTH = 512.0
FEWEST_INLIERS = 15
FEWEST_REGISTERED = 3

Item = TypeVar("Item")
Result = TypeVar("Result")
Watch = Callable[[int, int, str], None]
"""Told how many of how many of what are done; it may raise to stop."""

_of_thread = threading.local()


def find_features(shots: Sequence[Shot], path: Path, config: PosesConfig, watch: Watch) -> None:
    """Look for features in every photograph that has none in the database at `path` yet."""
    pycolmap.logging.minloglevel = 2
    if not path.is_file():
        _begin(shots, path, config)
    database = pycolmap.Database.open(path)
    try:
        left = [shot for shot in shots if not _has_features(database, shot)]
        watch(len(shots) - len(left), len(shots), "photographs searched")

        def look(shot: Shot) -> tuple[Any, Any]:
            return _features(shot, config)

        for done, (shot, (pixels, descriptors)) in enumerate(_in_order(look, left)):
            number = _id(database, shot)
            with pycolmap.DatabaseTransaction(database):
                database.write_keypoints(number, pixels)
                database.write_descriptors(number, descriptors)
            watch(len(shots) - len(left) + done + 1, len(shots), "photographs searched")
    finally:
        database.close()


def match_features(shots: Sequence[Shot], path: Path, config: PosesConfig, watch: Watch) -> None:
    """Match the features of the pairs that `config` asks for and the database does not hold yet."""
    database = pycolmap.Database.open(path)
    try:
        numbers = [_id(database, shot) for shot in shots]
        pairs = [(numbers[one], numbers[two]) for one, two in pairs_to_match(len(shots), config)]
        left = [pair for pair in pairs if not database.exists_two_view_geometry(*pair)]
        cameras = {
            image.image_id: database.read_camera(image.camera_id)
            for image in database.read_all_images()
        }
        pixels = {n: database.read_keypoints(n) for n in numbers}
        descriptors = {n: database.read_descriptors(n).data for n in numbers}
        options = pycolmap.TwoViewGeometryOptions()
        options.ransac.random_seed = 0

        def match(pair: tuple[int, int]) -> tuple[Any, Any]:
            one, two = pair
            matches = mutual_matches(descriptors[one], descriptors[two])
            at = [pixels[n][:, :2].astype(np.float64) for n in pair]
            geometry = pycolmap.estimate_two_view_geometry(
                cameras[one], at[0], cameras[two], at[1], matches, options
            )
            return matches, geometry

        watch(len(pairs) - len(left), len(pairs), "pairs matched")
        for done, ((one, two), (matches, geometry)) in enumerate(_in_order(match, left)):
            with pycolmap.DatabaseTransaction(database):
                database.write_matches(one, two, matches)
                database.write_two_view_geometry(one, two, geometry)
            watch(len(pairs) - len(left) + done + 1, len(pairs), "pairs matched")
    finally:
        database.close()


def map_cameras(
    shots: Sequence[Shot], path: Path, folder: Path, seed: int, watch: Watch
) -> pycolmap.Reconstruction | None:
    """Find cameras and points from the matches; of several models the largest, or None."""
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = seed
    options.extract_colors = False
    options.min_model_size = FEWEST_REGISTERED
    token = pycolmap.CancellationToken()
    registered, stopped = 2, []

    def one_more() -> None:
        nonlocal registered
        registered = min(registered + 1, len(shots))
        try:
            watch(registered, len(shots), "photographs placed")
        except Exception as stop:  # noqa: BLE001, it has to leave C++ first
            stopped.append(stop)
            token.cancel()

    folder.mkdir(parents=True, exist_ok=True)
    models = pycolmap.incremental_mapping(
        path,
        folder,
        folder,
        options,
        next_image_callback=one_more,
        cancellation_token=token,
    )
    if stopped:
        raise stopped[0]
    found = [models[key] for key in sorted(models)]
    found = [model for model in found if model.num_reg_images() >= FEWEST_REGISTERED]
    return max(found, key=lambda m: (m.num_reg_images(), m.num_points3D()), default=None)


def pairs_to_match(count: int, config: PosesConfig) -> list[tuple[int, int]]:
    """Which photographs are matched with which, each pair once, the earlier first.

    In a sequence each is matched with the `overlap` that follow it, and with those 16, 32, 64, ...
    later, so that a way that comes back is closed.
    """
    kind = config.matching
    if kind == "auto":
        kind = "sequential" if count > MOST_EXHAUSTIVE else "exhaustive"
    pairs: list[tuple[int, int]] = []
    for one in range(count):
        later = range(one + 1, count)
        if kind == "sequential":
            steps = {*range(1, config.overlap + 1), *(2**n for n in range(4, 16))}
            later = [one + step for step in sorted(steps) if one + step < count]
        pairs += [(one, two) for two in later]
    return pairs


def mutual_matches(one: UInt8[np.ndarray, "n 128"], two: UInt8[np.ndarray, "m 128"]) -> np.ndarray:
    """Indices [k, 2] of descriptors that are each other's best and clearly better than the second.

    Products of bytes are whole numbers that float32 holds, so the result does not depend on the
    order in which they are added.
    """
    if len(one) < 2 or len(two) < 2:
        return np.empty((0, 2), np.uint32)
    other = two.astype(np.float32)
    best = np.empty(len(one), np.int64)
    top, second = np.empty(len(one), np.float32), np.empty(len(one), np.float32)
    best_back, top_back = np.zeros(len(two), np.int64), np.full(len(two), -1, np.float32)
    for start in range(0, len(one), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        likeness = one[part].astype(np.float32) @ other.T
        rows = np.arange(len(likeness))
        back, height = likeness.argmax(axis=0), likeness.max(axis=0)
        is_better = height > top_back
        best_back[is_better] = back[is_better] + start
        top_back[is_better] = height[is_better]
        best[part] = likeness.argmax(axis=1)
        top[part] = likeness[rows, best[part]]
        likeness[rows, best[part]] = -1
        second[part] = likeness.max(axis=1)
    first, next_best = (np.arccos(np.clip(v / DESCRIPTOR_LENGTH**2, 0, 1)) for v in (top, second))
    rows = np.arange(len(one))
    good = (best_back[best] == rows) & (first < FARTHEST_RAD) & (first < RATIO * next_best)
    return np.stack([rows[good], best[good]], axis=1).astype(np.uint32)


def _begin(shots: Sequence[Shot], path: Path, config: PosesConfig) -> None:
    """A database with the photographs and what is known of their cameras."""
    draft = path.with_name(f".draft-{path.name}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    cameras = {shot.name: _camera_guess(shot, config) for shot in shots}
    keys = {name: key for name, (key, _) in cameras.items()}
    if config.camera == "one" and len({key[:2] for key in keys.values()}) > 1:
        sizes = sorted({f"{key[0]}x{key[1]}" for key in keys.values()})
        raise DataError(
            f"camera=one needs photographs of one size, and they have {', '.join(sizes)} px (width"
            " x height). Take camera=auto, which gives each size a camera of its own."
        )
    database = pycolmap.Database.open(draft)
    written: dict[Any, int] = {}
    with pycolmap.DatabaseTransaction(database):
        for number, shot in enumerate(shots):
            key, camera = cameras[shot.name]
            key = {"auto": key, "one": 0, "each": number}[config.camera]
            if key not in written:
                written[key] = database.write_camera(camera)
            database.write_image(pycolmap.Image(name=shot.name, camera_id=written[key]))
    database.close()
    draft.rename(path)


def _camera_guess(shot: Shot, config: PosesConfig) -> tuple[tuple[Any, ...], pycolmap.Camera]:
    """What EXIF tells of a camera, and a word for those that are the same."""
    height, width = image_size(shot.path)
    focal_px, known, maker, name = USUAL_FOCAL * max(height, width), False, "", ""
    if shot.path.suffix.lower() in WITH_EXIF:
        seen = pycolmap.infer_camera_from_image(shot.path)
        known = seen.has_prior_focal_length
        focal_px = seen.focal_length * max(height, width) / max(seen.height, seen.width)
        with Image.open(shot.path) as opened:
            exif = opened.getexif()
            tags = (ExifTags.Base.Make, ExifTags.Base.Model)
            maker, name = (str(exif.get(tag, "")) for tag in tags)
    camera = pycolmap.Camera.create_from_model_name(1, config.lens, focal_px, width, height)
    camera.has_prior_focal_length = known
    return (width, height, maker, name, round(focal_px, 1)), camera


def _features(shot: Shot, config: PosesConfig) -> tuple[np.ndarray, pycolmap.FeatureDescriptors]:
    """A photograph's features: column, row, size (in px of its full size) and angle; their look."""
    values = decode(shot.path, shot.mask)
    height, width = values.shape[:2]
    scale = min(1.0, config.longest_px / max(height, width))
    small = resize(values, height=round(height * scale), width=round(width * scale), filter="area")
    keypoints, descriptors = _extractor(config).extract_from_uint8_array(_grey(small))
    places = np.array(pycolmap.keypoints_to_matrix(keypoints), np.float32)
    if small.shape[-1] == 4:
        inside = cv2.erode(small[..., 3], np.ones((SILHOUETTE_PX, SILHOUETTE_PX))) > 0.5
        column, row = places[:, :2].astype(int).T
        kept = inside[row.clip(0, len(inside) - 1), column.clip(0, inside.shape[1] - 1)]
        places = places[kept]
        descriptors = pycolmap.FeatureDescriptors(
            type=descriptors.type, data=np.ascontiguousarray(descriptors.data[kept])
        )
    places[:, 0] *= width / small.shape[1]
    places[:, 1] *= height / small.shape[0]
    places[:, 2] /= scale
    return places, descriptors


def _grey(image: Float[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w"]:
    if image.shape[-1] == 4:
        image = image[..., :3] * image[..., 3:] + 0.5 * (1 - image[..., 3:])
    return cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2GRAY)


def _extractor(config: PosesConfig) -> pycolmap.FeatureExtractor:
    """One for each thread."""
    features, extractor = getattr(_of_thread, "extractor", (0, None))
    if extractor is None or features != config.features:
        options = pycolmap.FeatureExtractionOptions()
        options.num_threads = 1
        options.sift.max_num_features = config.features
        extractor = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)
        _of_thread.extractor = (config.features, extractor)
    return extractor


def _in_order(do: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
    """What `do` gives for each item, in their order, made by as many threads as torch has."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(items), 4 * threads):
            part = items[start : start + 4 * threads]
            yield from zip(part, pool.map(do, part), strict=True)


def _has_features(database: pycolmap.Database, shot: Shot) -> bool:
    number = _id(database, shot)
    return database.exists_keypoints(number) and database.exists_descriptors(number)


def _id(database: pycolmap.Database, shot: Shot) -> int:
    image = database.read_image_with_name(shot.name)
    assert image is not None, "every photograph is written when the database is begun"
    return image.image_id
