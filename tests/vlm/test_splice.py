"""Image tokens go where the image stands, as in the reference."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fovea.errors import DataError
from fovea.vlm.splice import splice


def embed(ids: Tensor) -> Tensor:
    return torch.stack([ids.float(), torch.zeros(len(ids))], dim=1)


def images(count: int, tokens: int) -> Tensor:
    number = torch.arange(count).float()[:, None].expand(count, tokens)
    return torch.stack([-1000 - number, torch.arange(tokens).float().expand(count, tokens)], dim=2)


def cases(goldens: Path) -> list[dict[str, Any]]:
    return json.loads((goldens / "vlm" / "embedding_splice.json").read_text())["cases"]


def unpadded(case: dict[str, Any], key: str) -> list[Tensor]:
    rows = torch.tensor(case[key])
    kept = case["attention_mask"]
    masks = torch.tensor(kept).bool() if kept else torch.ones_like(rows).bool()
    return [row[mask] for row, mask in zip(rows, masks, strict=True)]


def test_rows_are_spliced_padded_and_cut_as_in_the_reference(goldens: Path) -> None:
    for case in cases(goldens):
        found = splice(
            unpadded(case, "input_ids"),
            unpadded(case, "labels") if case["labels"] else None,
            images(case["num_images"], case["tokens_per_image"]),
            embed,
            longest=case["max_length"],
            padding=case["padding_side"],
        )
        name = case["name"]
        assert found.embeddings[..., 0].tolist() == case["out_first_component"], name
        assert found.embeddings[..., 1].tolist() == case["out_second_component"], name
        if case["out_labels"] is not None:
            assert found.labels.tolist() == case["out_labels"], name
        if case["out_attention"] is not None:
            assert found.attention.int().tolist() == case["out_attention"], name


def test_more_images_in_the_texts_than_there_are_is_refused() -> None:
    row = torch.tensor([2, -200, -200])
    with pytest.raises(DataError, match="row 0 wants 2 and 1 of 1 are left"):
        splice([row], None, images(1, 2), embed)


def test_a_gradient_reaches_the_image_tokens() -> None:
    tokens = images(1, 2).requires_grad_()
    splice([torch.tensor([2, -200, 3])], None, tokens, embed).embeddings.sum().backward()
    assert tokens.grad is not None
    assert (tokens.grad == 1).all()
