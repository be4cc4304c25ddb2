"""Filters that ask networks about pictures: real ones, small, read from their files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from synth import small_networks as small

from fovea.errors import BackendError, ConfigError, DataError
from fovea.synth.batch import Batch
from fovea.synth.models.loading import AESTHETICS, SECOND_CLASS, forget, network
from fovea.synth.operator import Filter, Quirk
from fovea.synth.operators import operator_class
from fovea.synth.pictures import Pictures
from fovea.synth.sample import Fields

COLORS = [(220, 20, 20), (20, 200, 40), (30, 40, 220)]
ROWS = [["0.png"], ["1.png", "1.png", "2.png"], []]


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    forget()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Names of small networks, each made once."""
    folder = tmp_path_factory.mktemp("networks")

    def one(make: Callable[..., Path], *told: Any) -> str:
        place = folder / "-".join([make.__name__, *map(str, told)])
        return f"local:{place if place.exists() else make(place, *told)}"

    return one


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    for number, color in enumerate(COLORS):
        picture = Image.new("RGB", (20, 30), color)
        picture.paste((250, 250, 250), (2, 3, 10, 14 + number))
        picture.save(tmp_path / f"{number}.png")
    rows = [{"text": "<__dj__image>" * len(names), "images": names} for names in ROWS]
    return Batch(rows, np.arange(len(rows)), Fields(), pictures=Pictures(tmp_path))


def bound(name: str, compat: tuple[Quirk, ...] = (), **params: Any) -> Any:
    found = operator_class(name)(**params).called(name)
    found.bind(Fields(), frozenset(compat), seed=0, place=0)
    found.load()
    return found


def kept(found: Filter, batch: Batch) -> list[bool]:
    return found.keep(found.measure(batch)).tolist()


@pytest.mark.parametrize(
    ("name", "parameter", "stat", "limit"),
    [
        ("image_nsfw_filter", "hf_nsfw_model", "image_nsfw_score", "max_score"),
        ("image_watermark_filter", "hf_watermark_model", "image_watermark_prob", "prob_threshold"),
    ],
)
def test_a_classifier_s_second_class_is_the_number_of_each_picture(
    made: Any, batch: Batch, name: str, parameter: str, stat: str, limit: str
) -> None:
    from transformers import ViTForImageClassification, ViTImageProcessor

    place = made(small.small_classifier)
    found = bound(name, **{parameter: place, limit: 0.5, "batch_size": 2}).measure(batch)[stat]
    assert list(map(len, found)) == [1, 3, 0]
    folder = place.removeprefix("local:")
    processor = ViTImageProcessor.from_pretrained(folder)
    model = ViTForImageClassification.from_pretrained(folder).eval()
    pictures = [batch.pictures.decoded(f"{n}.png") for n in range(3)]
    with torch.no_grad():
        wanted = model(**processor(images=pictures, return_tensors="pt")).logits.softmax(-1)[:, 1]
    np.testing.assert_allclose([found[0][0], found[1][0], found[1][2]], wanted, rtol=1e-5)
    assert found[1][0] == found[1][1]


def test_pictures_of_one_path_count_once_where_that_is_asked_for(made: Any, batch: Batch) -> None:
    place = made(small.small_classifier)
    found = bound("image_nsfw_filter", ("distinct_paths",), hf_nsfw_model=place)
    assert list(map(len, found.measure(batch)["image_nsfw_score"])) == [1, 2, 0]


def test_limits_keep_what_they_say_and_take_their_older_names(made: Any, batch: Batch) -> None:
    stats = {"image_nsfw_score": [[0.2], [0.4, 0.4, 0.9], []]}
    watermarks = {"image_watermark_prob": stats["image_nsfw_score"]}
    model = {"hf_nsfw_model": made(small.small_classifier)}
    assert bound("image_nsfw_filter", **model).keep(stats).tolist() == [True, True, True]
    every = bound("image_nsfw_filter", any_or_all="all", **model)
    assert every.keep(stats).tolist() == [True, False, True]
    from fovea.synth.plan import operators_of

    (step,), _ = operators_of([{"image_nsfw_filter": {"score_threshold": 0.3}}], {})
    assert isinstance(step.operator, Filter)
    assert step.operator.keep(stats).tolist() == [True, False, True]
    water = operator_class("image_watermark_filter")(prob_threshold="q0.5", any_or_all="all")
    assert isinstance(water, Filter)
    assert water.waits
    assert water.settled(watermarks).keep(watermarks).tolist() == [True, False, True]
    assert "prob_threshold" in water.deciding()


