"""`vlm.finetune`: instructions teach the language model and the projector together.

Source: Li et al., "Mini-Gemini" (2024), stage 2; Hu et al., "LoRA" (2021) for low-rank changes;
Dettmers et al., "QLoRA" (2023) for weights in 4 bits.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from fovea.errors import BackendError, ConfigError
from fovea.runs.stage import Context
from fovea.vlm.data import Loader, read_samples
from fovea.vlm.learning import Plan, learn
from fovea.vlm.model.language import load_language
from fovea.vlm.model.model import VisionLanguageModel, language_place, load
from fovea.vlm.pretrain import say_what_learns
from fovea.vlm.settings.finetune import FinetuneConfig
from fovea.vlm.settings.training import LoraConfig
from fovea.vlm.training_log import write_log


def finetune(config: FinetuneConfig, context: Context) -> dict[str, float]:
    """Train language model and tokens; write the whole model."""
    samples = read_samples(config.data, config.images)

    def begin(seed: int) -> VisionLanguageModel:
        model = load(config.model, seed=seed).to(context.device)
        if config.lora.bits == 4:
            model.language = in_four_bits(config, context.device)
        model.language = with_lora(model.language, config.lora, seed=seed)
        return model

    if config.lora.bits == 4:
        need_four_bits(config.lora, context.device)
    first = begin(config.loop.seed)
    loader = Loader(
        samples,
        first.tokenizer,
        first.template,
        size=first.tower.shape.size,
        shape=config.shape,
        most_broken=config.loop.most_broken,
    )
    say_what_learns(first, samples, context)
    del first
    plan = Plan(
        config.batch, config.rate, config.by_length, config.loop, begin, config.checkpoint_s
    )
    learnt = learn(plan, loader, context)
    if config.lora.rank:
        learnt.model.language = merged(learnt.model.language, config, context.folder / "changes")
    learnt.model.save(context.output("model"), is_whole=True)
    write_log(context.output("log"), learnt.losses, learnt.rates, config.loop.epochs)
    loader.tell_broken(context)
    return {"train/loss": learnt.loss}


FOUR_BITS: dict[str, Any] = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
}
"""Normal floats of 4 bits, their scales quantised again, as QLoRA has it."""


def need_four_bits(settings: LoraConfig, device: str) -> None:
    """Make sure that weights can be held in 4 bits here.

    Raises:
        ConfigError: nothing would learn.
        BackendError: there is no GPU, or bitsandbytes is not installed.
    """
    if not settings.rank:
        raise ConfigError(
            "weights in 4 bits stay as they are, and low-rank changes learn; lora.bits=4 came with "
            "lora.rank=0. Set lora.rank=16."
        )
    missing = [] if device.startswith("cuda") else [f"NVIDIA GPU (the device is {device})"]
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append("bitsandbytes (pip install bitsandbytes)")
    if missing:
        raise BackendError(
            "lora.bits=4 holds weights in 4 bits by bitsandbytes on an NVIDIA GPU, and here is no "
            f"{' and no '.join(missing)}. Take lora.bits=16, or another machine."
        )


def in_four_bits(config: FinetuneConfig, device: str) -> nn.Module:
    """The language model behind a model's folder, its weights in 4 bits."""
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    small = load_language(
        language_place(config.model),
        torch.bfloat16,
        quantization_config=BitsAndBytesConfig(**FOUR_BITS),
        device_map={"": device},
    )
    return prepare_model_for_kbit_training(
        small, use_gradient_checkpointing=config.loop.gradient_checkpointing
    )


def merged(language: nn.Module, config: FinetuneConfig, folder: Path) -> nn.Module:
    """The language model with its changes in its weights.

    Weights in 4 bits are lossy: the changes are merged into the whole ones, read again.
    """
    changed = cast(Any, language)
    if config.lora.bits == 16:
        return changed.merge_and_unload()
    from peft import PeftModel

    changed.save_pretrained(folder)
    whole = load_language(language_place(config.model))
    return cast(Any, PeftModel.from_pretrained(cast(Any, whole), folder)).merge_and_unload()


def with_lora(language: nn.Module, settings: LoraConfig, *, seed: int) -> nn.Module:
    """The language model, low-rank changes in its attention and feed-forward layers learning.

    Raises:
        BackendError: peft is not installed.
    """
    if not settings.rank:
        return language.requires_grad_(True)
    try:
        from peft import LoraConfig as Changes
        from peft import get_peft_model
    except ImportError as error:
        raise BackendError(
            "lora.rank needs peft, which is not installed. pip install 'fovea-vision[vlm]'."
        ) from error
    changes = Changes(
        r=settings.rank,
        lora_alpha=int(settings.alpha),
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    # peft asks transformers by a name that version 6 will drop.
    quiet = warnings.catch_warnings(action="ignore", category=FutureWarning)
    with quiet, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cast(nn.Module, get_peft_model(cast(Any, language), changes))
