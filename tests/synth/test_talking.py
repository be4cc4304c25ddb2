"""Mappers that ask small real networks: answers, tags, boxes, cut-outs, new pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synth import small_networks as small

from fovea.errors import BackendError
from fovea.synth.batch import Batch
from fovea.synth.mappers.talking import apart, tags_of
from fovea.synth.models.abilities import Drawing, Find
from fovea.synth.models.loading import TALKER, forget, network
from fovea.synth.operators import operator_class
from fovea.synth.pictures import Pictures
from fovea.synth.sample import META, Fields


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    forget()


def bound(name: str, **params: Any) -> Any:
    found = operator_class(name)(**params).called(name)
    found.bind(Fields(), frozenset(), seed=3, place=1)
    found.load()
    return found


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    for number, color in enumerate([(220, 20, 20), (30, 40, 220)]):
        picture = Image.new("RGB", (24, 18), color)
        picture.paste((250, 250, 250), (4, 4, 12, 10 + number))
        picture.save(tmp_path / f"{number}.png")
    rows = [
        {"id": "0", "text": "<__dj__image> a cat", "images": ["0.png"], "query": "what is it"},
        {"id": "1", "text": "<__dj__image> a dog", "images": ["1.png"]},
        {"id": "2", "text": "no picture"},
    ]
    return Batch(rows, np.arange(3), Fields(), pictures=Pictures(tmp_path))


def test_a_row_s_question_is_answered_the_same_in_every_run(tmp_path: Path, batch: Batch) -> None:
    model = f"local:{small.small_llava(tmp_path / 'llava')}"
    told = {"hf_model": model, "max_new_tokens": 6, "prompt": "a wall ?"}
    picture = batch.pictures.decoded("0.png")
    said = network(TALKER, model).answer([picture], "what is it", Drawing(most_tokens=6))
    assert set(said.split()) <= set(small.WORDS)
    first = bound("mllm_mapper", temperature=0.0, **told).map(batch.taken(np.arange(3)))
    assert first.rows[0]["text"] == f"<__dj__image>\n{said} <|__dj__eoc|>"
    assert first.rows[0]["synth"] == {
        "op": "mllm_mapper", "model": model, "prompt": "what is it", "parent_id": "0",
    }  # fmt: skip
    assert first.rows[1]["synth"]["prompt"] == "a wall ?"
    assert first.rows[2] == batch.rows[2], "a row without pictures stays"
    drawn = [
        [row["text"] for row in bound("mllm_mapper", temperature=2.0, keep_tokens=False, **told)
         .map(batch.taken(np.arange(3))).rows]
        for _ in range(2)
    ]  # fmt: skip
    assert drawn[0] == drawn[1]
    assert "<__dj__image>" not in drawn[0][0]


def test_tags_stand_in_the_meta_data(tmp_path: Path, batch: Batch) -> None:
    model = f"local:{small.small_classifier(tmp_path / 'tagger', 5, 0.5)}"
    tagged = bound("image_tagging_mapper", hf_tagger=model).map(batch.taken(np.arange(3)))
    (tags,) = tagged.rows[0][META]["image_tags"]
    assert tags[:2] == ["label4", "label3"]
    assert not {"label0", "label1"} & set(tags)
    assert tagged.rows[2][META] == {"image_tags": []}
    again = bound("image_tagging_mapper", hf_tagger=model, tag_field_name="image_tags")
    tagged.change(0, {META: {"image_tags": [["mine"]]}})
    assert again.map(tagged).rows[0][META]["image_tags"] == [["mine"]], "what is there stays"


def test_a_vision_language_model_lists_tags(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    class Lister:
        def answer(self, pictures: Any, question: str, how: Drawing) -> str:
            assert "separated by commas" in question
            return "A cat, mat; the cat\n- Mat."

    module = types.ModuleType("listers")
    module.__dict__["load"] = Lister
    monkeypatch.setitem(sys.modules, "listers", module)
    found = bound("image_tagging_vlm_mapper", api_or_hf_model="module:listers:load").map(batch)
    assert found.rows[0][META] == {"image_tags": [["a cat", "mat", "the cat"]]}
    assert tags_of(" [red], 'Blue' ,,") == ["red", "blue"]


def test_boxes_stand_in_the_meta_data_and_overlap_little(tmp_path: Path, batch: Batch) -> None:
    model = f"local:{small.small_yolos(tmp_path / 'yolos')}"
    found = bound("image_segment_mapper", hf_detector=model, conf=0.0, iou=0.3).map(batch)
    (boxes,) = found.rows[0][META]["bbox_tag"]
    assert 0 < len(boxes) <= 12
    finds = [Find(1.0, 0, tuple(box)) for box in boxes]
    assert all(a.overlap(b) <= 0.3 for n, a in enumerate(finds) for b in finds[:n])
    three = [Find(0.5, 0, (0, 0, 4, 4)), Find(0.9, 0, (0, 0, 4, 5)), Find(0.1, 0, (9, 9, 10, 10))]
    assert apart(three, 0.5) == [three[1], three[2]]


def u2net(path: Path) -> Path:
    """A network of U2-Net's shape whose matte is how red a pixel is."""
    onnx = pytest.importorskip("onnx", reason="the network is made with onnx")
    pytest.importorskip("onnxruntime", reason="the network is asked by onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("weight", kind, [1, 3, 1, 1], [1.0, -0.5, -0.5])
    node = helper.make_node("Conv", ["picture", "weight"], ["matte"])
    graph = helper.make_graph(
        [node], "matte",
        [helper.make_tensor_value_info("picture", kind, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("matte", kind, [1, 1, 32, 32])], [weight],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def test_the_background_becomes_transparent_or_a_colour(tmp_path: Path, batch: Batch) -> None:
    model = f"local:{u2net(tmp_path / 'u2net.onnx')}"
    found = bound("image_remove_background_mapper", model=model).map(batch.taken(np.arange(1)))
    (name,) = found.rows[0]["images"]
    assert name.endswith("#.png")
    with Image.open(tmp_path / name) as cut:
        assert cut.mode == "RGBA"
        assert cut.getpixel((20, 15))[:3] == (220, 20, 20)
        assert cut.getpixel((20, 15))[3] > 200, "red stays"
        assert cut.getpixel((8, 6))[3] < 20, "white goes"
    filled = bound("image_remove_background_mapper", model=model, bgcolor=[0, 0, 255])
    (name,) = filled.map(batch.taken(np.arange(1))).rows[0]["images"]
    with Image.open(tmp_path / name) as cut:
        assert cut.getpixel((8, 6))[2] > 230


def test_pictures_are_painted_anew_the_same_in_every_run(tmp_path: Path, batch: Batch) -> None:
    pytest.importorskip("diffusers", reason="pictures are painted by diffusers")
    model = f"local:{small.small_diffusion(tmp_path / 'diffusion')}"
    told = {"hf_diffusion": model, "caption_key": "text", "steps": 2, "side_px": 16, "aug_num": 2}
    made = bound("image_diffusion_mapper", **told).map(batch.taken(np.arange(3)))
    assert [row["id"] for row in made.rows] == ["0", "0", "0", "1", "1", "1", "2"]
    first, second = made.rows[1], made.rows[2]
    assert first["images"] != second["images"], "each copy has a seed of its own"
    assert first["text"] == batch.rows[0]["text"]
    assert first["synth"]["prompt"] == ["a cat"]
    assert first["__dj__source_file__"] == ["0.png"]
    with Image.open(tmp_path / first["images"][0]) as picture:
        assert picture.size == (24, 18)
        content = np.asarray(picture)
    assert np.abs(content.astype(int) - np.asarray(batch.pictures.decoded("0.png"))).mean() > 1
    forget()
    again = bound("image_diffusion_mapper", **told, keep_original_sample=False)
    found = again.map(batch.taken(np.arange(3)))
    with Image.open(tmp_path / found.rows[0]["images"][0]) as picture:
        assert (np.asarray(picture) == content).all()
    assert len(found) == 4


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("mllm_mapper", {}, "llava-v1.6-vicuna-7b-hf could not be had: .* allow_download"),
        ("image_tagging_mapper", {}, "hf_tagger names none. Give hf_tagger: local:"),
        ("image_segment_mapper", {}, "hustvl/yolos-tiny could not be had"),
        ("image_diffusion_mapper", {"caption_key": "text"}, "stable-diffusion-v1-4 could not be"),
        ("image_remove_background_mapper", {"model": "u2net.onnx"}, "no such file. Give local:FI"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, params: dict[str, Any], sentence: str
) -> None:
    if "diffusion" in name:
        pytest.importorskip("diffusers", reason="the sentence is about its models")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError, match=sentence):
        bound(name, **params)


def test_operators_of_networks_go_through_the_whole_stage(
    cleaning: Any, captions: Path, tmp_path: Path
) -> None:
    lines = captions.read_text().splitlines()[:6]
    captions.write_text("\n".join(lines) + "\n")
    classifier = f"local:{small.small_classifier(tmp_path / 'classifier')}"
    process = [
        {"image_nsfw_filter": {"hf_nsfw_model": classifier, "max_score": "q0.5"}},
        {"image_tagging_mapper": {"hf_tagger": classifier}},
    ]
    done = cleaning(captions, process, keep_stats_in_res_ds=True)
    assert 2 <= len(done.ids) <= 4
    row = done.rows()[0]
    assert row["__dj__stats__"]["image_nsfw_score"][0] <= 1
    stats = json.loads((done.folder / "dataset/res_stats.jsonl").read_text().splitlines()[0])
    assert "image_tags" in stats["__dj__meta__"]
