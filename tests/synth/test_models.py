"""Operators that ask networks: small real ones of transformers, and factories by name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.errors import BackendError, ConfigError
from fovea.runs.stage import Context
from fovea.synth.clean import clean
from fovea.synth.mappers.captioning import cleaned
from fovea.synth.models.loading import CLIP, forget, network
from fovea.synth.plan import with_model
from fovea.synth.settings.clean import CleanConfig
from fovea.synth.stages import CLEAN

COLORS = {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 220)}


class Painter:
    """A captioner and matcher that knows plain colours; `wrong` says another one."""

    def color(self, picture: Image.Image) -> str:
        mean = np.asarray(picture, float).mean((0, 1))
        return min(COLORS, key=lambda name: float(np.abs(mean - COLORS[name]).sum()))

    def captions(
        self,
        pictures: Sequence[Image.Image],
        prompts: Sequence[str | None] | None = None,
        count: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        return [[f"{n + 1}. a {self.color(p)} wall" for n in range(count)] for p in pictures]

    def agreement(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        return [float(self.color(p) in t) for p, t in zip(pictures, texts, strict=True)]


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a factory that another package could bring."""
    folder = tmp_path / "package"
    folder.mkdir()
    import sys
    import types

    module = types.ModuleType("painters")
    module.__dict__.update(load=lambda **_rest: Painter(), nothing=lambda: 3)
    monkeypatch.setitem(sys.modules, "painters", module)
    forget()
    return "module:painters:load?size=3"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for number, (said, shown) in enumerate([("red", "red"), ("red", "blue"), ("hm", "green")]):
        Image.new("RGB", (32, 32), COLORS[shown]).save(folder / f"{number}.png")
        text = f"<__dj__image>\na {said} wall <|__dj__eoc|>"
        rows.append({"id": str(number), "text": text, "images": [f"{number}.png"]})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cleaned_rows(path: Path, folder: Path, *process: Any, **rest: Any) -> list[dict[str, Any]]:
    config = CleanConfig(dataset_path=(path,), process=list(process), np=1, **rest)
    context = Context.local(CLEAN, config, folder)
    clean(config, context)
    lines = (context.output("dataset") / "res.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_captions_that_do_not_fit_are_written_anew_and_say_so(
    painter: str, data: Path, tmp_path: Path
) -> None:
    operator = {"recaption_below": {"captioner": painter, "matcher": painter, "min_score": 0.5}}
    rows = cleaned_rows(data, tmp_path / "run", operator, keep_stats_in_res_ds=True)
    words = [row["text"].split("\n")[1].split(" <|")[0] for row in rows]
    assert words == ["a red wall", "a blue wall", "a green wall"]
    assert "synth" not in rows[0] or rows[0]["synth"] is None
    assert rows[1]["synth"]["op"] == "recaption_below"
    assert rows[1]["synth"]["parent_id"] == "1"
    assert rows[1]["synth"]["score"] == [0.0, 1.0]
    assert [row["__dj__stats__"]["recaption_score"] for row in rows] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("limit", "anew"), [("q0.5", 0), ("mean", 2), ("q1", 2)])
def test_how_many_captions_are_written_anew_may_be_a_place_among_all_scores(
    painter: str, data: Path, tmp_path: Path, limit: str, anew: int
) -> None:
    told = {"captioner": painter, "matcher": painter, "min_score": limit}
    process = [{"text_length_filter": None}, {"recaption_below": told}]
    rows = cleaned_rows(data, tmp_path / "run", *process, keep_stats_in_res_ds=True, shard_rows=1)
    scores = [row["__dj__stats__"]["recaption_score"] for row in rows]
    assert len(rows) == 3
    assert sum(bool(row.get("synth")) for row in rows) == anew, "the scores were 1, 0 and 0"
    assert sum(scores) == 1.0 + anew
    again = cleaned_rows(data, tmp_path / "again", *process, keep_stats_in_res_ds=True)
    assert again == rows


