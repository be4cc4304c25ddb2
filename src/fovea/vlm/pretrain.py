"""`vlm.pretrain`: pictures with captions teach the projector to speak to the language model.

Source: Li et al., "Mini-Gemini" (2024), stage 1; Liu et al., "Visual instruction tuning" (2023).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from fovea.runs.stage import Context
from fovea.vlm.data import Loader, Sample, read_samples, texts
from fovea.vlm.learning import Plan, learn
from fovea.vlm.model.model import (
    Architecture,
    VisionLanguageModel,
    build,
    write_mm_projector,
)
from fovea.vlm.settings.pretrain import PretrainConfig
from fovea.vlm.training_log import write_log

CAP_SEED = 1024
"""The challenge draws the samples above its cap with it."""


def pretrain(config: PretrainConfig, context: Context) -> dict[str, float]:
    """Train the tokens that join tower and language model; write the model and MGM's own file."""
    samples = capped(read_samples(config.data, config.images), config.most)
    architecture = Architecture.of(config.model, config.longest)
    words = list(texts(samples))

    def begin(seed: int) -> VisionLanguageModel:
        model = build(architecture, texts=words, seed=seed).to(context.device)
        model.language.requires_grad_(config.speaks)
        return model

    first = begin(config.loop.seed)
    loader = Loader(
        samples,
        first.tokenizer,
        first.template,
        size=first.tower.shape.size,
        shape=config.shape,
        is_plain=config.plain,
        most_broken=config.loop.most_broken,
    )
    say_what_learns(first, samples, context)
    del first
    plan = Plan(config.batch, config.rate, False, config.loop, begin, config.checkpoint_s)
    learnt = learn(plan, loader, context)
    learnt.model.save(context.output("model"), is_whole=config.speaks)
    write_mm_projector(context.output("projector"), learnt.model)
    write_log(context.output("log"), learnt.losses, learnt.rates, config.loop.epochs)
    loader.tell_broken(context)
    return {"train/loss": learnt.loss}


def capped(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many samples, drawn as the challenge's script draws them; fewer stay in order."""
    if len(samples) <= most:
        return list(samples)
    return random.Random(CAP_SEED).sample(list(samples), most)


def say_what_learns(
    model: VisionLanguageModel, samples: Sequence[Sample], context: Context
) -> None:
    """How many weights learn from how many samples."""
    learning = sum(w.numel() for w in model.parameters() if w.requires_grad)
    whole = sum(w.numel() for w in model.parameters())
    context.note(
        f"{learning / 1e6:.2f} of {whole / 1e6:.1f} million weights learn from "
        f"{len(samples):,} samples."
    )
