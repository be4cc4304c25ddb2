"""Tiny models of transformers' real classes, saved as their authors save them."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

WORDS = "User: what color is the wall? Assistant: a red green blue wall. Describe the image"
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
CHAT = (
    "{%- for message in messages -%}BEGIN{{ message['role'] }}\n"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}IMAGE{%- else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}END\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}BEGINassistant\n{%- endif -%}"
)


def chat(begin: str, image: str, end: str) -> str:
    """A chat template with these markers."""
    return CHAT.replace("BEGIN", begin).replace("IMAGE", image).replace("END", end)


def tokenizer(*special: str, **options: Any) -> PreTrainedTokenizerFast:
    """Byte pairs of a few words; the first special token pads."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([WORDS], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=special[0], eos_token=special[1], **options
    )


def saved(folder: Path, model: Any, processor: Any, tokens: Any) -> Path:
    """The folder, as `save_pretrained` of each part leaves it."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def qwen2_vl(folder: Path) -> Path:
    """Qwen2-VL: pictures of any size, three kinds of rotary positions."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessorPil,
    )

    names = ("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|vision_start|>",
             "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")  # fmt: skip
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    tokens = tokenizer(*names, chat_template=chat("<|im_start|>", image, "<|im_end|>"))
    id = tokens.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 14}
    config = Qwen2VLConfig(
        text_config={
            **TEXT, "vocab_size": len(tokens), "rope_parameters": rope, "pad_token_id": 0,
            "eos_token_id": 1, "bos_token_id": 0,
        },
        vision_config=vision,
        image_token_id=id("<|image_pad|>"),
        video_token_id=id("<|video_pad|>"),
        vision_start_token_id=id("<|vision_start|>"),
        vision_end_token_id=id("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    size = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    model = Qwen2VLForConditionalGeneration(config)
    return saved(folder, model, Qwen2VLImageProcessorPil(size=size), tokens)


def qwen2_5_vl(folder: Path) -> Path:
    """Qwen2.5-VL: as Qwen2-VL, with windows in its tower."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessorPil,
    )

    names = ("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|vision_start|>",
             "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")  # fmt: skip
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    tokens = tokenizer(*names, chat_template=chat("<|im_start|>", image, "<|im_end|>"))
    id = tokens.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "patch_size": 14,
        "intermediate_size": 48, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config={
            **TEXT, "vocab_size": len(tokens), "rope_parameters": rope, "pad_token_id": 0,
            "eos_token_id": 1, "bos_token_id": 0,
        },
        vision_config=vision,
        image_token_id=id("<|image_pad|>"),
        video_token_id=id("<|video_pad|>"),
        vision_start_token_id=id("<|vision_start|>"),
        vision_end_token_id=id("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    size = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    model = Qwen2_5_VLForConditionalGeneration(config)
    return saved(folder, model, Qwen2VLImageProcessorPil(size=size), tokens)


def _idefics(folder: Path, family: str) -> Path:
    import transformers

    names = ("<pad>", "<end_of_utterance>", "<|im_start|>", "<image>", "<global-img>",
             "<fake_token_around_image>", "<row_1_col_1>", "<row_1_col_2>", "<row_2_col_1>",
             "<row_2_col_2>")  # fmt: skip
    tokens = tokenizer(*names, chat_template=chat("<|im_start|>", "<image>", "<end_of_utterance>"))
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
    }  # fmt: skip
    config = getattr(transformers, f"{family}Config")(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokens), "pad_token_id": 0},
        vision_config=vision,
        scale_factor=2,
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    processor = getattr(transformers, f"{family}ImageProcessorPil")(
        size={"longest_edge": 112}, max_image_size={"longest_edge": 56}
    )
    model = getattr(transformers, f"{family}ForConditionalGeneration")(config)
    model.generation_config.eos_token_id = 1
    saved(folder, model, processor, tokens)
    (folder / "processor_config.json").write_text(
        f'{{"processor_class": "{family}Processor", "image_seq_len": 4}}'
    )
    return folder


def idefics3(folder: Path) -> Path:
    """Idefics3, as the first SmolVLM: crops and a whole view, four tokens each."""
    return _idefics(folder, "Idefics3")


def smolvlm(folder: Path) -> Path:
    """SmolVLM2: the same under a name of its own."""
    return _idefics(folder, "SmolVLM")


def llava(folder: Path) -> Path:
    """LLaVA: CLIP's patches through two layers."""
    from transformers import (
        CLIPImageProcessorPil,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokens = tokenizer("<pad>", "</s>", "<image>", "USER: ", chat_template=None)
    tokens.image_token = "<image>"
    vision = {
        "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
    }  # fmt: skip
    config = LlavaConfig(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokens), "pad_token_id": 0},
        vision_config=vision,
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        tie_word_embeddings=True,
    )
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
        tokens,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=chat("", "<image>\n", "</s>"),
        num_additional_image_tokens=1,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = 1
    return saved(folder, model, processor, tokens)


FAMILIES = {
    "Idefics3": idefics3,
    "SmolVLM": smolvlm,
    "Qwen2-VL": qwen2_vl,
    "Qwen2.5-VL": qwen2_5_vl,
    "LLaVA": llava,
}
