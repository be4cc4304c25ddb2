"""Vision-language models of transformers that answer questions: LLaVA, SmolVLM, Qwen-VL, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from fovea.synth.models.abilities import Drawing
from fovea.synth.models.hub import HubNetwork


class HubTalker(HubNetwork):
    """Any image-text-to-text network of transformers whose processor has a chat template."""

    network = "AutoModelForImageTextToText"
    processing = "AutoProcessor"

    @torch.inference_mode()
    def answer(self, pictures: Sequence[Image.Image], question: str, how: Drawing) -> str:
        """What the network says behind the question, without special tokens."""
        said = [{"type": "image"} for _ in pictures] + [{"type": "text", "text": question}]
        prompt = self.processor.apply_chat_template(
            [{"role": "user", "content": said}], add_generation_prompt=True
        )
        given = self.processor(images=list(pictures) or None, text=prompt, return_tensors="pt").to(
            self.device
        )
        drawn: dict[str, Any] = {"do_sample": how.temperature > 0, "num_beams": how.beams}
        if how.temperature > 0:
            drawn |= {"temperature": how.temperature, "top_p": how.top_p or 1.0}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(how.seed)
            made = self.model.generate(**given, max_new_tokens=how.most_tokens, **drawn)
        behind = made[0, given["input_ids"].shape[1] :]
        return self.processor.decode(behind, skip_special_tokens=True).strip()