@pytest.mark.parametrize("head", ["V1", "V2Linear", "V2ReLU"])
def test_a_predictor_of_aesthetics_gives_a_tenth_of_its_layers_number(
    made: Any, batch: Batch, head: str
) -> None:
    from safetensors.torch import load_file
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    place = made(small.small_predictor, head)
    found = bound("image_aesthetics_filter", hf_scorer_model=place).measure(batch)
    folder = Path(place.removeprefix("local:"))
    pictures = [batch.pictures.decoded(f"{n}.png") for n in range(3)]
    given = CLIPImageProcessor.from_pretrained(folder)(images=pictures, return_tensors="pt")
    with torch.no_grad():
        tower = CLIPVisionModelWithProjection.from_pretrained(folder).eval()
        at = torch.nn.functional.normalize(tower(**given).image_embeds, dim=-1)
    weights = load_file(folder / "model.safetensors")
    names = sorted({n.rpartition(".")[0] for n in weights if n.startswith(("layers", "predictor"))},
                   key=lambda n: int(n.partition(".")[2] or 0))  # fmt: skip
    for number, name in enumerate(names):
        at = torch.nn.functional.linear(at, weights[f"{name}.weight"], weights[f"{name}.bias"])
        at = at.relu() if head == "V2ReLU" and number < len(names) - 1 else at
    (first, second, _) = found["image_aesthetics_scores"]
    np.testing.assert_allclose([first[0], second[0], second[2]], at[:, 0] / 10, rtol=1e-4)


def test_what_a_network_was_not_trained_for_is_refused(made: Any, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"its files lack \d+ of its weights, classifier"):
        network(AESTHETICS, made(small.small_clip))
    with pytest.raises(ConfigError, match="with two classes is wanted"):
        network(SECOND_CLASS, made(small.small_classifier, 1))
    place = Path(small.small_predictor(tmp_path / "odd", "V1"))
    config = json.loads((place / "config.json").read_text())
    config["architectures"] = ["AestheticsPredictorV9"]
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"AestheticsPredictorV1, .* is a AestheticsPredictorV9"):
        network(AESTHETICS, f"local:{place}")


