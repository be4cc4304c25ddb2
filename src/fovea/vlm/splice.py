"""Image tokens put where the image stands in a text, for a whole batch.

Source: LLaVA's `prepare_inputs_labels_for_multimodal`: what comes out is the same, quirks included.
A row without an image takes one from the batch all the same; a row is cut after splicing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fovea.errors import DataError
from fovea.vlm.conversation import IGNORE, IMAGE_INDEX


@dataclass(frozen=True)
class Spliced:
    """What the language model takes."""

    embeddings: Float[Tensor, "batch length width"]
    labels: Int[Tensor, "batch length"]
    attention: Bool[Tensor, "batch length"]


def splice(
    rows: Sequence[Int[Tensor, " length"]],
    labels: Sequence[Int[Tensor, " length"]] | None,
    images: Float[Tensor, "images tokens width"],
    embed: Callable[[Tensor], Tensor],
    *,
    longest: int = 2048,
    padding: Literal["right", "left"] = "right",
) -> Spliced:
    """Embed each row of tokens, with the tokens of the next image at each `IMAGE_INDEX`.

    Args:
        rows: token ids without padding.
        labels: a label a token; None trains on nothing.
        images: one set of tokens an image, in the order of their rows.
        embed: token ids to embeddings.
        longest: positions kept of a row.
        padding: the side that shorter rows are filled on, with zeros.

    Raises:
        DataError: there are more images in the rows than were given.
    """
    pieces: list[Tensor] = []
    spoken: list[Tensor] = []
    used = 0
    for number, row in enumerate(rows):
        said = labels[number] if labels is not None else torch.full_like(row, IGNORE)
        wanted = int((row == IMAGE_INDEX).sum())
        if used + max(wanted, 1) > len(images):
            raise DataError(
                f"each image in a batch has tokens of its own, and a row without one takes one; "
                f"row {number} wants {max(wanted, 1)} and {len(images) - used} of {len(images)} are"
                " left. Give an image a row."
            )
        mine = images[used : used + wanted]
        embedded, kept = _spliced(row, said, mine, embed)
        used += max(wanted, 1)
        pieces.append(embedded[:longest])
        spoken.append(kept[:longest])
    return _padded(pieces, spoken, padding)


def _spliced(
    row: Tensor, labels: Tensor, images: Tensor, embed: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    is_image = row == IMAGE_INDEX
    embedded = embed(row[~is_image])
    cuts = [*torch.nonzero(is_image)[:, 0].tolist(), len(row)]
    parts: list[Tensor] = []
    said: list[Tensor] = []
    start = 0
    for number, cut in enumerate(cuts):
        parts.append(embedded[start - number : cut - number])
        said.append(labels[start:cut])
        if number < len(images):
            tokens = images[number].to(embedded)
            parts.append(tokens)
            said.append(labels.new_full((len(tokens),), IGNORE))
        start = cut + 1
    return torch.cat(parts), torch.cat(said)


def _padded(pieces: list[Tensor], labels: list[Tensor], padding: str) -> Spliced:
    length, width = max(len(piece) for piece in pieces), pieces[0].shape[1]
    embeddings = pieces[0].new_zeros(len(pieces), length, width)
    padded = labels[0].new_full((len(pieces), length), IGNORE)
    attention = torch.zeros(len(pieces), length, dtype=torch.bool, device=embeddings.device)
    for number, (piece, said) in enumerate(zip(pieces, labels, strict=True)):
        start = length - len(piece) if padding == "left" else 0
        place = slice(start, start + len(piece))
        embeddings[number, place] = piece
        padded[number, place] = said
        attention[number, place] = True
    return Spliced(embeddings, padded, attention)
