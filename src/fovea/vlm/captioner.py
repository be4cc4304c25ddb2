"""A trained model as what the data room asks for: captions of pictures, and how well a text fits.

The room `synth` takes it by name, `module:fovea.vlm.captioner:load?model=FOLDER`, so that a model
which learnt from noisy captions can tell the ones that fit from the ones that do not, and write
others: the bootstrapping of BLIP.

Source: Li et al., "BLIP: bootstrapping language-image pre-training" (2022), section 3.3; agreement
is the gain in log likelihood that the picture brings, over a picture of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fovea.config import Path
from fovea.vlm.conversation import IGNORE, encode
from fovea.vlm.generate import answer, with_image
from fovea.vlm.model.model import VisionLanguageModel
from fovea.vlm.model.model import load as load_model
from fovea.vlm.picture import Shape, high_resolution

ASK = "Describe the image concisely."
MOST_TOKENS = 64


def load(model: str, shape: Shape = "square") -> Captioner:
    """The captioner in a model's folder.

    Args:
        model: the folder of vlm.pretrain or vlm.finetune.
        shape: how pictures are made square; as in the training of the captions.
    """
    return Captioner(load_model(Path(model)).eval(), shape)


class Captioner:
    """Captions pictures, and says how well texts fit them."""

    def __init__(self, model: VisionLanguageModel, shape: Shape = "square") -> None:
        self.model = model
        self.shape: Shape = shape

    def captions(
        self,
        pictures: Sequence[Image.Image],
        prompts: Sequence[str | None] | None = None,
        count: int = 1,
        seed: int = 0,
        temperature: float = 0.7,
    ) -> list[list[str]]:
        """Captions of each picture: one is the likeliest, several are drawn.

        Args:
            pictures: in RGB.
            prompts: what is asked of each; None asks for a short description.
            count: captions of a picture.
            seed: of what is drawn.
            temperature: of what is drawn.
        """
        asked = [with_image(prompt or ASK) for prompt in (prompts or [None] * len(pictures))]
        draw = torch.Generator().manual_seed(seed)
        rounds = [
            answer(
                self.model,
                asked,
                pictures,
                most=MOST_TOKENS,
                shape=self.shape,
                temperature=temperature if count > 1 else 0.0,
                generator=draw,
            )
            for _ in range(count)
        ]
        return [list(of_one) for of_one in zip(*rounds, strict=True)]

    @torch.inference_mode()
    def agreement(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """How much each text gains by its picture, from 0 to 1; 0.5 gains nothing.

        The mean over its words of log p(word | picture) - log p(word | grey), through a sigmoid. A
        text that says nothing fits nothing: 0.
        """
        size = self.model.tower.shape.size
        seen = torch.stack([high_resolution(p, shape=self.shape, size=size) for p in pictures])
        gains = self._likelihood(seen, texts) - self._likelihood(torch.zeros_like(seen), texts)
        said = zip(gains.tolist(), texts, strict=True)
        return [1 / (1 + math.exp(-gain)) if text.strip() else 0.0 for gain, text in said]

    def _likelihood(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """Mean log likelihood of each text's tokens as a caption, in nats."""
        model = self.model
        encoded = [
            encode(
                [{"from": "human", "value": with_image(ASK)}, {"from": "gpt", "value": text}],
                model.tokenizer,
                model.template,
                has_image=True,
            )
            for text in texts
        ]
        rows = [torch.tensor(one.input_ids) for one in encoded]
        labels = [torch.tensor(one.labels) for one in encoded]
        given = model.spliced(rows, labels, model.see(*model.look(pictures)))
        logits = model.language(
            inputs_embeds=given.embeddings, attention_mask=given.attention.long(), use_cache=False
        ).logits[:, :-1]
        wanted = given.labels[:, 1:]
        cost = functional.cross_entropy(
            logits.float().transpose(1, 2), wanted, ignore_index=IGNORE, reduction="none"
        )
        return -cost.sum(1) / (wanted != IGNORE).sum(1).clamp_min(1)
