"""The loop: its order of samples, its guard, and that it learns."""

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from fovea.errors import BackendError, ConfigError, DataError, StoppedError
from fovea.runs.stage import Context
from fovea.vlm.captioner import load as load_captioner
from fovea.vlm.data import Loader, read_samples
from fovea.vlm.finetune import FOUR_BITS, finetune
from fovea.vlm.generate import answer
from fovea.vlm.learning import DivergedError, Guard
from fovea.vlm.model.language import tiny_tokenizer
from fovea.vlm.model.model import load
from fovea.vlm.parallel import filled, zero2_offload
from fovea.vlm.pretrain import capped, pretrain
from fovea.vlm.settings.finetune import FinetuneConfig
from fovea.vlm.settings.model import ModelConfig
from fovea.vlm.settings.pretrain import PretrainConfig
from fovea.vlm.settings.training import GuardConfig, LoopConfig, LoraConfig
from fovea.vlm.stages import FINETUNE, PRETRAIN
from fovea.vlm.training_log import read_log

ASKED = "<image>\nDescribe the image concisely."
COLORS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    rows = []
    for number in range(24):
        word = list(COLORS)[number % 3]
        Image.new("RGB", (64, 64), COLORS[word]).save(tmp_path / f"{number}.png")
        turns = [
            {"from": "human", "value": "<image>\nDescribe the image concisely."},
            {"from": "gpt", "value": f"a {word} wall"},
        ]
        rows.append({"id": str(number), "image": f"{number}.png", "conversations": turns})
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(rows))
    return path


def config(captions: Path, **loop: object) -> PretrainConfig:
    return PretrainConfig(
        data=captions,
        model=ModelConfig(name="tiny", size=64),
        batch=8,
        rate=3e-3,
        speaks=True,
        longest=64,
        loop=LoopConfig(**({"steps": 100, "micro_batch": 8} | loop)),
    )


def test_two_stages_teach_colours(captions: Path, tmp_path: Path) -> None:
    settings = config(captions)
    context = Context.local(PRETRAIN, settings, tmp_path / "pretrain")
    first = pretrain(settings, context)
    assert first["train/loss"] < 0.5
    steps = read_log(context.output("log"))
    assert len(steps) == 100
    assert steps[-1].epoch == 1.0
    model = load(context.output("model")).eval()
    pictures = [captions.parent / f"{number}.png" for number in range(3)]
    said = answer(model, [ASKED] * 3, pictures, most=6, shape="square")
    assert said == ["a red wall", "a green wall", "a blue wall"]

    tuned = FinetuneConfig(
        model=context.output("model"),
        data=captions,
        batch=8,
        rate=1e-3,
        lora=LoraConfig(rank=4),
        loop=LoopConfig(steps=4, micro_batch=8),
    )
    after = Context.local(FINETUNE, tuned, tmp_path / "finetune")
    assert finetune(tuned, after)["train/loss"] < 0.5
    again = load(after.output("model")).eval()
    assert answer(again, [ASKED], pictures[:1], most=6) == ["a red wall"]


