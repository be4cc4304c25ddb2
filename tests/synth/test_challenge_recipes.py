"""Recipes as the teams of the challenge wrote them: loaded unchanged, and run on a small set.

The operators, their parameters and thresholds are those that were published; networks are named as
there and stand for small ones of the test, since none is downloaded.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from fovea.synth.plan import plan_of
from fovea.synth.settings.clean import CleanConfig

BASELINE = """
project_name: 'demo-process'
dataset_path: {data}
export_path: {out}/image_captioning_output/res.jsonl
np: 42
process:
  - image_captioning_mapper:
      hf_img2seq: '/models/goofyai/blip2-opt-2.7b'
      keep_original_sample: false
"""
REFINE = """
project_name: 'llava-1.5-pretrain-dataset-refine-recipe'
dataset_path: {data}
export_path: {out}/refined.jsonl
np: 42
text_keys: 'text'
image_special_token: '<image>'
eoc_special_token: '<|__dj__eoc|>'
open_tracer: true
process:
  - fix_unicode_mapper:
  - punctuation_normalization_mapper:
  - alphanumeric_filter:
      tokenization: false
      min_ratio: 0.60
  - character_repetition_filter:
      rep_len: 10
      max_ratio: 0.09373663
  - flagged_words_filter:
      lang: en
      tokenization: false
      max_ratio: 0.0
  - perplexity_filter:
      lang: en
      max_ppl: 14435.5806
  - special_characters_filter:
      min_ratio: 0.16534802
      max_ratio: 0.42023757
  - word_repetition_filter:
      lang: en
      tokenization: false
      rep_len: 10
      max_ratio: 0.03085751
  - image_aspect_ratio_filter:
      min_ratio: 0.333
      max_ratio: 3.0
  - image_shape_filter:
      max_width: 727
      max_height: 606
  - image_size_filter:
      max_size: "124KB"
  - image_text_similarity_filter:
      hf_clip: openai/clip-vit-base-patch32
      min_score: 0.20315419
  - image_text_matching_filter:
      hf_blip: Salesforce/blip-itm-base-coco
      min_score: 0.44930778
"""
SCORED = """
dataset_path: {data}
export_path: {out}/filtered.jsonl
np: 8
open_monitor: false
use_cache: false
executor_type: default
process:
  - image_text_similarity_filter:
      hf_clip: openai/clip-vit-base-patch32
      min_score: 0.32
      mem_required: '1500MB'
  - image_aesthetics_filter:
      hf_scorer_model: shunk031/aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE
      min_score: 0.5
  - image_watermark_filter:
      hf_watermark_model: amrul-hzz/watermark_detector
      prob_threshold: 0.8
  - image_nsfw_filter:
      hf_nsfw_model: Falconsai/nsfw_image_detection
      score_threshold: 0.5
  - document_minhash_deduplicator:
      tokenization: space
      window_size: 5
      jaccard_threshold: 0.7
      ignore_pattern: '<\\|__dj__eoc\\|>'
  - topk_specified_field_selector:
      field_key: '__dj__stats__.image_text_similarity'
      topk: 200000
  - random_selector:
      select_num: 200000
"""
WEIGHT_FREE = """
project_name: 'better-synth-text-and-shape'
dataset_path: {data}
export_path: {out}/clean.jsonl
export_shard_size: 0
np: 2
text_keys: ['text']
image_key: images
open_tracer: true
trace_num: 5
op_fusion: true
fusion_strategy: probe
use_checkpoint: false
process:
  - fix_unicode_mapper:
  - punctuation_normalization_mapper:
  - clean_links_mapper:
  - alphanumeric_filter: {{min_ratio: 0.60}}
  - character_repetition_filter: {{rep_len: 10, max_ratio: 0.09373663}}
  - flagged_words_filter: {{lang: en, max_ratio: 0.0}}
  - special_characters_filter: {{min_ratio: 0.16534802, max_ratio: 0.42023757}}
  - word_repetition_filter: {{lang: en, rep_len: 10, max_ratio: 0.03085751}}
  - words_num_filter: {{min_num: 3, max_num: 30, num_proc: 4, batch_size: 500}}
  - image_aspect_ratio_filter: {{min_ratio: 0.333, max_ratio: 3.0}}
  - image_shape_filter: {{max_width: 727, max_height: 606, any_or_all: any}}
  - image_size_filter: {{max_size: "124KB"}}
  - document_deduplicator: {{lowercase: true, ignore_non_character: true}}
  - image_deduplicator: {{method: phash, consider_text: true}}
