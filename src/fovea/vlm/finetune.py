"""`vlm.finetune`: instructions teach the language model and the projector together.

Source: Li et al., "Mini-Gemini" (2024), stage 2; Hu et al., "LoRA" (2021) for low-rank changes.
"""

from __future__ import annotations

import warnings
from typing import Any, cast

import torch
from torch import nn

from fovea.errors import BackendError
from fovea.runs.stage import Context
from fovea.vlm.data import Loader, read_samples
from fovea.vlm.learning import Plan, learn
from fovea.vlm.model.model import VisionLanguageModel, load
from fovea.vlm.pretrain import say_what_learns
from fovea.vlm.settings.finetune import FinetuneConfig
from fovea.vlm.settings.training import LoraConfig
from fovea.vlm.training_log import write_log


def finetune(config: FinetuneConfig, context: Context) -> dict[str, float]:
    """Train language model and tokens; write the whole model."""
    samples = read_samples(config.data, config.images)

    def begin(seed: int) -> VisionLanguageModel:
        model = load(config.model, seed=seed).to(context.device)
        model.language = with_lora(model.language, config.lora, seed=seed)
        return model

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
        learnt.model.language = cast(Any, learnt.model.language).merge_and_unload()
    learnt.model.save(context.output("model"), is_whole=True)
    write_log(context.output("log"), learnt.losses, learnt.rates, config.loop.epochs)
    loader.tell_broken(context)
    return {"train/loss": learnt.loss}


def with_lora(language: nn.Module, settings: LoraConfig, *, seed: int) -> nn.Module:
    """The language model, low-rank changes in its attention and feed-forward layers learning.

    Raises:
        BackendError: peft or what 4 bits need is not installed.
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
    if settings.bits == 4:
        raise BackendError(
            "lora.bits=4 holds weights in 4 bits by bitsandbytes on an NVIDIA GPU, and neither is "
            "here. Take lora.bits=16."
        )
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
