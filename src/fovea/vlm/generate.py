"""Answers, many at a time, word after word with a memory of what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float32
from PIL import Image
from torch import Tensor

from fovea.vlm.conversation import IMAGE_TOKEN, image_tokens, prompt_of
from fovea.vlm.model.model import VisionLanguageModel
from fovea.vlm.picture import Picture, Shape, high_resolution, read_picture


@torch.inference_mode()
def answer(
    model: VisionLanguageModel,
    questions: Sequence[str],
    pictures: Sequence[Picture],
    *,
    most: int = 128,
    shape: Shape = "pad",
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[str]:
    """What the model says to each question about its picture.

    Questions are padded on the left, so that all answers begin at the same place; a question's
    answer does not depend on its neighbours but for rounding.

    Args:
        model: in evaluation mode.
        questions: `<image>` and a newline, then words; without the token only words are asked.
        pictures: one a question; None where it has none.
        most: tokens of an answer.
        shape: how a picture is made square; the published scores pad.
        temperature: 0 takes the likeliest word.
        generator: draws words at a temperature above 0.

    Returns:
        The answers without the template's markers, stripped.
    """
    device = next(model.language.parameters()).device
    size = model.tower.shape.size
    large = squares(pictures, size, shape).to(device)
    images = model.see(*model.look(large))
    template, tokenizer = model.template, model.tokenizer
    rows = [
        torch.tensor([t.id for t in image_tokens(prompt_of(q, template), tokenizer)], device=device)
        for q in questions
    ]
    given = model.spliced(rows, None, images, padding="left")
    said = _continue(model, given.embeddings, given.attention, most, temperature, generator)
    ends = _ends(model)
    texts: list[str] = []
    for row in said.tolist():
        stop = next((i for i, id in enumerate(row) if id in ends), len(row))
        texts.append(tokenizer.text(row[:stop]).strip())
    return texts


def squares(
    pictures: Sequence[Picture], size: int, shape: Shape
) -> Float32[Tensor, "B 3 size size"]:
    """Pictures as a tower takes them; where there is none, zeros."""
    return torch.stack([_square(picture, size, shape) for picture in pictures])


def with_image(question: str) -> str:
    """A question behind the image token."""
    return question if IMAGE_TOKEN in question else f"{IMAGE_TOKEN}\n{question}"


def _continue(
    model: VisionLanguageModel,
    embeddings: Tensor,
    attention: Tensor,
    most: int,
    temperature: float,
    generator: torch.Generator | None,
) -> Tensor:
    """Tokens of each row until all have ended; what a row says after its end is of no meaning."""
    language = cast(Any, model.language)
    embed = language.get_input_embeddings()
    ends = torch.tensor(sorted(_ends(model)), device=embeddings.device)
    positions = (attention.long().cumsum(-1) - 1).clamp_min(0)
    memory: Any = None
    mask = attention.long()
    given = embeddings
    has_ended = torch.zeros(len(given), dtype=torch.bool, device=given.device)
    said: list[Tensor] = []
    for _ in range(most):
        out = language(
            inputs_embeds=given,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=memory,
            use_cache=True,
        )
        memory = out.past_key_values
        token = _chosen(out.logits[:, -1].float(), temperature, generator)
        said.append(token)
        has_ended |= torch.isin(token, ends)
        if bool(has_ended.all()):
            break
        given = embed(token[:, None])
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return torch.stack(said, dim=1)


def _chosen(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    if temperature <= 0:
        return logits.argmax(-1)
    weight = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(weight, 1, generator=generator)[:, 0]


def _ends(model: VisionLanguageModel) -> set[int]:
    """Tokens at which an answer is over: the tokenizer's, and the template's."""
    first = model.tokenizer.tokens(model.template.after_answer)[0].id
    return {model.tokenizer.eos, first}


def _square(picture: Picture, size: int, shape: Shape) -> Tensor:
    if picture is None:
        return torch.zeros(3, size, size)
    seen = picture if isinstance(picture, Image.Image) else read_picture(picture)
    return high_resolution(seen, shape=shape, size=size)