"""
RECIPES = {"baseline": BASELINE, "refine": REFINE, "scored": SCORED, "text": WEIGHT_FREE}


@pytest.fixture
def seed_set(tmp_path: Path) -> Path:
    """Pairs of the seed set's form, a few of them spoilt."""
    (tmp_path / "images").mkdir()
    captions = [
        "a red car parked beside the old brick house",
        "a red car parked beside the old brick house",
        "see www.example.com/offer for more pictures of wedding dresses",
        "#### $$$$ %%%% &&&& **** 2024",
        "two children play with a yellow ball on the beach",
        "black leather bag with golden zip on a wooden table",
    ]
    rows = []
    for number, words in enumerate(captions):
        size = (640, 480) if number != 5 else (900, 480)
        picture = Image.new("RGB", size, (40 * number, 90, 160))
        picture.save(tmp_path / f"images/{number}.jpg")
        rows.append({"id": f"{number:09d}", "images": [f"images/{number}.jpg"],
                     "text": f"<__dj__image>\n{words} <|__dj__eoc|>"})  # fmt: skip
    path = tmp_path / "mgm_pretrain_stage_1.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_challenge_loads_unchanged(name: str, seed_set: Path, tmp_path) -> None:
    recipe = yaml.safe_load(RECIPES[name].format(data=seed_set, out=tmp_path / "out"))
    config = CleanConfig(**recipe)
    plan = plan_of(config, seed=0, root=tmp_path)
    assert [step.operator.name for step in plan.steps] == [
        operator for entry in recipe["process"] for operator in entry
    ]
    for step, entry in zip(plan.steps, recipe["process"], strict=True):
        for key, value in (next(iter(entry.values())) or {}).items():
            kept = type(step.operator).renamed.get(key, key)
            if kept in type(step.operator).model_fields:
                assert getattr(step.operator, kept) == value


def test_a_recipe_of_the_challenge_runs_unchanged(seed_set: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(WEIGHT_FREE.format(data=seed_set, out=tmp_path / "out"))
    words = ["synth", "clean", "--config", str(recipe), "--run", str(tmp_path / "run")]
    subprocess.run([sys.executable, "-m", "fovea", *words], check=True, capture_output=True)
    rows = [json.loads(line) for line in (tmp_path / "out/clean.jsonl").read_text().splitlines()]
    assert [row["id"][-1] for row in rows] == ["0", "2", "4"]
    assert "www." not in rows[1]["text"]
    stats = (tmp_path / "out/clean_stats.jsonl").read_text().splitlines()
    assert len(stats) == len(rows)
    assert {"alnum_ratio", "image_sizes"} < set(json.loads(stats[0])["__dj__stats__"])


def test_a_recipe_that_asks_networks_runs_with_those_it_is_given(
    cleaning, seed_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "eyes.py"
    module.write_text(
        "class Eyes:\n"
        "    def captions(self, pictures, prompts=None, count=1, seed=0):\n"
        "        return [['a picture of one colour'] * count for _ in pictures]\n"
        "    def agreement(self, pictures, texts):\n"
        "        return [0.9 if 'car' in t or 'colour' in t else 0.1 for t in texts]\n"
        "def load(**rest):\n"
        "    return Eyes()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = yaml.safe_load(BASELINE.format(data=seed_set, out=tmp_path / "out"))
    name = "module:eyes:load"
    process = [
        *recipe["process"],
        {"image_text_similarity_filter": {"hf_clip": name, "min_score": 0.20315419}},
    ]
    own = {"operators": {"image_captioning_mapper": {"hf_img2seq": name}}}
    done = cleaning(seed_set, process, **own)
    assert len(done.ids) == 6
    text = "<__dj__image> a picture of one colour <|__dj__eoc|>"
    assert {" ".join(row["text"].split()) for row in done.rows()} == {text}
