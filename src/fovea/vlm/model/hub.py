"""Vision-language models of transformers by name or folder: Idefics3, SmolVLM, Qwen-VL, LLaVA.

Whatever `AutoModelForImageTextToText` loads and a chat template describes can be asked; how
pictures are cut and where they stand in the text is its processor's business. Nothing is
downloaded: a name means what lies in the cache of Hugging Face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fovea.errors import BackendError, DataError
from fovea.vlm.conversation import IMAGE_TOKEN
from fovea.vlm.picture import Picture, Shape, read_picture

WITHOUT_VIDEO = {"SmolVLMProcessor": "Idefics3Processor"}
"""SmolVLM's processor reads pictures as Idefics3's does, and wants torchvision for videos."""
PARTS = ("image_processor", "tokenizer", "video_processor", "processor_class", "chat_template")


class HubSpeaker:
    """A model of transformers that answers questions about pictures.

    Args:
        place: its folder, or its name on Hugging Face's hub.
        device: that it computes on.
    """

    def __init__(self, place: str, *, device: str = "cpu") -> None:
        from transformers import AutoModelForImageTextToText

        is_gpu = device.startswith("cuda")
        self.processor = _had(lambda: _processor(place), place)
        if not getattr(self.processor, "chat_template", None):
            raise DataError(
                f"a model is asked through the chat template of its processor, and {place} has "
                "none. Take a model that was taught to follow instructions."
            )
        self.model: Any = _had(
            lambda: AutoModelForImageTextToText.from_pretrained(
                place, local_files_only=True, dtype="auto" if is_gpu else torch.float32
            ),
            place,
        )
        self.model.to(device).eval()
        self.device = device
        tokenizer = self.processor.tokenizer
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token

    @torch.inference_mode()
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
        """As `fovea.vlm.generate.answer`; the processor decides on the pictures' shape."""
        del shape
        drawn = {"do_sample": True, "temperature": temperature} if temperature > 0 else {}
        likeliest = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        draw = generator or torch.Generator().manual_seed(0)
        said: dict[int, str] = {}
        for places in _alike(pictures):
            given = self._inputs(
                [self._prompt(questions[place], pictures[place]) for place in places],
                [pictures[place] for place in places],
            )
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(torch.randint(2**31, (), generator=draw)))
                made = self.model.generate(
                    **given, max_new_tokens=most, use_cache=True, **(drawn or likeliest)
                )
            new = made[:, given["input_ids"].shape[1] :]
            texts = self.processor.batch_decode(new, skip_special_tokens=True)
            said |= {place: text.strip() for place, text in zip(places, texts, strict=True)}
        return [said[place] for place in range(len(questions))]

    @torch.inference_mode()
    def likelihood(
        self,
        questions: Sequence[str],
        pictures: Sequence[Picture],
        texts: Sequence[str],
        *,
        shape: Shape = "pad",
    ) -> list[float]:
        """Mean log likelihood of each text's tokens as the answer, in nats."""
        del shape
        found: dict[int, float] = {}
        for places in _alike(pictures):
            asked = [self._prompt(questions[place], pictures[place]) for place in places]
            said = [prompt + texts[place] for prompt, place in zip(asked, places, strict=True)]
            counts = [len(b) - len(a) for a, b in zip(*map(self._ids, (asked, said)), strict=True)]
            given = self._inputs(said, [pictures[place] for place in places])
            logits = self.model(**given, logits_to_keep=max(1, *counts) + 1).logits
            for row, (place, count) in enumerate(zip(places, counts, strict=True)):
                found[place] = _mean(logits[row], given["input_ids"][row], count)
        return [found[place] for place in range(len(questions))]

    def _prompt(self, question: str, picture: Picture) -> str:
        """The question as the model's own template writes it, the answer begun."""
        words = {"type": "text", "text": question.replace(IMAGE_TOKEN, "").strip()}
        content = [words] if picture is None else [{"type": "image"}, words]
        turns = [{"role": "user", "content": content}]
        return self.processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self.processor.tokenizer(list(texts), add_special_tokens=False)["input_ids"]

    def _inputs(self, texts: Sequence[str], pictures: Sequence[Picture]) -> Any:
        """Texts, padded on the left, and their pictures as the model takes them."""
        tokenizer = self.processor.tokenizer
        tokenizer.padding_side = "left"
        # A template that writes the first token itself would have it twice.
        has_first = bool(tokenizer.bos_token) and texts[0].startswith(tokenizer.bos_token)
        seen = [[_seen(picture)] for picture in pictures if picture is not None]
        return self.processor(
            text=list(texts),
            images=seen or None,
            padding=True,
            return_tensors="pt",
            add_special_tokens=not has_first,
        ).to(self.device, dtype=self.model.dtype)


def _alike(pictures: Sequence[Picture]) -> list[list[int]]:
    """The places with a picture and those without, apart: processors take no mixture."""
    kinds = [
        [p for p, one in enumerate(pictures) if (one is None) is none] for none in (False, True)
    ]
    return [kind for kind in kinds if kind]


def _seen(picture: Picture) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    assert picture is not None, "rows without a picture are asked apart"
    return read_picture(picture)


def _mean(logits: Tensor, ids: Tensor, count: int) -> float:
    """Mean log likelihood of the last `count` tokens; 0 of none."""
    if count < 1:
        return 0.0
    guessed = logits[-count - 1 : -1].float()
    return -float(functional.cross_entropy(guessed, ids[-count:]))


def _processor(place: str) -> Any:
    """The model's processor; without torchvision, which videos need, for pictures alone."""
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(place, local_files_only=True)
    except ImportError:
        return _picture_processor(place)


def _picture_processor(place: str) -> Any:
    """The processor of a folder with a stand-in for the part that reads videos."""
    import transformers
    from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer
    from transformers.models.auto import processing_auto
    from transformers.video_processing_utils import BaseVideoProcessor

    config = AutoConfig.from_pretrained(place, local_files_only=True)
    names: dict[str, str] = vars(processing_auto)["PROCESSOR_MAPPING_NAMES"]
    name = names[str(config.model_type)]
    kind = getattr(transformers, WITHOUT_VIDEO.get(name, name))
    parts: dict[str, Any] = {
        "image_processor": AutoImageProcessor.from_pretrained(place, local_files_only=True),
        "tokenizer": AutoTokenizer.from_pretrained(place, local_files_only=True),
    }
    if "video_processor" in kind.get_attributes():
        parts["video_processor"] = BaseVideoProcessor()
    written, _ = kind.get_processor_dict(place, local_files_only=True)
    parts["chat_template"] = written.get("chat_template") or parts["tokenizer"].chat_template
    still = type(kind.__name__, (kind,), {"check_argument_for_proper_class": _unchecked})
    return still(**parts, **{k: v for k, v in written.items() if k not in PARTS})


def _unchecked(processor: Any, name: str, argument: object) -> type:
    """Takes any part: transformers cannot even name the class of the one for videos."""
    del processor, name
    return type(argument)


def _had(load: Callable[[], Any], place: str) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return load()
    except (OSError, ValueError, KeyError) as error:
        raise BackendError(
            f"the vision-language model {place} could not be had: {str(error).splitlines()[0]} "
            f"Give a folder, or download it once: hf download {place}."
        ) from error
