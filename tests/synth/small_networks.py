"""Small real networks of transformers, made and written as save_pretrained writes them."""

import json
from itertools import pairwise
from pathlib import Path

import torch

VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
WORDS = ["<unk>", "<pad>", "<s>", "</s>", "<image>", "a", "red", "green", "blue", "cat", "wall",
         "user", "assistant", ":", "what", "is", "it", "dog", "photo", "of"]  # fmt: skip


def word_tokenizer():
    """A tokenizer with a token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inside = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "<unk>"))
    inside.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inside, unk_token="<unk>", pad_token="<pad>", bos_token="<s>",
        eos_token="</s>", additional_special_tokens=["<image>"],
    )  # fmt: skip


def clip_tokenizer(folder: Path):
    """CLIP's kind of tokenizer with a dozen tokens; the folder keeps its tables."""
    from transformers import CLIPTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({t: n for n, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tables = {"vocab": str(folder / "vocab.json"), "merges": str(folder / "merges.txt")}
    return CLIPTokenizerFast(**tables, model_max_length=16)


CLIP_TEXT = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "vocab_size": 54, "max_position_embeddings": 16, "bos_token_id": 52,
    "eos_token_id": 53, "pad_token_id": 53,
}  # fmt: skip


def small_clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    torch.manual_seed(0)
    config = CLIPConfig(text_config=CLIP_TEXT, vision_config=VISION, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    tokenizer = clip_tokenizer(folder.with_name(f"{folder.name}-tokens"))
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def small_classifier(folder: Path, labels: int = 2, weight: float = 1.0) -> Path:
    """A ViT; of many labels the later ones are likelier."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(1)
    names = {n: f"label{n}" for n in range(labels)}
    model = ViTForImageClassification(ViTConfig(**VISION, initializer_range=0.4, id2label=names))
    with torch.no_grad():
        model.classifier.weight.mul_(weight / model.classifier.weight.abs().max())
        if labels > 2:
            model.classifier.bias.copy_(torch.linspace(-9, 9, labels))
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def small_predictor(folder: Path, architecture: str) -> Path:
    """A predictor of aesthetics, its files as the published ones are."""
    from safetensors.torch import load_file, save_file
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(2)
    tower = CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION, projection_dim=8))
    tower.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    sizes, places = [8, 1024, 128, 64, 16, 1], {"V1": ["predictor"]}
    places["V2Linear"] = [f"layers.{n}" for n in (0, 2, 4, 6, 7)]
    places["V2ReLU"] = [f"layers.{n}" for n in (0, 3, 6, 9, 11)]
    names = places[architecture]
    widths = [(8, 1)] if architecture == "V1" else list(pairwise(sizes))
    for name, (wide, out) in zip(names, widths, strict=True):
        weights[f"{name}.weight"] = torch.randn(out, wide) / wide**0.5
        weights[f"{name}.bias"] = torch.rand(out)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = [f"AestheticsPredictor{architecture}"]
    (folder / "config.json").write_text(json.dumps(config))
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    images.save_pretrained(folder)
    return folder


def small_owlvit(folder: Path) -> Path:
    from transformers import (
        OwlViTConfig,
        OwlViTForObjectDetection,
        OwlViTImageProcessor,
        OwlViTProcessor,
    )

    torch.manual_seed(3)
    config = OwlViTConfig(
        text_config=CLIP_TEXT, vision_config=VISION | {"image_size": 32}, projection_dim=16
    )
    model = OwlViTForObjectDetection(config)
    with torch.no_grad():
        # Boxes an eighth as wide as the picture, each at the place that it belongs to.
        model.box_head.dense2.weight.zero_()
        model.box_head.dense2.bias.copy_(torch.tensor([0.0, 0.0, -2.0, -2.0]))
    model.save_pretrained(folder)
    tokenizer = clip_tokenizer(folder.with_name(f"{folder.name}-tokens"))
    images = OwlViTImageProcessor(size={"height": 32, "width": 32})
    OwlViTProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def small_yolos(folder: Path) -> Path:
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    torch.manual_seed(4)
    sides = {"image_size": [32, 32], "num_detection_tokens": 12}
    config = YolosConfig(**(VISION | sides), num_labels=3)
    YolosForObjectDetection(config).save_pretrained(folder)
    YolosImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def small_llava(folder: Path) -> Path:
    """A vision-language model with a chat template."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(5)
    vision = CLIPVisionConfig(**(VISION | {"num_hidden_layers": 2}))
    text = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=1, bos_token_id=2,
        eos_token_id=3,
    )  # fmt: skip
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=4,
                         image_seq_length=4)  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    template = (
        "{% for m in messages %}{{ m.role }} : {% for c in m.content %}"
        "{% if c.type == 'image' %}<image> {% else %}{{ c.text }} {% endif %}{% endfor %}"
        "{% endfor %}{% if add_generation_prompt %}assistant : {% endif %}"
    )
    LlavaProcessor(
        image_processor=images, tokenizer=word_tokenizer(), patch_size=8,
        vision_feature_select_strategy="default", chat_template=template,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def small_diffusion(folder: Path) -> Path:
    """Stable Diffusion with every part of it as small as it gets, without a safety checker."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionImg2ImgPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(6)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
        block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=16,
        attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    StableDiffusionImg2ImgPipeline(
        vae=vae, unet=unet, text_encoder=CLIPTextModel(CLIPTextConfig(**CLIP_TEXT)),
        tokenizer=clip_tokenizer(folder.with_name("diffusion-tokens")), safety_checker=None,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False), feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder
