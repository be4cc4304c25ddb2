"""Networks of transformers that know pictures and texts: captioners, CLIP, BLIP's matching head."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from fovea.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Float32
    from PIL import Image

MOST_TOKENS = 128


class HubNetwork:
    """A network of transformers with its processor, loaded.

    Args:
        place: its folder or name.
        download: whether it may be downloaded.
        device: that it computes on.
    """

    network = ""
    """Names of its class and its processor's in transformers."""
    processing = ""

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        import transformers

        self.processor = had(getattr(transformers, self.processing), place, download)
        self.model = trained(getattr(transformers, self.network), place, download).to(device)
        self.device = device


class HubCaptioner(HubNetwork):
    """Any image-to-text network of transformers: BLIP-2, BLIP, GIT, newer ones."""

    network = "AutoModelForImageTextToText"
    processing = "AutoProcessor"

    @torch.inference_mode()
    def captions(
        self,
        pictures: Sequence[Image.Image],
        prompts: Sequence[str | None] | None = None,
        count: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """Sampled as data-juicer samples when several are asked for, else the likeliest."""
        asked = list(prompts) if prompts and any(prompts) else None
        given = self.processor(
            images=list(pictures), text=asked, return_tensors="pt", padding=True
        ).to(self.device)
        rounds: list[list[str]] = []
        with torch.random.fork_rng(devices=[]):
            for number in range(count):
                torch.manual_seed(seed + number)
                made = self.model.generate(**given, max_new_tokens=MOST_TOKENS, do_sample=count > 1)
                rounds.append(self.processor.batch_decode(made, skip_special_tokens=True))
        return [list(of_one) for of_one in zip(*rounds, strict=True)]


class PairMatcher(HubNetwork, ABC):
    """A network of transformers that takes pictures and texts, and scores them pair by pair."""

    @torch.inference_mode()
    def agreement(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """One number a pair; texts are cut to what the network takes."""
        longest = self.model.config.text_config.max_position_embeddings
        given = self.processor(
            images=list(pictures),
            text=list(texts),
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=longest,
        ).to(self.device)
        return self.scores(self.model(**given)).tolist()

    @abstractmethod
    def scores(self, out: Any) -> Float[torch.Tensor, " n"]:
        """A score a pair, from what the network gives."""


class ClipMatcher(PairMatcher):
    """CLIP's similarity, logits over 100: the cosine where the scale is 100."""

    network = "CLIPModel"
    processing = "CLIPProcessor"

    def scores(self, out: Any) -> Float[torch.Tensor, " n"]:
        """Cosines, times the scale, over 100."""
        pairs = (out.text_embeds * out.image_embeds).sum(-1)
        return pairs * self.model.logit_scale.exp() / 100


class ItmMatcher(PairMatcher):
    """BLIP's matching head: how probable it is that a text is of a picture."""

    network = "BlipForImageTextRetrieval"
    processing = "BlipProcessor"

    def scores(self, out: Any) -> Float[torch.Tensor, " n"]:
        """Softmax of the head's two outputs, the second one."""
        return torch.softmax(out.itm_score, dim=-1)[:, 1]


class ClipEmbedder(HubNetwork):
    """CLIP's directions of pictures."""

    network = "CLIPModel"
    processing = "CLIPProcessor"

    @torch.inference_mode()
    def directions(self, pictures: Sequence[Image.Image]) -> Float32[np.ndarray, "n d"]:
        """One a picture, of length 1."""
        given = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        seen = self.model.vision_model(**given).pooler_output
        found = self.model.visual_projection(seen)
        return torch.nn.functional.normalize(found, dim=-1).float().cpu().numpy()


def had(loader: Any, place: str, download: bool) -> Any:
    """A processor, tokenizer or config by transformers.

    Raises:
        BackendError: it is neither a folder nor in the cache, and may not be downloaded.
    """
    return quietly(lambda: loader.from_pretrained(place, local_files_only=not download), place)


def trained(loader: Any, place: str, download: bool) -> Any:
    """A network by transformers, ready to be asked.

    Raises:
        BackendError: it cannot be had, or its file lacks weights, which would be made up.
    """
    model, told = quietly(
        lambda: loader.from_pretrained(
            place, local_files_only=not download, output_loading_info=True
        ),
        place,
    )
    if told["missing_keys"]:
        raise BackendError(
            f"the model {place} shall be a {type(model).__name__}, and its files lack "
            f"{len(told['missing_keys'])} of its weights, {min(told['missing_keys'])} among them. "
            "It was trained for something else: take another."
        )
    return model.eval()


def quietly(load: Callable[[], Any], place: str) -> Any:
    """Load without progress bars; what is missing is said in a sentence."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return load()
    except (OSError, ValueError, ImportError) as error:
        raise BackendError(
            f"the model {place} could not be had: {str(error).strip().splitlines()[0]}. Give "
            "local:FOLDER, download it once (hf download NAME), or allow_download: true."
        ) from error
    finally:
        logging.set_verbosity(before)