def test_micro_batches_sum_up_to_the_batch(captions: Path, tmp_path: Path) -> None:
    losses = []
    for size in (2, 8):
        settings = config(captions, steps=3, micro_batch=size)
        context = Context.local(PRETRAIN, settings, tmp_path / str(size))
        losses.append(pretrain(settings, context)["train/loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_micro_batch_that_does_not_divide_the_batch_is_refused(
    captions: Path, tmp_path: Path
) -> None:
    settings = config(captions, micro_batch=3)
    with pytest.raises(ConfigError, match=r"3 x 1 does not divide it\. Set loop\.micro_batch"):
        pretrain(settings, Context.local(PRETRAIN, settings, tmp_path / "run"))


def test_a_loss_that_stays_away_is_lost_and_one_that_comes_back_is_not() -> None:
    guard = Guard(GuardConfig(factor=3, patience=3, after=2))
    assert not any(guard.is_lost(loss) for loss in (9.0, 400.0, 8.0, 7.0, 90.0, 95.0, 7.0))
    assert [guard.is_lost(90.0) for _ in range(3)] == [False, False, True]
    assert Guard(GuardConfig()).is_lost(float("nan"))


def test_a_training_that_leaves_begins_anew_and_then_says_so(
    captions: Path, tmp_path: Path
) -> None:
    wild = {"guard": GuardConfig(factor=0.5, patience=2, after=1, restarts=1), "clip": 0.0}
    settings = config(captions, **wild)
    context = Context.local(PRETRAIN, settings, tmp_path / "run")
    said: list[str] = []
    context.emit = lambda event: said.append(str(event.get("message", "")))
    with pytest.raises(DivergedError, match=r"the loss should fall, and at step \d+ it was"):
        pretrain(settings, context)
    assert any("beginning anew with seed 1" in sentence for sentence in said)


def test_samples_that_cannot_be_used_are_replaced_up_to_a_limit(captions: Path) -> None:
    rows = json.loads(captions.read_text())
    rows[1]["image"] = "missing.png"
    rows[2]["conversations"][1]["value"] = ""
    captions.write_text(json.dumps(rows))
    samples = read_samples(captions)
    tokenizer = tiny_tokenizer(["Describe the image concisely. a red green blue wall"])
    from fovea.vlm.conversation import GEMMA

    loader = Loader(samples, tokenizer, GEMMA, size=64, shape="square")
    batch = loader.batch([0, 1, 2, 3])
    assert len(batch.rows) == 4
    assert sorted(loader.broken) == [1, 2]
    assert "missing.png" in loader.broken[1]
    assert "an answer is empty" in loader.broken[2]
    loader.broken |= {n: "gone" for n in range(3, 14)}
    captions.with_name("0.png").unlink()
    with pytest.raises(DataError, match="of 24 samples cannot be used, more than 1%"):
        loader.batch([0])


def test_the_cap_draws_as_the_challenge_does(captions: Path) -> None:
    import random

    samples = read_samples(captions)
    random.seed(1024)
    assert capped(samples, 5) == random.sample(samples, 5)
    assert capped(samples, 24) == samples


def test_deepspeed_is_told_what_the_challenge_tells_it(goldens: Path) -> None:
    assert zero2_offload() == json.loads((goldens / "vlm" / "zero2_offload.json").read_text())


def test_deepspeed_is_told_our_batches() -> None:
    settings = LoopConfig(micro_batch=4, clip=0.5, zero2_offload=True)
    told = filled(settings, passes=8, processes=4, precision="bf16", width=2048)
    assert told["train_batch_size"] == 128
    assert told["gradient_accumulation_steps"] == 8
    assert told["bf16"]["enabled"]
    assert told["gradient_clipping"] == 0.5
    assert "auto" not in json.dumps(told)


def test_deepspeed_where_it_is_not_is_refused(captions: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("deepspeed"):
        pytest.skip("DeepSpeed is installed here")
    settings = config(captions, zero2_offload=True)
    with pytest.raises(BackendError, match=r"loop\.zero2_offload needs DeepSpeed"):
        pretrain(settings, Context.local(PRETRAIN, settings, tmp_path / "run"))


@pytest.mark.parametrize(
    ("rank", "error", "sentence"),
    [
        (0, ConfigError, r"lora\.bits=4 came with lora\.rank=0"),
        (4, BackendError, r"here is no NVIDIA GPU \(the device is cpu\)"),
    ],
)
def test_weights_in_four_bits_are_refused_on_a_cpu(
    captions: Path, tmp_path: Path, rank: int, error: type[Exception], sentence: str
) -> None:
    settings = FinetuneConfig(model=tmp_path, data=captions, lora=LoraConfig(rank=rank, bits=4))
    with pytest.raises(error, match=sentence):
        finetune(settings, Context.local(FINETUNE, settings, tmp_path / "run"))


def test_weights_in_four_bits_are_normal_floats_quantised_twice() -> None:
    assert FOUR_BITS["bnb_4bit_quant_type"] == "nf4"
    assert FOUR_BITS["bnb_4bit_use_double_quant"]
    if importlib.util.find_spec("bitsandbytes"):
        from transformers import BitsAndBytesConfig

        assert BitsAndBytesConfig(**FOUR_BITS).quantization_method() == "nf4"


def test_low_rank_changes_go_on_after_a_stop_as_if_there_had_been_none(
    captions: Path, tmp_path: Path
) -> None:
    settings = config(captions, steps=2)
    first = Context.local(PRETRAIN, settings, tmp_path / "pretrain")
    pretrain(settings, first)
    tuned = FinetuneConfig(
        model=first.output("model"),
        data=captions,
        batch=8,
        rate=1e-2,
        lora=LoraConfig(rank=4, dropout=0.5),
        loop=LoopConfig(steps=4, micro_batch=8),
        checkpoint_s=1e-6,
    )
    finetune(tuned, Context.local(FINETUNE, tuned, tmp_path / "whole"))
    asked = iter([False, True])
    stopped = Context.local(FINETUNE, tuned, tmp_path / "cut", asked_to_stop=lambda: next(asked))
    with pytest.raises(StoppedError):
        finetune(tuned, stopped)
    finetune(tuned, Context.local(FINETUNE, tuned, tmp_path / "cut"))
    name = "tmp/out/model/language/model.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "should be LLaVA's JSON"),
        ("{}", "should hold a list"),
        ("[]", "holds no sample"),
        ('[{"id": 1}]', "entry 0 of .* should have conversations"),
    ],
)
def test_files_that_are_no_conversations_are_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_samples(tmp_path / "a.json")


def test_a_captioner_tells_captions_that_fit_from_those_that_do_not(
    captions: Path, tmp_path: Path
) -> None:
    settings = config(captions)
    context = Context.local(PRETRAIN, settings, tmp_path / "run")
    pretrain(settings, context)
    captioner = load_captioner(str(context.output("model")))
    pictures = [Image.open(captions.parent / f"{number}.png") for number in range(3)]
    fitting = captioner.agreement(pictures, ["a red wall", "a green wall", "a blue wall"])
    other = captioner.agreement(pictures, ["a blue wall", "a red wall", ""])
    assert min(fitting) > 0.5 > max(other)
    assert captioner.captions(pictures[:1]) == [["a red wall"]]
    drawn = captioner.captions(pictures[:1], count=3, seed=1)
    assert len(drawn[0]) == 3
    assert drawn == captioner.captions(pictures[:1], count=3, seed=1)
