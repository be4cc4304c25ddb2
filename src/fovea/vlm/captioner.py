"""A trained model as what the data room asks for: captions of pictures, and how well a text fits.

The room `synth` takes it by name, `module:fovea.vlm.captioner:load?model=FOLDER`, so that a model
which learnt from noisy captions can tell the ones that fit from the ones that do not, and write
others: the bootstrapping of BLIP.

Source: Li et al., "BLIP: bootstrapping language-image pre-training" (2022), section 3.3; agreement
is the gain in log likelihood that the picture brings, over none (a grey one, of our own models).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from PIL import Image

from fovea.vlm.generate import with_image
from fovea.vlm.picture import Picture, Shape
from fovea.vlm.speaker import Speaker, load_speaker

ASK = "Describe the image concisely."
MOST_TOKENS = 64


def load(model: str, shape: Shape = "square") -> Captioner:
    """The captioner in a model's folder.

    Args:
        model: the folder of vlm.pretrain or vlm.finetune, or a model of transformers.
        shape: how pictures are made square; as in the training of the captions.
    """
    return Captioner(load_speaker(model), shape)


class Captioner:
    """Captions pictures, and says how well texts fit them."""

    def __init__(self, speaker: Speaker, shape: Shape = "square") -> None:
        self.speaker = speaker
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
            self.speaker.answer(
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

    def agreement(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """How much each text gains by its picture, from 0 to 1; 0.5 gains nothing.

        The mean over its words of log p(word | picture) - log p(word | no picture), through a
        sigmoid. A text that says nothing fits nothing: 0.
        """
        seen = self._likelihood(pictures, texts)
        unseen = self._likelihood([None] * len(texts), texts)
        return [
            1 / (1 + math.exp(b - a)) if text.strip() else 0.0
            for a, b, text in zip(seen, unseen, texts, strict=True)
        ]

    def _likelihood(self, pictures: Sequence[Picture], texts: Sequence[str]) -> list[float]:
        asked = [with_image(ASK)] * len(texts)
        return self.speaker.likelihood(asked, pictures, texts, shape=self.shape)
