"""What answers questions about pictures: a model of ours, MGM's, or one of transformers.

Evaluation, chat and the captioner ask through this door and need not know which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError
from fovea.vlm.conversation import IGNORE, encode
from fovea.vlm.generate import answer, squares
from fovea.vlm.model import mgm
from fovea.vlm.model.model import ABOUT, VisionLanguageModel, load
from fovea.vlm.picture import Picture, Shape

CONFIG = "config.json"


class Speaker(Protocol):
    """Answers questions about pictures."""

    def answer(
        self,
        questions: Sequence[str],
        pictures: Sequence[Picture],
        *,
        most: int = 128,
        shape: Shape = "pad",
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """What it says to each question about its picture; see `fovea.vlm.generate.answer`."""
        ...

    def likelihood(
        self,
        questions: Sequence[str],
        pictures: Sequence[Picture],
        texts: Sequence[str],
        *,
        shape: Shape = "pad",
    ) -> list[float]:
        """Mean log likelihood of each text's tokens as the answer, in nats."""
        ...


@dataclass(frozen=True)
class OwnSpeaker:
    """A model of `vlm.pretrain` or `vlm.finetune`, or MGM's."""

    model: VisionLanguageModel

    def answer(
        self,
        questions: Sequence[str],
        pictures: Sequence[Picture],
        *,
        most: int = 128,
        shape: Shape = "pad",
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[str]:
        """What it says to each question about its picture."""
        return answer(
            self.model,
            questions,
            pictures,
            most=most,
            shape=shape,
            temperature=temperature,
            generator=generator,
        )

    @torch.inference_mode()
    def likelihood(
        self,
        questions: Sequence[str],
        pictures: Sequence[Picture],
        texts: Sequence[str],
        *,
        shape: Shape = "pad",
    ) -> list[float]:
        """Mean log likelihood of each text's tokens as the answer, in nats; 0 of an empty one."""
        model = self.model
        encoded = [
            encode(
                [{"from": "human", "value": question}, {"from": "gpt", "value": text}],
                model.tokenizer,
                model.template,
                has_image=True,
            )
            for question, text in zip(questions, texts, strict=True)
        ]
        device = next(model.language.parameters()).device
        seen = squares(pictures, model.tower.shape.size, shape).to(device)
        rows = [torch.tensor(one.input_ids, device=device) for one in encoded]
        labels = [torch.tensor(one.labels, device=device) for one in encoded]
        given = model.spliced(rows, labels, model.see(*model.look(seen)))
        logits: Tensor = model.language(
            inputs_embeds=given.embeddings, attention_mask=given.attention.long(), use_cache=False
        ).logits[:, :-1]
        wanted = given.labels[:, 1:]
        cost = functional.cross_entropy(
            logits.float().transpose(1, 2), wanted, ignore_index=IGNORE, reduction="none"
        )
        return (-cost.sum(1) / (wanted != IGNORE).sum(1).clamp_min(1)).tolist()


def load_speaker(place: str | Path, *, seed: int = 0, device: str = "cpu") -> Speaker:
    """The model in a folder, or of that name on Hugging Face's hub.

    Args:
        place: a folder of `vlm.pretrain` or `vlm.finetune`, of MGM, or as transformers saves a
            vision-language model; or the name of one of these on the hub.
        seed: of weights that nobody publishes.
        device: that it computes on.

    Raises:
        DataError: the folder holds no model.
        BackendError: the name is not in the cache.
    """
    folder = Path(place)
    if (folder / ABOUT).is_file() or mgm.is_mgm(folder):
        return OwnSpeaker(load(folder, seed=seed).to(device).eval())
    if folder.is_dir() and not (folder / CONFIG).is_file():
        raise DataError(
            f"a model's folder holds {ABOUT}, as vlm.pretrain and vlm.finetune write it, or "
            f"{CONFIG}, as transformers does; {folder} has neither. Give the folder of a model."
        )
    from fovea.vlm.model.hub import HubSpeaker

    return HubSpeaker(str(place), device=device)