@pytest.mark.parametrize(
    ("mode", "keeps", "count"),
    [("random_any", True, 6), ("random_any", False, 3), ("all", True, 9), ("all", False, 6)],
)
def test_captioning_makes_as_many_rows_as_data_juicer(
    painter: str, data: Path, tmp_path: Path, mode: str, keeps: bool, count: int
) -> None:
    told = {"hf_img2seq": painter, "caption_num": 2, "keep_candidate_mode": mode}
    operator = {"image_captioning_mapper": told | {"keep_original_sample": keeps}}
    rows = cleaned_rows(data, tmp_path / "run", operator)
    assert len(rows) == count
    if keeps:
        assert rows[0]["text"].startswith("<__dj__image>\n"), "the old row comes first"
    assert rows[-1]["text"].startswith("<__dj__image> ")
    assert rows[-1]["text"].endswith(". a green wall <|__dj__eoc|>")


def test_rows_under_a_similarity_are_dropped_and_the_score_is_kept(
    painter: str, data: Path, tmp_path: Path
) -> None:
    operator = {"image_text_similarity_filter": {"hf_clip": painter, "min_score": 0.5}}
    rows = cleaned_rows(data, tmp_path / "run", operator, keep_stats_in_res_ds=True)
    assert [row["id"] for row in rows] == ["0"]
    assert rows[0]["__dj__stats__"]["image_text_similarity"] == [1.0]


def test_a_real_clip_s_similarity_is_the_cosine_of_its_features(tmp_path: Path) -> None:
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        CLIPProcessor,
        CLIPTokenizerFast,
    )

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    vocabulary = {word: n for n, word in enumerate(
        ["<|startoftext|>", "<|endoftext|>", "a</w>", "r", "e", "d</w>", "a", "d"])}  # fmt: skip
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizerFast(
        vocab=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt")
    )
    config = CLIPConfig(
        text_config=small | {"vocab_size": 8, "max_position_embeddings": 12, "eos_token_id": 1,
                             "bos_token_id": 0, "pad_token_id": 1},
        vision_config=small | {"image_size": 16, "patch_size": 8},
        projection_dim=8,
    )  # fmt: skip
    model = CLIPModel(config).eval()
    folder = tmp_path / "clip"
    model.save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    found = network(CLIP, f"local:{folder}")
    pictures = [Image.new("RGB", (20, 30), color) for color in COLORS.values()]
    texts = ["a red", "red", "a"]
    scores = found.agreement(pictures, texts)
    given = CLIPProcessor.from_pretrained(folder)(
        images=pictures, text=texts, return_tensors="pt", padding=True
    )
    with torch.no_grad():
        whole = model(**given).logits_per_text.diagonal() / 100
    np.testing.assert_allclose(scores, whole.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("local:/nowhere/at/all", BackendError, "is a folder as save_pretrained writes it"),
        ("module:painters:missing", BackendError, "cannot be had"),
        ("module:painters:nothing", ConfigError, "made a int without one"),
        ("hf:nobody/has-this-model", BackendError, "could not be had: .* allow_download"),
    ],
)
def test_a_network_that_cannot_be_had_is_told_in_a_sentence(
    painter: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: type[Exception],
    sentence: str,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(error, match=sentence):
        network(CLIP, name)


def test_an_operator_that_asks_for_a_model_gets_the_one_of_the_settings(tmp_path: Path) -> None:
    asked = [{"recaption_below": {"captioner": "module:a:b?model={model}"}}]
    found = with_model(asked, tmp_path / "model")
    assert found[0]["recaption_below"]["captioner"] == f"module:a:b?model={tmp_path / 'model'}"
    with pytest.raises(ConfigError, match="the folder of the setting model"):
        with_model(asked, None)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("1. a cat on a mat", "a cat on a mat"),
        ("Caption: a bus, stock photo", "a bus"),
        ("  - a dog.  ", "a dog."),
    ],
)
def test_captions_lose_what_networks_put_around_them(said: str, kept: str) -> None:
    assert cleaned(said) == kept
