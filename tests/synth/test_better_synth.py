"""The challenge's own recipe: what it asks for, and the same stages in small, from end to end."""

import json
import zipfile
from pathlib import Path

import pytest

from fovea.errors import ArtifactError
from fovea.runs.recipe import Recipe, load
from fovea.runs.run import execute
from fovea.runs.stage import Context
from fovea.synth.plan import plan_of
from fovea.synth.settings.simulate import SimulateConfig
from fovea.synth.simulation import simulate
from fovea.synth.stages import SIMULATE
from fovea.vlm.model.model import Architecture, build
from fovea.vlm.settings.model import ModelConfig

PAIRS, INSTRUCTIONS = 24, 16


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the forms of the challenge's, about drawn pictures."""
    config = SimulateConfig(
        pairs=PAIRS, instructions=INSTRUCTIONS, questions=6, choices=2, size=64,
        noise={"broken": 0, "doubled": 0},
    )  # fmt: skip
    context = Context.local(SIMULATE, config, tmp_path_factory.mktemp("made"))
    simulate(config, context)
    return context.out


@pytest.fixture
def files(made: Path) -> list[str]:
    """The variables that name them."""
    return [
        f"vars.seed_pairs={made / 'pairs' / 'pairs.jsonl'}",
        f"vars.seed_captions={made / 'captions.json'}",
        f"vars.instructions={made / 'instructions.json'}",
        f"vars.instruction_pictures={made}",
        f"vars.textvqa={made / 'questions.json'}",
        f"vars.textvqa_pictures={made}",
        f"vars.mmbench={made / 'choices.tsv'}",
    ]


def settings(recipe: Recipe, key: str) -> dict:
    return recipe.step(key).config.model_dump()


def test_without_the_challenge_s_files_it_says_which_it_lacks_and_what_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError) as all_of_them:
        load("better-synth")
    told = str(all_of_them.value)
    assert told.startswith("7 inputs cannot be used.")
    for name in ("seed_pairs", "seed_captions", "instructions", "textvqa", "mmbench"):
        assert f"Give it by vars.{name}=PATH." in told
    with pytest.raises(ArtifactError) as others:
        load("better-synth", [f"vars.seed_pairs={made / 'pairs' / 'pairs.jsonl'}"])
    assert "vars.seed_pairs" not in str(others.value)


def test_both_stages_train_as_the_challenge_asks(files: list[str]) -> None:
    recipe = load("better-synth", files)
    first, second = settings(recipe, "pretrained"), settings(recipe, "model")
    assert first["model"]["name"] == "mgm-2b"
    assert (first["batch"], first["rate"], first["shape"]) == (256, 1e-3, "square")
    assert (second["batch"], second["rate"], second["shape"]) == (128, 2e-5, "pad")
    for stage in (first, second):
        assert stage["batch"] % stage["loop"]["micro_batch"] == 0
        assert (stage["loop"]["epochs"], stage["loop"]["warmup"]) == (1, 0.03)
        assert stage["loop"]["weight_decay"] == 0
    assert settings(recipe, "captions")["cap"] == 200_000
    assert not settings(recipe, "pretrained")["speaks"]
    assert {step.use for step in recipe.steps} >= {"vlm.evaluate", "vlm.pack"}


def test_its_operators_are_known_by_name_and_parameter(files: list[str], tmp_path: Path) -> None:
    config = load("better-synth", files).step("cleaned").config
    plan_of(config, seed=0, root=tmp_path)
    names = [name for step in config.process for name in step]
    assert names[-2:] == ["image_text_similarity_filter", "image_captioning_mapper"]


def test_in_small_it_runs_from_the_seed_pairs_to_the_archive(
    files: list[str], tmp_path: Path
) -> None:
    network = tmp_path / "network"
    tiny = Architecture.of(ModelConfig(name="tiny", size=64), longest=256)
    build(tiny, texts=["a red circle", "Describe the image."]).save(network, is_whole=True)
    asked = f"module:fovea.vlm.captioner:load?model={network}"
    small = [
        "vars.accelerator=cpu",
        "cleaned.np=1",
        f"cleaned.operators.image_text_similarity_filter.hf_clip={asked}",
        f"cleaned.operators.image_captioning_mapper.hf_img2seq={asked}",
        "pretrained.model.name=tiny", "pretrained.model.size=64", "pretrained.speaks=true",
        "pretrained.batch=8", "pretrained.loop.micro_batch=8",
        "pretrained.loop.gradient_checkpointing=false",
        "model.batch=8", "model.loop.micro_batch=4", "model.loop.gradient_checkpointing=false",
        "textvqa.most_tokens=4", "mmbench.most_tokens=4",
        "packed.batches=[8, 8]", f"packed.finetune_samples={INSTRUCTIONS}",
        "packed.strict=false",  # so short a training leaves questions without an answer
    ]  # fmt: skip
    folder = tmp_path / "run"
    run = execute(
        load("better-synth", [*files, *small]),
        folder=folder, reuse=False, device="cpu", isolation="inline",
    )  # fmt: skip
    run.raise_failure()
    assert run.exit_code == 0, run.state
    (archive,) = folder.glob("stages/packed*/out/submit.zip")
    names = set(zipfile.ZipFile(archive).namelist())
    assert "solution/better-synth.yaml" in names
    assert "output/eval_results/MGM-2B-Finetune-default/textvqa/bm1.jsonl" in names
    (dataset,) = folder.glob("stages/cleaned-*/out/dataset/res.jsonl")
    rows = [json.loads(line) for line in dataset.read_text().splitlines()]
    assert rows
    assert all(row["synth"]["op"] == "image_captioning_mapper" for row in rows)
