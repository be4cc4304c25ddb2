"""Duplicates against the answers of the reference, and what ours does with short captions."""

import json
from pathlib import Path

import numpy as np
import pytest

from fovea.synth.batch import Batch
from fovea.synth.dedup.documents import (
    DocumentMinhashDeduplicator,
    optimal_bands,
    permutations,
)
from fovea.synth.operator import QUIRKS, Deduplicator
from fovea.synth.operators import operator_class
from fovea.synth.pictures import Pictures
from fovea.synth.sample import Fields

TEXT_CASES, IMAGE_CASES = 17, 5


class Held:
    """Keys in memory."""

    def __init__(self, keys: dict[str, np.ndarray]) -> None:
        self.keys = keys

    def column(self, name: str, row: int | None = None) -> np.ndarray:
        return self.keys[name] if row is None else self.keys[name][:, row]


def bound(name: str, params: dict, compat=()) -> Deduplicator:
    found = operator_class(name)(**params)
    found.bind(Fields(), frozenset(compat), seed=0, place=0)
    found.load()
    return found


def kept(found: Deduplicator, batch: Batch) -> list[str]:
    roots = found.groups(Held(found.keys(batch)))
    return [row["id"] for n, row in enumerate(batch.rows) if roots[n] == n]


def batch_of(samples: list[dict], root: Path | None = None) -> Batch:
    rows = [dict(s) for s in samples]
    return Batch(rows, np.arange(len(rows)), Fields(), pictures=Pictures(root))


@pytest.fixture(scope="session")
def texts(goldens: Path) -> dict:
    return json.loads((goldens / "synth" / "text_dedup.json").read_text())


@pytest.fixture(scope="session")
def images(goldens: Path) -> dict:
    return json.loads((goldens / "synth" / "image_dedup.json").read_text())


@pytest.mark.parametrize("case", range(TEXT_CASES))
def test_texts_are_grouped_and_hashed_as_by_the_reference(case: int, texts: dict) -> None:
    golden = texts["results"][case]
    found = bound(golden["op"], golden["params"], QUIRKS)
    batch = batch_of(texts["samples"])
    assert kept(found, batch) == golden["kept"]
    if "hashes" in golden:
        (hashes,) = found.exported(found.keys(batch)).values()
        assert dict(zip(golden["hashes"], hashes, strict=True)) == golden["hashes"]
    if "num_bands" in golden:
        assert isinstance(found, DocumentMinhashDeduplicator)
        assert found.bands == (golden["num_bands"], golden["num_rows_per_band"])
        by_id = {s["id"]: s["text"] for s in texts["samples"]}
        for name, wanted in golden["first_band_hex"].items():
            minima = found.minima([by_id[name]])[0, : found.bands[1]]
            assert minima.astype(">u8").tobytes().hex() == wanted


def test_clusters_are_those_of_the_reference(texts: dict) -> None:
    for golden in texts["results"]:
        if "clusters" not in golden:
            continue
        found = bound(golden["op"], golden["params"], QUIRKS)
        batch = batch_of(texts["samples"])
        roots = found.groups(Held(found.keys(batch)))
        ids = [row["id"] for row in batch.rows]
        members: dict[str, list[str]] = {}
        for n, root in enumerate(roots.tolist()):
            members.setdefault(ids[root], []).append(ids[n])
        wanted = golden["clusters"]
        wanted = list(wanted.values()) if isinstance(wanted, dict) else wanted
        found_clusters = sorted(sorted(m) for m in members.values() if len(m) > 1)
        assert found_clusters == sorted(sorted(c) for c in wanted if len(c) > 1)


@pytest.mark.parametrize("case", range(IMAGE_CASES))
def test_images_are_hashed_and_grouped_as_by_the_reference(
    case: int, images: dict, goldens: Path
) -> None:
    golden = images["results"][case]
    found = bound(golden["op"], golden["params"])
    batch = batch_of(images["samples"], goldens / "synth" / "images")
    keys = found.keys(batch)
    exported = found.exported(keys)
    for n, row in enumerate(batch.rows):
        for name, wanted in golden["hashes"][row["id"]].items():
            assert exported[name][n] == wanted, row["id"]
    assert kept(found, batch) == golden["kept"]


def test_bands_and_permutations_are_the_published_ones(goldens: Path) -> None:
    golden = json.loads((goldens / "synth" / "minhash_params.json").read_text())
    for asked, wanted in golden["optimal_bands_rows"].items():
        threshold, count = asked.split("|")
        assert list(optimal_bands(float(threshold), int(count))) == wanted
    a, b = permutations(256)
    assert list(map(str, a[:8].tolist())) == golden["perm_a_first8"]
    assert list(map(str, b[:8].tolist())) == golden["perm_b_first8"]