def test_two_pictures_are_as_alike_as_clip_s_features(made: Any, batch: Batch) -> None:
    from transformers import CLIPModel, CLIPProcessor

    place = made(small.small_clip)
    pair = Batch([{"images": ["0.png", "2.png"]}], np.arange(1), Fields(), pictures=batch.pictures)
    found = bound("image_pair_similarity_filter", hf_clip=place)
    (score,) = found.measure(pair)["image_pair_similarity"]
    folder = place.removeprefix("local:")
    pictures = [batch.pictures.decoded(f"{n}.png") for n in (0, 2)]
    given = CLIPProcessor.from_pretrained(folder)(images=pictures, text=["a", "b"],
                                                  return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        features = CLIPModel.from_pretrained(folder)(**given).image_embeds
    assert score == pytest.approx(float(features[0] @ features[1]), rel=1e-5)
    with pytest.raises(DataError, match=r"two different pictures; this one has 0\.png"):
        found.measure(batch)


def nltk_data(folder: Path) -> Path:
    """NLTK's tagger, trained on three captions, and its splitter of sentences."""
    from nltk.tag.perceptron import PerceptronTagger

    tagger = PerceptronTagger(load=False)
    said = ["the/DT old/JJ cat/NN sits/VBZ on/IN a/DT mat/NN ./.",
            "it/PRP runs/VBZ fast/RB",
            "a/DT red/JJ car/NN and/CC dogs/NNS run/VBP ./."]  # fmt: skip
    tagger.train([[tuple(pair.split("/")) for pair in line.split()] for line in said])
    place = folder / "taggers" / "averaged_perceptron_tagger_eng"
    place.mkdir(parents=True)
    for content, name in zip(tagger.encode_json_obj(), tagger.param_files(), strict=True):
        (place / name).write_text(json.dumps(content))
    punkt = folder / "tokenizers" / "punkt_tab" / "english"
    punkt.mkdir(parents=True)
    for name in ("collocations.tab", "sent_starters.txt", "ortho_context.tab"):
        (punkt / name).write_text("")
    (punkt / "abbrev_types.txt").write_text("dr\nst")
    return folder


@pytest.fixture
def tagger(tmp_path: Path) -> str:
    pytest.importorskip("nltk", reason="noun phrases and sentences are found by nltk")
    return f"local:{nltk_data(tmp_path / 'nltk_data')}"


def test_noun_phrases_are_found_and_looked_for_in_the_picture(
    made: Any, batch: Batch, tagger: str
) -> None:
    from fovea.synth.models.loading import PHRASER

    caption = "The old cat sits on a mat."
    assert network(PHRASER, tagger).phrases(caption) == ["the old cat", "a mat"]
    rows = [
        {"text": f"<__dj__image> {caption} <|__dj__eoc|>", "images": ["0.png"]},
        {"text": "<__dj__image> it runs fast <|__dj__eoc|>", "images": ["1.png"]},
    ]
    asked = Batch(rows, np.arange(2), Fields(), pictures=batch.pictures)
    told = {"hf_owlvit": made(small.small_owlvit), "tagger": tagger, "large_area_ratio_thr": 1.0}
    found = bound("phrase_grounding_recall_filter", **told)
    (shown, nothing) = found.measure(asked)["phrase_grounding_recall"]
    assert shown[0] in (0.5, 1.0)
    assert nothing == [1.0], "nothing was named that could be missing"
    sure = bound("phrase_grounding_recall_filter", **told | {"conf_thr": 1.0})
    assert sure.measure(asked)["phrase_grounding_recall"] == [[0.0], [1.0]]
    assert kept(sure, asked) == [False, True]


def test_boxes_over_the_whole_picture_or_one_another_are_no_hits() -> None:
    from fovea.synth.filters.agreement import PhraseGroundingRecall
    from fovea.synth.models.abilities import Find

    found = PhraseGroundingRecall()
    phrases, whole = ["a cat", "a mat", "a dog"], 100.0 * 100
    cat, mat = Find(0.9, 0, (0, 0, 40, 40)), Find(0.8, 1, (50, 50, 90, 90))
    assert found._hits([cat, mat], phrases, whole) == 2
    assert found._hits([cat, Find(0.8, 1, (0, 0, 40, 38))], phrases, whole) == 1
    assert found._hits([cat, Find(0.8, 1, (0, 0, 100, 99))], phrases, whole) == 1
    assert found._hits([cat, Find(0.8, 0, (50, 50, 90, 90)), mat], phrases, whole) == 2
    many = [Find(0.9 - n / 100, 0, (0, 0, 9, 9)) for n in range(3)]
    assert found._hits([*many, mat], phrases, whole) == 1, "as many boxes as phrases count"


def test_sentences_get_lines_of_their_own_and_tokens_stay(tagger: str) -> None:
    found = bound("sentence_split_mapper", tokenizer=tagger)
    text = "<__dj__image>\nDr. Brown runs. A dog sits. <|__dj__eoc|>"
    batch = found.map(Batch([{"text": text}], np.arange(1), Fields()))
    assert batch.rows[0]["text"] == "<__dj__image>\nDr. Brown runs.\nA dog sits. <|__dj__eoc|>"


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("phrase_grounding_recall_filter", {"tagger": "xyz"}, "tagger_xyz is wanted"),
        ("sentence_split_mapper", {"lang": "xx"}, "NLTK's data punkt_tab is wanted"),
        ("image_nsfw_filter", {}, "Falconsai/nsfw_image_detection could not be had"),
        ("image_aesthetics_filter", {}, "shunk031.* could not be had: .* allow_download"),
        ("image_watermark_filter", {"hf_watermark_model": "local:/none"}, "/none is neither"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    made: Any, monkeypatch: pytest.MonkeyPatch, name: str, params: dict[str, Any], sentence: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if name.startswith(("phrase", "sentence")):
        pytest.importorskip("nltk", reason="it comes with nltk")
    if name.startswith("phrase"):
        params = params | {"hf_owlvit": made(small.small_owlvit)}
    with pytest.raises(BackendError, match=sentence):
        bound(name, **params)
